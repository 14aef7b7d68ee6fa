use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    an_open_page_hears_of_an_assignment,
    every_page_of_a_person_is_told_and_nobody_elses,
    what_another_process_writes_arrives_at_once,
    reading_and_deleting_elsewhere_changes_every_page,
    a_count_is_told_when_asked_for,
    too_much_at_once_becomes_a_refresh,
    what_other_programs_write_is_noticed_in_time,
);

async fn an_open_page_hears_of_an_assignment(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, count) = office.api.page(&office.li).await;
    assert_eq!(count, 0);
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let entry = page.message().await;
    assert_eq!(
        (&entry["type"], &entry["kind"], &entry["read"]),
        (
            &json!("notification"),
            &json!("customer.assigned"),
            &json!(false)
        )
    );
    assert_eq!(
        entry["content"],
        "您有新的客户【王女士】，电话：138****8999，来源：美团，请及时跟进！"
    );
    assert_eq!(entry["link"], format!("/customers/{lead}"));
    assert_eq!(page.count().await, 1);
    // The same as the list shows.
    let mut listed = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data()["items"][0]
        .as_object()
        .unwrap()
        .clone();
    listed.insert("type".to_owned(), json!("notification"));
    assert_eq!(entry, Value::Object(listed));
}

async fn every_page_of_a_person_is_told_and_nobody_elses(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut one, _) = office.api.page(&office.li).await;
    let (mut two, _) = office.api.page(&office.li).await;
    let (mut others, _) = office.api.page(&office.wang).await;
    database.tell(&office.li, "甲").await;
    database.tell(&office.wang, "乙").await;
    assert_eq!(one.entry().await, two.entry().await);
    let entry = others.entry().await;
    assert_eq!(entry["data"]["customerName"], "乙");
}

async fn what_another_process_writes_arrives_at_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other = TestApi::on(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    let (mut page, _) = office.api.page(&office.li).await;
    let mut waits = Vec::new();
    for _ in 0..10 {
        let asked_at = Instant::now();
        other.assign(&office.zhang, &lead, &office.li).await.data();
        page.entry().await;
        waits.push(asked_at.elapsed());
        other
            .assign(&office.zhang, &lead, &office.zhou)
            .await
            .data();
        let gone = page.entry().await;
        assert_eq!(gone["kind"], "customer.transferred_away");
    }
    waits.sort_unstable();
    // With the assignment itself. Whoever hears no signal looks once a second.
    assert!(waits[5] < Duration::from_millis(400), "{waits:?}");
}

async fn reading_and_deleting_elsewhere_changes_every_page(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other = TestApi::on(database).await;
    for customer in ["甲", "乙", "丙"] {
        database.tell(&office.li, customer).await;
    }
    let (mut here, count) = office.api.page(&office.li).await;
    let (mut there, _) = other.page(&office.li).await;
    assert_eq!(count, 3);
    let list = other.get(&office.li, "/api/notifications").await.data();
    let id = list["items"][0]["id"].clone();
    let read = json!({ "notificationIds": [id] });
    other
        .put(&office.li, "/api/notifications/mark-read", &read)
        .await
        .data();
    let path = format!(
        "/api/notifications/{}",
        list["items"][1]["id"].as_str().unwrap()
    );
    for (left, change) in [(2, None), (1, Some(&path))] {
        if let Some(path) = change {
            other.delete(&office.li, path).await.data();
        }
        for page in [&mut here, &mut there] {
            // A page may hear of what came just before it was opened.
            let refresh = page.refresh().await;
            assert_eq!(refresh, json!({ "type": "refresh", "reason": "changed" }));
            assert_eq!(page.count().await, left);
        }
    }
    // What changes nothing is not told.
    other
        .put(&office.li, "/api/notifications/mark-read", &read)
        .await
        .data();
    database.tell(&office.li, "丁").await;
    for page in [&mut here, &mut there] {
        assert_eq!(page.message().await["data"]["customerName"], "丁");
    }
}

async fn a_count_is_told_when_asked_for(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    database.tell(&office.li, "甲").await;
    page.entry().await;
    assert_eq!(page.count().await, 1);
    page.say(&json!({ "type": "getUnreadCount" })).await;
    assert_eq!(page.count().await, 1);
}

async fn too_much_at_once_becomes_a_refresh(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    let now = shared::clock::Clock::now(&shared::clock::SystemClock);
    let notices: Vec<_> = (0..100)
        .map(|n| crate::harness::notice(&office.li, &format!("客户{n}")))
        .collect();
    database
        .write(move |transaction| {
            shared::notification::notify_all(
                transaction,
                &notices,
                shared::domain::ChannelSet::default(),
                now,
            )
        })
        .await;
    assert_eq!(
        page.message().await,
        json!({ "type": "refresh", "reason": "tooMany" })
    );
    assert_eq!(page.count().await, 100);
}

async fn what_other_programs_write_is_noticed_in_time(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    database.tell(&office.li, "甲").await;
    page.entry().await;
    assert_eq!(page.count().await, 1);
    database.shell("UPDATE notifications SET read_at = created_at");
    let refresh = page.message().await;
    assert_eq!(refresh, json!({ "type": "refresh", "reason": "changed" }));
    assert_eq!(page.count().await, 0);
}
