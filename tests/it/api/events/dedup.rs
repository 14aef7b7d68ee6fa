use std::time::Duration;

use crm_api::auth::service_token::Scope;
use crm_api::events::KEPT_FOR;
use diesel::prelude::*;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::db::schema::events;
use shared::domain::UtcTimestamp;

use super::{PATH, messages_of, signed, tell, with};
use crate::api::Office;
use crate::harness::{Gate, TestApi, TestDatabase, on_each_database, seconds};

on_each_database!(
    an_event_that_is_told_twice_is_told_once,
    of_two_who_tell_of_it_at_once_one_is_heard,
    a_key_is_good_within_its_kind_and_whoever_uses_it,
    what_was_refused_may_be_told_again,
    a_key_is_known_for_thirty_days_after_it_was_due,
);

async fn an_event_that_is_told_twice_is_told_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let due_at = SystemClock.now().after(seconds(3_600));
    let body = keyed(&office, "contract:42:signed");
    let first = tell(&office, &office.admin, &body).await.data();
    assert_eq!(first["duplicate"], false);
    let before = database.contents().await;
    // Whatever else it says now: also what would not be accepted any more.
    for again in [
        body.clone(),
        with(body.clone(), "data", json!({})),
        with(body.clone(), "dueAt", json!(due_at)),
        with(body.clone(), "dueAt", json!("2026-01-02T03:04:05Z")),
        with(
            body.clone(),
            "recipients",
            json!({ "userIds": [office.wang.id] }),
        ),
    ] {
        let answer = tell(&office, &office.admin, &again).await;
        assert_eq!(answer.said(), (200, "该事件已受理过，未重复通知"));
        assert_eq!(answer.data(), with(first.clone(), "duplicate", json!(true)));
    }
    database.assert_unchanged_since(&before).await;
    // Also when its messages are gone.
    database.shell("DELETE FROM outbox_messages; DELETE FROM notifications");
    assert_eq!(tell(&office, &office.admin, &body).await.status, 200);
    assert_eq!(office.inbox(&office.li).await, [""; 0]);
}

async fn of_two_who_tell_of_it_at_once_one_is_heard(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other_process = TestApi::on(database).await;
    let body = keyed(&office, "contract:42:signed");
    // Both have the event under way when the first of them may go on.
    let gate = Gate::before(database, "notifications");
    let (one, other, ()) = tokio::join!(
        office.api.post(&office.admin, PATH, &body),
        other_process.post(&office.admin, PATH, &body),
        gate.open_when_waiting(2),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 202]);
    let (one, other) = (one.data(), other.data());
    assert_eq!(one["eventId"], other["eventId"]);
    assert_ne!(one["duplicate"], other["duplicate"]);
    assert_eq!(office.inbox(&office.li).await.len(), 1);
    assert_eq!(messages_of(database, &one["eventId"]).await.len(), 2);
}

async fn a_key_is_good_within_its_kind_and_whoever_uses_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let old = database.program("contracts", &[Scope::Events]).await;
    let body = keyed(&office, "42");
    let first = tell(&office, &old, &body).await.data();
    // The program has got a new token meanwhile.
    database.revoke(&old).await;
    let new = database.program("contracts", &[Scope::Events]).await;
    let again = tell(&office, &new, &body).await.data();
    assert_eq!(
        (&again["duplicate"], &again["eventId"]),
        (&json!(true), &first["eventId"])
    );
    let of_another_kind = json!({
        "kind": "system.announcement", "dedupKey": "42",
        "recipients": { "userIds": [office.li.id] }, "data": { "content": "公告" },
    });
    let other = tell(&office, &new, &of_another_kind).await.data();
    assert_eq!(other["duplicate"], false);
    // Without a key, an event is a new one every time.
    let without = with(body, "dedupKey", Value::Null);
    for _ in 0..2 {
        assert_eq!(
            tell(&office, &new, &without).await.data()["duplicate"],
            false
        );
    }
}

async fn what_was_refused_may_be_told_again(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = keyed(&office, "42");
    let wrong = with(body.clone(), "data", json!({}));
    assert_eq!(tell(&office, &office.admin, &wrong).await.status, 422);
    let told = tell(&office, &office.admin, &body).await;
    assert_eq!(told.status, 202);
    assert_eq!(told.data()["duplicate"], false);
}

async fn a_key_is_known_for_thirty_days_after_it_was_due(database: &TestDatabase) {
    let office = Office::open(database).await;
    for key in ["a", "b", "c"] {
        tell(&office, &office.admin, &keyed(&office, key))
            .await
            .data();
    }
    let was_due = async |ago: Duration| {
        let due_at = SystemClock.now().before(ago);
        database
            .write(move |transaction| {
                diesel::update(events::table)
                    .set(events::due_at.eq(due_at))
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    };
    let keys = async || -> Vec<(Option<String>, UtcTimestamp)> {
        database
            .read(|connection| {
                let all = events::table.select((events::dedup_key, events::due_at));
                Ok(all.load(connection)?)
            })
            .await
    };
    was_due(KEPT_FOR - seconds(60)).await;
    assert_eq!(
        tell(&office, &office.admin, &keyed(&office, "a"))
            .await
            .status,
        200
    );
    tell(&office, &office.admin, &keyed(&office, "d"))
        .await
        .data();
    assert_eq!(keys().await.len(), 4, "they are known still");
    was_due(KEPT_FOR + seconds(60)).await;
    tell(&office, &office.admin, &keyed(&office, "e"))
        .await
        .data();
    let left = keys().await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(
        tell(&office, &office.admin, &keyed(&office, "a"))
            .await
            .status,
        202
    );
}

fn keyed(office: &Office<'_>, key: &str) -> Value {
    let body = signed(&json!({ "userIds": [office.li.id] }));
    with(body, "dedupKey", json!(key))
}
