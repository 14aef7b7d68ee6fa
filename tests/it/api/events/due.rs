use chrono_tz::Tz;
use crm_api::assignment::Telling;
use crm_api::events::deposit_next;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::{ChannelSet, EventId, UtcTimestamp};

use super::{PATH, messages_of, signed, tell, with};
use crate::api::Office;
use crate::harness::{TestDatabase, eventually, on_each_database, seconds};

on_each_database!(
    what_is_due_later_is_shown_and_sent_later,
    an_event_is_shown_in_the_words_of_the_day,
    what_has_expired_before_it_was_shown_is_not_shown,
    what_expires_says_so_in_the_outbox,
    a_server_shows_events_when_they_are_due,
    of_two_who_look_at_once_one_shows_it,
);

async fn what_is_due_later_is_shown_and_sent_later(database: &TestDatabase) {
    let office = Office::open(database).await;
    let due_at = SystemClock.now().after(seconds(3_600));
    let told = tell(&office, &office.admin, &due(&office, due_at))
        .await
        .data();
    assert_eq!(told["dueAt"], json!(due_at));
    assert_eq!(office.inbox(&office.li).await, [""; 0], "not yet");
    let messages = messages_of(database, &told["eventId"]).await;
    assert_eq!(messages.len(), 2, "they wait in the outbox");
    assert!(messages.iter().all(|message| message.due_at == due_at));
    assert_eq!(inbox(&office, &told).await, "waiting");

    let event = told["eventId"].as_str().unwrap();
    assert_eq!(show(database, due_at.before(seconds(1))).await, None);
    let shown = show(database, due_at).await;
    assert_eq!(shown.as_ref().map(EventId::as_str), Some(event));
    assert_eq!(show(database, due_at).await, None, "once");
    assert_eq!(office.inbox(&office.li).await.len(), 1);
    assert_eq!(inbox(&office, &told).await, "shown");
    assert_eq!(messages_of(database, &told["eventId"]).await.len(), 2);
}

async fn an_event_is_shown_in_the_words_of_the_day(database: &TestDatabase) {
    let office = Office::open(database).await;
    let due_at = SystemClock.now().after(seconds(3_600));
    let low = with(due(&office, due_at), "priority", json!("low"));
    tell(&office, &office.admin, &low).await.data();
    let template = json!({ "content": "合同 {{contractNumber}} 签好了" });
    let path = "/api/notification-templates/contract.signed";
    office.api.put(&office.admin, path, &template).await.data();
    assert!(show(database, due_at).await.is_some());
    let entries = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    assert_eq!(entries["items"][0]["content"], "合同 HT20260102001 签好了");
    assert_eq!(entries["items"][0]["priority"], "low");
}

async fn what_has_expired_before_it_was_shown_is_not_shown(database: &TestDatabase) {
    let office = Office::open(database).await;
    let due_at = SystemClock.now().after(seconds(3_600));
    let end = due_at.after(seconds(60));
    let body = with(due(&office, due_at), "expiresAt", json!(end));
    let told = tell(&office, &office.admin, &body).await.data();
    assert!(show(database, end).await.is_some(), "it is done with");
    assert_eq!(office.inbox(&office.li).await, [""; 0]);
    assert_eq!(inbox(&office, &told).await, "shown");
}

async fn what_expires_says_so_in_the_outbox(database: &TestDatabase) {
    let office = Office::open(database).await;
    let end = SystemClock.now().after(seconds(3_600));
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let body = with(body, "expiresAt", json!(end));
    let told = tell(&office, &office.admin, &body).await.data();
    assert_eq!(told["expiresAt"], json!(end));
    let messages = messages_of(database, &told["eventId"]).await;
    assert!(
        messages
            .iter()
            .all(|message| message.expires_at == Some(end))
    );
}

async fn a_server_shows_events_when_they_are_due(database: &TestDatabase) {
    let office = Office::open_with(database, |config| {
        config.scheduler = crm_api::SchedulerUse::On;
    })
    .await;
    let due_at = SystemClock.now().after(seconds(2));
    tell(&office, &office.admin, &due(&office, due_at))
        .await
        .data();
    eventually("it is shown", async || {
        !office.inbox(&office.li).await.is_empty()
    })
    .await;
    assert!(SystemClock.now() >= due_at);
    office.until_at_rest().await;
}

async fn of_two_who_look_at_once_one_shows_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let due_at = SystemClock.now().after(seconds(3_600));
    for _ in 0..3 {
        tell(&office, &office.admin, &due(&office, due_at))
            .await
            .data();
    }
    let look = async || {
        while show(database, due_at).await.is_some() {}
    };
    tokio::join!(look(), look(), look());
    while show(database, due_at).await.is_some() {}
    assert_eq!(office.inbox(&office.li).await.len(), 3);
}

fn due(office: &Office<'_>, due_at: UtcTimestamp) -> Value {
    let body = signed(&json!({ "userIds": [office.li.id] }));
    with(body, "dueAt", json!(due_at))
}

/// Shows the next event that is due at this moment.
async fn show(database: &TestDatabase, now: UtcTimestamp) -> Option<EventId> {
    let telling = Telling {
        channels: ChannelSet::default(),
        time_zone: Tz::Asia__Shanghai,
    };
    database
        .write(move |transaction| deposit_next(transaction, telling, now))
        .await
}

async fn inbox(office: &Office<'_>, told: &Value) -> Value {
    let path = format!("{PATH}/{}", told["eventId"].as_str().unwrap());
    office.api.get(&office.admin, &path).await.data()["inbox"].clone()
}
