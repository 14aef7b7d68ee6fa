//! What waits to be told of a subject can be cancelled with the change that makes it untrue.

use shared::db::DbError;
use shared::domain::Channel;
use shared::outbox::{self, NewMessage, PendingKinds, Status, Verdict};

use crate::harness::{TestDatabase, message, moment, on_each_database, relay, seconds};

on_each_database! {
    what_waits_is_cancelled_with_the_reason_and_the_rest_is_left_alone,
    only_the_kinds_named_are_cancelled,
    it_is_undone_with_its_transaction,
}

fn about(subject: &str, kind: &str) -> NewMessage {
    NewMessage {
        subject: Some(subject.to_owned()),
        kind: kind.to_owned(),
        channel: Channel::WechatSubscribe,
        ..message()
    }
}

async fn cancel(
    database: &TestDatabase,
    subject: &'static str,
    kinds: PendingKinds<'static>,
) -> usize {
    let now = moment().after(seconds(60));
    database
        .write(move |transaction| {
            outbox::cancel_pending(transaction, subject, kinds, "superseded: gone", now)
        })
        .await
}

async fn what_waits_is_cancelled_with_the_reason_and_the_rest_is_left_alone(
    database: &TestDatabase,
) {
    let (me, kind) = (relay("a"), "customer.assigned");
    database.register(&me, moment()).await;
    let under_way = database.enqueue(about("customer:1", kind)).await;
    let claimed = database.claim_one(&me, moment()).await;
    assert_eq!(claimed.id, under_way);
    let waiting = database.enqueue(about("customer:1", kind)).await;
    let other = database.enqueue(about("customer:12", kind)).await;
    let of_nothing = database.enqueue(message()).await;

    assert_eq!(cancel(database, "customer:1", PendingKinds::Every).await, 1);
    let cancelled = database.message(&waiting).await;
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(cancelled.finished_at, Some(moment().after(seconds(60))));
    assert_eq!(cancelled.last_error.as_deref(), Some("superseded: gone"));
    assert_eq!(database.message(&under_way).await.status, Status::Sending);
    for id in [&other, &of_nothing] {
        assert_eq!(database.message(id).await.status, Status::Pending);
    }
    assert_eq!(cancel(database, "customer:1", PendingKinds::Every).await, 0);

    let verdict = Verdict::Accepted {
        provider_message_id: None,
    };
    database.settle(&me, &claimed, verdict, moment()).await;
    assert_eq!(database.message(&under_way).await.status, Status::Sent);
}

async fn only_the_kinds_named_are_cancelled(database: &TestDatabase) {
    let gained = database
        .enqueue(about("customer:1", "customer.assigned"))
        .await;
    let lost = database
        .enqueue(about("customer:1", "customer.transferred_away"))
        .await;
    let none = PendingKinds::These(&[]);
    assert_eq!(cancel(database, "customer:1", none).await, 0);
    let kinds = PendingKinds::These(&["customer.assigned", "customer.assigned_from_pool"]);
    assert_eq!(cancel(database, "customer:1", kinds).await, 1);
    assert_eq!(database.message(&gained).await.status, Status::Cancelled);
    assert_eq!(database.message(&lost).await.status, Status::Pending);
}

async fn it_is_undone_with_its_transaction(database: &TestDatabase) {
    let id = database
        .enqueue(about("customer:1", "customer.assigned"))
        .await;
    let failed: Result<(), DbError> = database
        .database()
        .write(|transaction| {
            let kinds = PendingKinds::Every;
            outbox::cancel_pending(transaction, "customer:1", kinds, "gone", moment())?;
            Err(DbError::NotFound)
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(database.message(&id).await.status, Status::Pending);
}
