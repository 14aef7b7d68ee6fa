use shared::domain::UtcTimestamp;
use shared::outbox::{
    self, ListFilter, MatchingRepair, NewMessage, RepairAct, Status, Wish, count_repairable,
};

use crate::harness::{
    TestDatabase, message, moment, on_each_database, refused, relay, repair_order, seconds,
};

on_each_database! {
    all_that_match_are_repaired_in_batches_and_nothing_else,
    no_more_are_repaired_than_were_confirmed,
    what_cannot_be_repaired_does_not_count,
    what_is_claimed_meanwhile_is_passed_over,
}

fn later() -> UtcTimestamp {
    moment().after(seconds(600))
}

/// So many failed messages of this kind.
async fn failed(database: &TestDatabase, count: usize, kind: &'static str) {
    let messages: Vec<NewMessage> = (0..count)
        .map(|_| NewMessage {
            kind: kind.to_owned(),
            ..message()
        })
        .collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    for claimed in database.claim(&relay("a"), count, moment()).await {
        database
            .settle(&relay("a"), &claimed, refused(), moment())
            .await;
    }
}

fn of_kind(kind: &str) -> ListFilter {
    ListFilter {
        kind: Some(kind.to_owned()),
        ..ListFilter::default()
    }
}

async fn count(database: &TestDatabase, act: RepairAct, filter: ListFilter) -> i64 {
    database
        .read(move |connection| count_repairable(connection, act, &filter))
        .await
}

async fn begin(
    database: &TestDatabase,
    wish: Wish,
    filter: ListFilter,
    confirmed: usize,
) -> MatchingRepair {
    database
        .write(move |transaction| {
            let order = repair_order(wish);
            MatchingRepair::begin(transaction, order, filter, confirmed, later())
        })
        .await
}

async fn next(database: &TestDatabase, run: MatchingRepair, limit: usize) -> MatchingRepair {
    database
        .write(move |transaction| run.next_batch(transaction, limit, later()))
        .await
}

async fn statuses(database: &TestDatabase, status: Status) -> usize {
    let messages = database.messages().await;
    messages.iter().filter(|row| row.status == status).count()
}

async fn all_that_match_are_repaired_in_batches_and_nothing_else(database: &TestDatabase) {
    failed(database, 7, "wanted").await;
    failed(database, 2, "other").await;
    assert_eq!(
        count(database, RepairAct::Requeue, of_kind("wanted")).await,
        7
    );
    let wish = Wish::Requeue { attempts: 4 };
    let mut run = begin(database, wish, of_kind("wanted"), 7).await;
    let mut sizes = Vec::new();
    while !run.is_done() {
        let before = run.changed();
        run = next(database, run, 3).await;
        sizes.push(run.changed() - before);
    }
    assert_eq!(sizes, [3, 3, 1]);
    for row in database.messages().await {
        if row.kind == "wanted" {
            assert_eq!((row.status, row.attempts_max), (Status::Pending, 5));
            assert_eq!((row.due_at, row.finished_at), (later(), None));
        } else {
            assert_eq!(row.status, Status::Failed);
        }
    }
    let id = run.id().clone();
    let repair = database
        .read(move |connection| outbox::find_repair(connection, &id))
        .await
        .unwrap();
    assert_eq!(
        (repair.act, repair.changed, repair.undone),
        (RepairAct::Requeue, 7, 0)
    );
}

async fn no_more_are_repaired_than_were_confirmed(database: &TestDatabase) {
    failed(database, 3, "wanted").await;
    let mut run = begin(database, Wish::Cancel, of_kind("wanted"), 3).await;
    failed(database, 4, "wanted").await;
    while !run.is_done() {
        run = next(database, run, 2).await;
    }
    assert_eq!(run.changed(), 3);
    assert_eq!(statuses(database, Status::Failed).await, 4);
}

async fn what_cannot_be_repaired_does_not_count(database: &TestDatabase) {
    failed(database, 2, "wanted").await;
    database
        .enqueue(NewMessage {
            kind: "wanted".to_owned(),
            ..message()
        })
        .await;
    for (act, expected) in [(RepairAct::Requeue, 2), (RepairAct::Cancel, 3)] {
        assert_eq!(count(database, act, of_kind("wanted")).await, expected);
    }
    let sent = ListFilter {
        status: Some(Status::Sent),
        ..ListFilter::default()
    };
    assert_eq!(count(database, RepairAct::Cancel, sent).await, 0);
}

async fn what_is_claimed_meanwhile_is_passed_over(database: &TestDatabase) {
    database.leases_may_remain();
    for _ in 0..3 {
        database.enqueue(message()).await;
    }
    let filter = of_kind(&message().kind);
    let run = begin(database, Wish::Cancel, filter, 3).await;
    database.claim_one(&relay("a"), moment()).await;
    let run = next(database, run, 100).await;
    assert!(run.is_done());
    assert_eq!(run.changed(), 2);
    assert_eq!(statuses(database, Status::Sending).await, 1);
}
