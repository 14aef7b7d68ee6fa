use std::time::Duration;

use crm_api::auth::token::{LIFETIME, Tokens};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};

use crate::api::Office;
use crate::harness::{SECRET, Said, Session, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_page_opens_with_a_token_or_a_ticket_and_not_with_an_address,
    a_ticket_opens_one_page_in_whatever_process,
    a_ticket_that_is_over_opens_nothing,
    a_plain_request_is_told_what_this_is,
    who_logs_out_is_out_of_every_page,
    who_is_deactivated_is_out_of_every_page,
    a_page_does_not_outlive_its_token,
    nobody_has_more_pages_than_allowed,
    a_server_that_stops_says_so,
);

const PATH: &str = "/api/notifications/ws";

async fn a_page_opens_with_a_token_or_a_ticket_and_not_with_an_address(database: &TestDatabase) {
    let office = Office::open(database).await;
    let token = &office.li.token;
    assert!(
        office
            .api
            .try_socket(&format!("yizhan.jwt, {token}"))
            .await
            .is_ok()
    );
    for protocols in [
        "",
        "yizhan.jwt",
        "yizhan.ticket",
        "yizhan.jwt, x",
        "yizhan.ticket, x",
        &format!("yizhan.ticket, {token}"),
        token,
    ] {
        let refused = office.api.try_socket(protocols).await.err();
        assert_eq!(refused, Some(401), "{protocols}");
    }
    for query in ["token", "access_token", "jwt", "ticket"] {
        let path = format!("{PATH}?{query}={token}");
        let refused = office.api.try_socket_at(&path, "", 0).await.err();
        assert_eq!(refused, Some(401), "{query}");
    }
}

async fn a_ticket_opens_one_page_in_whatever_process(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other = TestApi::on(database).await;
    let ticket = ticket(&office.api, &office.li).await;
    assert!(!database.contains(&ticket).await, "only its hash is stored");
    let offer = format!("yizhan.ticket, {ticket}");
    let mut page = other.try_socket(&offer).await.unwrap();
    assert_eq!(page.count().await, 0);
    database.tell(&office.li, "甲").await;
    assert_eq!(page.entry().await["data"]["customerName"], "甲");
    for api in [&office.api, &other] {
        assert_eq!(api.try_socket(&offer).await.err(), Some(401));
    }
}

async fn a_ticket_that_is_over_opens_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (column, over) in [
        ("expires_at", "2026-01-01 00:00:00"),
        ("token_ends_at", "2026-01-01 00:00:00"),
    ] {
        let ticket = ticket(&office.api, &office.li).await;
        database.shell(&format!("UPDATE socket_tickets SET {column} = '{over}'"));
        let offer = format!("yizhan.ticket, {ticket}");
        assert_eq!(
            office.api.try_socket(&offer).await.err(),
            Some(401),
            "{column}"
        );
    }
    // A logout ends the tickets with the tokens.
    let ticket = ticket(&office.api, &office.li).await;
    office
        .api
        .post(&office.li, "/api/auth/logout", &Value::Null)
        .await
        .data();
    let offer = format!("yizhan.ticket, {ticket}");
    assert_eq!(office.api.try_socket(&offer).await.err(), Some(401));
}

async fn a_plain_request_is_told_what_this_is(database: &TestDatabase) {
    let office = Office::open(database).await;
    let answer = office.api.get(&office.li, PATH).await;
    assert_eq!(answer.said(), (400, "此接口只接受 WebSocket 连接"));
    let nobody = TestApi::send(office.api.request(Method::GET, PATH)).await;
    assert_eq!(nobody.said(), (401, "请先登录"));
}

async fn who_logs_out_is_out_of_every_page(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other = TestApi::on(database).await;
    let (mut here, _) = office.api.page(&office.li).await;
    let (mut there, _) = other.page(&office.li).await;
    let (mut wang, _) = office.api.page(&office.wang).await;
    other
        .post(&office.li, "/api/auth/logout", &Value::Null)
        .await
        .data();
    assert_eq!((here.closed().await, there.closed().await), (4401, 4401));
    assert_eq!(
        office
            .api
            .try_socket(&format!("yizhan.jwt, {}", office.li.token))
            .await
            .err(),
        Some(401)
    );
    wang.say(&json!({ "type": "getUnreadCount" })).await;
    assert_eq!(wang.count().await, 0);
}

async fn who_is_deactivated_is_out_of_every_page(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    let path = format!("/api/users/{}", office.li.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    assert_eq!(page.closed().await, 4401);
}

async fn a_page_does_not_outlive_its_token(database: &TestDatabase) {
    let office = Office::open(database).await;
    let almost_over = SystemClock.now().before(LIFETIME - Duration::from_secs(3));
    let token = Tokens::new(&SECRET.into())
        .issue(&office.li.id.parse().unwrap(), 0, almost_over)
        .unwrap();
    let short = Session {
        id: office.li.id.clone(),
        token,
    };
    let (mut page, _) = office.api.page(&short).await;
    let ticket = ticket(&office.api, &short).await;
    let by_ticket = office
        .api
        .try_socket(&format!("yizhan.ticket, {ticket}"))
        .await;
    let mut by_ticket = by_ticket.unwrap();
    assert_eq!(
        (page.closed().await, by_ticket.closed().await),
        (4401, 4401)
    );
}

async fn nobody_has_more_pages_than_allowed(database: &TestDatabase) {
    let office = Office::open_with(database, |config| config.sockets_per_user = 2).await;
    let (one, _) = office.api.page(&office.li).await;
    let (_two, _) = office.api.page(&office.li).await;
    let mut three = office.api.socket(&office.li).await;
    assert_eq!(three.next().await, Said::Closed(4429));
    let (_others, _) = office.api.page(&office.wang).await;
    drop(one);
    crate::harness::eventually("the seat is free again", async || {
        let mut again = office.api.socket(&office.li).await;
        matches!(again.next().await, Said::Message(_))
    })
    .await;
}

async fn a_server_that_stops_says_so(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    let (api, ()) = (office.api, ());
    let (code, ()) = tokio::join!(page.closed(), api.stop());
    assert_eq!(code, 1001);
}

async fn ticket(api: &TestApi, of: &Session) -> String {
    let data = api
        .post(of, "/api/notifications/ws-ticket", &Value::Null)
        .await
        .data();
    assert_eq!(data["expiresInSeconds"], 30);
    data["ticket"].as_str().unwrap().to_owned()
}
