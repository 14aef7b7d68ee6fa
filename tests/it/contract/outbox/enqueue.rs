use serde_json::json;
use shared::db::DbError;
use shared::outbox::{self, Enqueued, NewMessage, PAYLOAD_BYTES_MAX, Priority, Status, Wish};

use crate::harness::{TestDatabase, message, moment, on_each_database, seconds};

on_each_database! {
    a_new_message_waits_with_everything_it_was_given,
    a_second_message_with_the_same_dedup_key_is_not_enqueued,
    a_dedup_key_stays_taken_after_the_message_is_finished,
    a_payload_over_the_limit_is_refused_and_enqueues_nothing,
    a_rolled_back_change_has_no_messages,
    thousands_of_messages_go_in_with_one_call,
    a_message_without_attempts_is_refused,
    enqueueing_nothing_does_nothing,
}

async fn enqueue_all(
    database: &TestDatabase,
    messages: Vec<NewMessage>,
) -> Result<Enqueued, DbError> {
    database
        .database()
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await
}

async fn a_new_message_waits_with_everything_it_was_given(database: &TestDatabase) {
    let new = NewMessage {
        subject: Some("customer:1".to_owned()),
        dedup_key: Some("once".to_owned()),
        payload: json!({ "customerName": "王女士 🎉 \"quoted\" \u{0} line\nbreak" }),
        priority: Priority::Low,
        attempts_max: 7,
        due_at: moment().after(seconds(60)),
        expires_at: Some(moment().after(seconds(120))),
        request_id: Some("request-1".parse().unwrap()),
        ..message()
    };
    let id = database.enqueue(new.clone()).await;
    let row = database.message(&id).await;
    assert_eq!(
        (
            &row.kind,
            row.channel,
            &row.recipient_id,
            &row.subject,
            &row.dedup_key
        ),
        (
            &new.kind,
            new.channel,
            &new.recipient_id,
            &new.subject,
            &new.dedup_key
        )
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&row.payload).unwrap(),
        new.payload
    );
    assert_eq!(
        (
            row.priority,
            row.attempts_max,
            row.due_at,
            row.expires_at,
            row.request_id
        ),
        (
            new.priority,
            new.attempts_max,
            new.due_at,
            new.expires_at,
            new.request_id
        )
    );
    assert_eq!(
        (
            row.status,
            row.attempt,
            row.fence,
            row.rescues,
            row.created_at
        ),
        (Status::Pending, 0, 0, 0, moment())
    );
    assert!(row.claimed_by.is_none() && row.finished_at.is_none() && !row.outcome_unknown);
}

fn keyed(key: &str) -> NewMessage {
    NewMessage {
        dedup_key: Some(key.to_owned()),
        ..message()
    }
}

async fn a_second_message_with_the_same_dedup_key_is_not_enqueued(database: &TestDatabase) {
    let first = enqueue_all(
        database,
        vec![keyed("a"), keyed("b"), keyed("a"), message()],
    )
    .await;
    assert_eq!(
        first.unwrap(),
        Enqueued {
            inserted: 3,
            duplicates: 1
        }
    );
    let second = enqueue_all(database, vec![keyed("b"), keyed("c"), message()]).await;
    assert_eq!(
        second.unwrap(),
        Enqueued {
            inserted: 2,
            duplicates: 1
        }
    );
    assert_eq!(database.messages().await.len(), 5);
}

async fn a_dedup_key_stays_taken_after_the_message_is_finished(database: &TestDatabase) {
    let id = database.enqueue(keyed("a")).await;
    database
        .repair(&[id], Wish::Cancel, moment())
        .await
        .unwrap();
    let again = enqueue_all(database, vec![keyed("a")]).await.unwrap();
    assert_eq!((again.inserted, again.duplicates), (0, 1));
}

async fn a_payload_over_the_limit_is_refused_and_enqueues_nothing(database: &TestDatabase) {
    // Quotes included.
    let text_of = |bytes: usize| json!("x".repeat(bytes - 2));
    let with = |payload| NewMessage {
        payload,
        ..message()
    };
    let too_big = vec![message(), with(text_of(PAYLOAD_BYTES_MAX + 1))];
    let error = enqueue_all(database, too_big).await.unwrap_err();
    assert!(matches!(error, DbError::Constraint(_)), "{error}");
    assert!(error.to_string().contains("65537 bytes"), "{error}");
    assert!(
        !error.to_string().contains("xxxx"),
        "a payload is not for logs"
    );
    assert_eq!(database.messages().await, []);

    enqueue_all(database, vec![with(text_of(PAYLOAD_BYTES_MAX))])
        .await
        .unwrap();
}

async fn a_rolled_back_change_has_no_messages(database: &TestDatabase) {
    let answer = database
        .database()
        .write(|transaction| {
            outbox::enqueue(transaction, vec![message(), message()], moment())?;
            Err::<(), _>(DbError::NotFound)
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(database.messages().await, []);
}

async fn thousands_of_messages_go_in_with_one_call(database: &TestDatabase) {
    let messages: Vec<NewMessage> = (0..2_500).map(|_| message()).collect();
    let enqueued = enqueue_all(database, messages).await.unwrap();
    assert_eq!(enqueued.inserted, 2_500);
    assert_eq!(database.messages().await.len(), 2_500);
}

async fn a_message_without_attempts_is_refused(database: &TestDatabase) {
    let new = NewMessage {
        attempts_max: 0,
        ..message()
    };
    let error = enqueue_all(database, vec![message(), new])
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::Constraint(_)), "{error}");
    assert_eq!(database.messages().await, []);
}

async fn enqueueing_nothing_does_nothing(database: &TestDatabase) {
    let enqueued = enqueue_all(database, Vec::new()).await.unwrap();
    assert_eq!(enqueued, Enqueued::default());
}
