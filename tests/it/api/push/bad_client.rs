use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::api::Office;
use crate::harness::{TestDatabase, eventually, on_each_database};

on_each_database!(
    garbage_is_answered_a_few_times,
    binary_data_is_not_read,
    a_large_message_ends_the_page,
    many_small_pieces_are_no_way_around,
    a_client_that_asks_without_end_is_stopped,
    a_client_that_says_nothing_is_gone,
    a_client_that_does_not_read_is_dropped_and_told_so,
);

async fn garbage_is_answered_a_few_times(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    for garbage in ["", "{", r#"{"type":"since"}"#, r#"{"type":"sleep"}"#] {
        page.send(Message::text(garbage)).await;
        let error = page.message().await;
        assert_eq!(
            error,
            json!({ "type": "error", "code": "unreadable", "message": "无法识别的消息" }),
            "{garbage}"
        );
        // It is as good as before.
        page.say(&json!({ "type": "getUnreadCount" })).await;
        assert_eq!(page.count().await, 0);
    }
    page.send(Message::text("[]")).await;
    assert_eq!(page.closed().await, 1008);
}

async fn binary_data_is_not_read(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    page.send(Message::binary(vec![0, 159, 146, 150])).await;
    assert_eq!(page.closed().await, 1003);
}

async fn a_large_message_ends_the_page(database: &TestDatabase) {
    let office = Office::open(database).await;
    for bytes in [4 * 1024 + 1, 8 * 1024 * 1024] {
        let (page, _) = office.api.page(&office.li).await;
        let large = Message::text("x".repeat(bytes));
        let code = page.send_and_listen_for_the_end(large).await;
        assert_eq!(code, 1009, "{bytes}");
    }
    let (mut page, _) = office.api.page(&office.li).await;
    page.send(Message::text("x".repeat(4 * 1024))).await;
    assert_eq!(page.message().await["code"], "unreadable");
}

async fn many_small_pieces_are_no_way_around(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    for piece in 0..5 {
        let kind = if piece == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        let frame = Frame::message(vec![b'x'; 1024], OpCode::Data(kind), false);
        page.send(Message::Frame(frame)).await;
    }
    assert_eq!(page.closed().await, 1009);
}

async fn a_client_that_asks_without_end_is_stopped(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    for _ in 0..125 {
        page.say(&json!({ "type": "getUnreadCount" })).await;
    }
    assert_eq!(page.closed().await, 1008);
}

async fn a_client_that_says_nothing_is_gone(database: &TestDatabase) {
    let office = Office::open_with(database, |config| {
        config.socket_ping = Duration::from_millis(100);
    })
    .await;
    // It answers pings only while it is asked for messages.
    let (mut page, _) = office.api.page(&office.li).await;
    eventually("it is given up", async || open_pages(&office).await == 0).await;
    assert_eq!(page.closed().await, 4408);
}

async fn a_client_that_does_not_read_is_dropped_and_told_so(database: &TestDatabase) {
    let office = Office::open_with(database, |config| {
        config.socket_send_wait = Duration::from_millis(100);
    })
    .await;
    let offer = format!("yizhan.jwt, {}", office.li.token);
    let path = "/api/notifications/ws";
    let opened = office.api.try_socket_at(path, &offer, 4_096).await;
    let mut page = opened.unwrap();
    let (mut brisk, _) = office.api.page(&office.li).await;
    let long = "长".repeat(100_000);
    eventually("it is given up", async || {
        database.tell(&office.li, &long).await;
        brisk.entry().await;
        open_pages(&office).await == 1
    })
    .await;
    // What was under way still arrives, and then the reason.
    assert_eq!(page.closed().await, 4008);
}

async fn open_pages(office: &Office<'_>) -> usize {
    let figures = office.api.get(&office.admin, "/metrics").await.body;
    let line = figures
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("crm_api_open_sockets "));
    line.unwrap().parse().unwrap()
}
