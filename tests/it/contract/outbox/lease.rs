//! Only whoever holds a lease may end it.

use shared::domain::{OutboxMessageId, UtcTimestamp};
use shared::outbox::{self, Status, Verdict};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry, seconds,
    settlement,
};

on_each_database! {
    an_old_fence_settles_nothing,
    another_relays_name_settles_nothing,
    settling_twice_is_a_lost_lease,
    a_batch_with_a_late_and_a_current_settlement_of_one_message_keeps_them_apart,
    one_lease_settled_twice_in_a_batch_counts_once,
    a_claim_that_was_not_answered_is_given_back_and_nothing_else,
}

fn settled_at() -> UtcTimestamp {
    moment().after(seconds(1))
}

async fn attempts(database: &TestDatabase, id: &OutboxMessageId) -> Vec<outbox::Attempt> {
    let id = id.clone();
    database
        .read(move |connection| outbox::attempts_of(connection, &id))
        .await
}

async fn an_old_fence_settles_nothing(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let old = database.claim_one(&relay, moment()).await;
    database
        .settle(&relay, &old, Verdict::Released { hold: None }, moment())
        .await;
    let current = database.claim_one(&relay, moment()).await;
    assert_eq!(
        current.attempt, old.attempt,
        "only the fence tells them apart"
    );
    let before = (database.message(&id).await, attempts(database, &id).await);

    for verdict in [
        accepted(),
        refused(),
        retry(settled_at()),
        Verdict::Pointless,
    ] {
        let settled = database.settle(&relay, &old, verdict, settled_at()).await;
        assert_eq!(
            (settled.settled, settled.leases_lost),
            (vec![], vec![id.clone()])
        );
    }
    assert_eq!(
        (database.message(&id).await, attempts(database, &id).await),
        before
    );
    database
        .settle(&relay, &current, accepted(), settled_at())
        .await;
}

async fn another_relays_name_settles_nothing(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let before = database.message(&id).await;
    let settled = database
        .settle(&relay("b"), &claimed, accepted(), settled_at())
        .await;
    assert_eq!(
        (settled.settled, settled.leases_lost),
        (vec![], vec![id.clone()])
    );
    assert_eq!(database.message(&id).await, before);
    assert_eq!(attempts(database, &id).await, []);
    database
        .settle(&relay("a"), &claimed, accepted(), settled_at())
        .await;
}

async fn settling_twice_is_a_lost_lease(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database
        .settle(&relay, &claimed, accepted(), settled_at())
        .await;
    let before = database.message(&id).await;
    let again = database
        .settle(&relay, &claimed, refused(), settled_at())
        .await;
    assert_eq!(again.leases_lost, std::slice::from_ref(&id));
    assert_eq!(database.message(&id).await, before);
    assert_eq!(attempts(database, &id).await, []);
}

async fn a_batch_with_a_late_and_a_current_settlement_of_one_message_keeps_them_apart(
    database: &TestDatabase,
) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let late = database.claim_one(&relay, moment()).await;
    database
        .settle(&relay, &late, retry(moment()), moment())
        .await;
    let current = database.claim_one(&relay, moment()).await;
    let recorded_before = attempts(database, &id).await.len();

    let batch = vec![
        settlement(&late, refused(), settled_at()),
        settlement(&current, accepted(), settled_at()),
    ];
    let settled = database.settle_all(&relay, batch, settled_at()).await;
    assert_eq!(settled.settled, [(id.clone(), Status::Sent)]);
    assert_eq!(settled.leases_lost, std::slice::from_ref(&id));
    assert_eq!(database.message(&id).await.status, Status::Sent);
    assert_eq!(attempts(database, &id).await.len(), recorded_before);
}

async fn one_lease_settled_twice_in_a_batch_counts_once(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    let batch = vec![
        settlement(&claimed, refused(), settled_at()),
        settlement(&claimed, accepted(), settled_at()),
    ];
    let settled = database.settle_all(&relay, batch, settled_at()).await;
    assert_eq!(settled.settled, [(id.clone(), Status::Failed)]);
    assert_eq!(settled.leases_lost, std::slice::from_ref(&id));
    assert_eq!(database.message(&id).await.status, Status::Failed);
    assert_eq!(attempts(database, &id).await.len(), 1);
}

async fn a_claim_that_was_not_answered_is_given_back_and_nothing_else(database: &TestDatabase) {
    let (relay, other) = (relay("a"), relay("b"));
    let mut claims = Vec::new();
    for (who, when) in [(&relay, 0), (&relay, 1), (&other, 1)] {
        database.enqueue(message()).await;
        let now = moment().after(seconds(when));
        claims.push(database.claim_one(who, now).await);
    }
    let lost = claims[1].clone();
    let lease_expires_at = lost.lease_expires_at.unwrap();
    let name = relay.clone();
    let given_back = database
        .write(move |transaction| {
            outbox::give_back_claim(transaction, &name, lost.channel, lease_expires_at)
        })
        .await;
    assert_eq!(given_back, 1);
    let row = database.message(&claims[1].id).await;
    assert_eq!((row.status, row.attempt), (Status::Pending, 0));
    assert_eq!(row.fence, 1, "a settlement of the lost claim cannot match");
    for still_held in [&claims[0], &claims[2]] {
        let row = database.message(&still_held.id).await;
        assert_eq!((row.status, row.attempt), (Status::Sending, 1));
    }
    database.leases_may_remain();
}
