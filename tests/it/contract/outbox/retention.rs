use shared::domain::UtcTimestamp;
use shared::outbox::{self, Retention, Status, Verdict, attempts_of};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry, seconds,
};

on_each_database! {
    each_status_is_kept_for_its_own_time,
    a_batch_takes_the_oldest_and_no_more_than_asked,
    what_is_not_finished_is_never_deleted,
}

const KEPT: Retention = Retention {
    sent: seconds(100),
    failed: seconds(300),
    skipped_and_cancelled: seconds(200),
};

async fn finish(database: &TestDatabase, verdict: Verdict, now: UtcTimestamp) {
    database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), now).await;
    database.settle(&relay("a"), &claimed, verdict, now).await;
}

async fn prune(database: &TestDatabase, limit: usize, now: UtcTimestamp) -> usize {
    database
        .write(move |transaction| outbox::prune(transaction, KEPT, limit, now))
        .await
}

async fn left(database: &TestDatabase) -> Vec<Status> {
    let messages = database.messages().await;
    messages.iter().map(|message| message.status).collect()
}

async fn each_status_is_kept_for_its_own_time(database: &TestDatabase) {
    for verdict in [accepted(), refused(), Verdict::Pointless] {
        finish(database, verdict, moment()).await;
    }
    let failed = database.messages().await[1].id.clone();
    for (second, expected) in [
        (100, &[Status::Sent, Status::Failed, Status::Skipped][..]),
        (101, &[Status::Failed, Status::Skipped]),
        (201, &[Status::Failed]),
        (300, &[Status::Failed]),
        (301, &[]),
    ] {
        prune(database, 10, moment().after(seconds(second))).await;
        assert_eq!(left(database).await, expected, "after {second} s");
    }
    let attempts = database
        .read(move |connection| attempts_of(connection, &failed))
        .await;
    assert_eq!(attempts, [], "they go with their message");
}

async fn a_batch_takes_the_oldest_and_no_more_than_asked(database: &TestDatabase) {
    for second in [30, 10, 20] {
        finish(database, accepted(), moment().after(seconds(second))).await;
    }
    let later = moment().after(seconds(1_000));
    assert_eq!(prune(database, 2, later).await, 2);
    let rest = database.messages().await;
    assert_eq!(rest[0].finished_at, Some(moment().after(seconds(30))));
    assert_eq!(prune(database, 2, later).await, 1);
    assert_eq!(prune(database, 2, later).await, 0);
}

async fn what_is_not_finished_is_never_deleted(database: &TestDatabase) {
    database.leases_may_remain();
    finish(database, retry(moment()), moment()).await;
    database.enqueue(message()).await;
    database.claim_one(&relay("a"), moment()).await;
    let years_later = moment().after(seconds(400_000_000));
    assert_eq!(prune(database, 10, years_later).await, 0);
    assert_eq!(left(database).await.len(), 2);
}
