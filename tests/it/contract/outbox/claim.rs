use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::db::{Database, PoolOptions};
use shared::domain::{Channel, OutboxMessageId, RecipientId, RelayName};
use shared::outbox::{self, ClaimOrder, ClaimedMessage, NewMessage, Priority, Status};
use tokio::sync::Barrier;

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, relay, retry, seconds,
};

on_each_database! {
    the_most_urgent_come_first_and_the_longest_due_among_equals,
    a_claim_leases_the_message_and_counts_the_attempt,
    nothing_is_claimed_before_it_is_due,
    nothing_is_claimed_once_it_has_expired,
    a_claim_takes_only_what_the_channel_has_and_no_more_than_asked,
    what_is_leased_or_finished_is_not_claimed_again,
    a_recipient_gets_one_message_at_a_time,
    a_stream_of_urgent_messages_does_not_stop_the_others,
    a_flood_of_others_leaves_room_for_what_is_urgent,
    two_relays_at_one_instant_share_nothing,
    a_claim_passes_over_rows_that_another_transaction_is_claiming,
}

async fn the_most_urgent_come_first_and_the_longest_due_among_equals(database: &TestDatabase) {
    database.leases_may_remain();
    let mut expected = Vec::new();
    // Enqueued in another order than they are wanted in.
    for (priority, age) in [
        (Priority::Low, 900),
        (Priority::High, 10),
        (Priority::Medium, 500),
        (Priority::High, 20),
        (Priority::Low, 950),
        (Priority::Medium, 600),
        (Priority::High, 0),
        (Priority::Medium, 1),
    ] {
        let due_at = moment().before(seconds(age));
        let id = database
            .enqueue(NewMessage {
                priority,
                due_at,
                ..message()
            })
            .await;
        expected.push((priority, due_at, id));
    }
    expected.sort();
    let expected: Vec<OutboxMessageId> = expected.into_iter().map(|(_, _, id)| id).collect();
    let mut claimed = Vec::new();
    for limit in [3, 4, 100] {
        let batch = database.claim(&relay("a"), limit, moment()).await;
        claimed.extend(batch.into_iter().map(|message| message.id));
    }
    assert_eq!(claimed, expected);
}

async fn a_claim_leases_the_message_and_counts_the_attempt(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    let lease_end = moment().after(seconds(30));
    assert_eq!(
        (
            &claimed.id,
            claimed.attempt,
            claimed.attempts_max,
            claimed.fence
        ),
        (&id, 1, 3, 1)
    );
    assert_eq!(claimed.lease_expires_at, Some(lease_end));
    let row = database.message(&id).await;
    assert_eq!(
        (row.status, row.attempt, row.fence),
        (Status::Sending, 1, 1)
    );
    assert_eq!(row.claimed_by.as_ref(), Some(&relay));
    assert_eq!(row.lease_expires_at, Some(lease_end));
    assert_eq!(claimed.payload, row.payload);
    database
        .settle(&relay, &claimed, accepted(), moment())
        .await;
}

async fn nothing_is_claimed_before_it_is_due(database: &TestDatabase) {
    let due_at = moment().after(seconds(10));
    database
        .enqueue(NewMessage {
            due_at,
            ..message()
        })
        .await;
    let relay = relay("a");
    let just_before = due_at.before(Duration::from_micros(1));
    assert_eq!(database.claim(&relay, 10, just_before).await.len(), 0);
    let claimed = database.claim_one(&relay, due_at).await;
    database.settle(&relay, &claimed, accepted(), due_at).await;
}

async fn nothing_is_claimed_once_it_has_expired(database: &TestDatabase) {
    let expires_at = moment().after(seconds(10));
    let relay = relay("a");
    for _ in 0..2 {
        let new = NewMessage {
            expires_at: Some(expires_at),
            ..message()
        };
        database.enqueue(new).await;
    }
    let just_before = expires_at.before(Duration::from_micros(1));
    let claimed = database.claim_one(&relay, just_before).await;
    assert_eq!(database.claim(&relay, 10, expires_at).await.len(), 0);
    // What was begun in time may end later.
    let settled = database
        .settle(&relay, &claimed, accepted(), expires_at)
        .await;
    assert_eq!(settled.settled, [(claimed.id, Status::Sent)]);
}

async fn a_claim_takes_only_what_the_channel_has_and_no_more_than_asked(database: &TestDatabase) {
    database.leases_may_remain();
    for channel in [
        Channel::WechatCloud,
        Channel::WechatSubscribe,
        Channel::WecomApp,
    ] {
        for _ in 0..3 {
            database
                .enqueue(NewMessage {
                    channel,
                    ..message()
                })
                .await;
        }
    }
    assert_eq!(database.claim(&relay("a"), 0, moment()).await.len(), 0);
    for expected in [2, 1, 0] {
        let claimed = database.claim(&relay("a"), 2, moment()).await;
        assert_eq!(claimed.len(), expected);
        assert!(
            claimed
                .iter()
                .all(|m| m.channel == Channel::WechatSubscribe)
        );
    }
}

async fn what_is_leased_or_finished_is_not_claimed_again(database: &TestDatabase) {
    database.enqueue(message()).await;
    let (a, b) = (relay("a"), relay("b"));
    let claimed = database.claim_one(&a, moment()).await;
    assert_eq!(database.claim(&b, 10, moment()).await.len(), 0);
    // Not even after the lease is over: reclaiming is a verb of its own.
    assert_eq!(
        database
            .claim(&b, 10, moment().after(seconds(3_600)))
            .await
            .len(),
        0
    );
    let later = moment().after(seconds(5));
    database.settle(&a, &claimed, retry(later), moment()).await;
    let claimed = database.claim_one(&b, later).await;
    assert_eq!((claimed.attempt, claimed.fence), (2, 2));
    database.settle(&b, &claimed, accepted(), later).await;
    assert_eq!(
        database
            .claim(&a, 10, later.after(seconds(3_600)))
            .await
            .len(),
        0
    );
}

async fn a_recipient_gets_one_message_at_a_time(database: &TestDatabase) {
    let (busy, free) = (message().recipient_id, message().recipient_id);
    for recipient in [&busy, &busy, &busy, &busy, &busy, &free] {
        let message = NewMessage {
            recipient_id: recipient.clone(),
            ..message()
        };
        database.enqueue(message).await;
    }
    let claim = async |busy_recipients: Vec<RecipientId>| {
        let order = ClaimOrder {
            busy_recipients,
            ..order(&relay("a"), 10)
        };
        let claimed = database
            .write(move |transaction| outbox::claim_due(transaction, &order, moment()))
            .await;
        claimed
            .iter()
            .map(|message| message.recipient_id.clone())
            .collect::<Vec<_>>()
    };
    database.leases_may_remain();
    assert_eq!(claim(vec![busy.clone()]).await, std::slice::from_ref(&free));
    assert_eq!(claim(vec![busy.clone()]).await, []);
    for _ in 0..5 {
        assert_eq!(claim(vec![free.clone()]).await, std::slice::from_ref(&busy));
    }
    assert_eq!(claim(vec![free]).await, []);
}

async fn enqueue_many(database: &TestDatabase, priority: Priority, count: usize) {
    let messages = (0..count)
        .map(|_| NewMessage {
            priority,
            ..message()
        })
        .collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
}

/// How many of each priority, most urgent first, so many claims of so many messages take.
async fn taken(database: &TestDatabase, limit: usize, claims: u64) -> [usize; 3] {
    let mut taken = [0; 3];
    for round in 0..claims {
        let order = ClaimOrder {
            round,
            ..order(&relay("a"), limit)
        };
        let claimed = database
            .write(move |transaction| outbox::claim_due(transaction, &order, moment()))
            .await;
        assert_eq!(claimed.len(), limit);
        for message in claimed {
            taken[message.priority as usize] += 1;
        }
    }
    taken
}

async fn a_stream_of_urgent_messages_does_not_stop_the_others(database: &TestDatabase) {
    database.leases_may_remain();
    for priority in [Priority::High, Priority::Medium, Priority::Low] {
        enqueue_many(database, priority, 200).await;
    }
    // One eighth each of a large claim; of small ones, one in eight, in turn.
    assert_eq!(taken(database, 40, 1).await, [30, 5, 5]);
    assert_eq!(taken(database, 1, 48).await, [44, 2, 2]);
    // With nothing urgent left, all of it is for the others.
    let rest = taken(database, 60, 3).await;
    assert_eq!(rest.iter().sum::<usize>(), 180);
    assert!(rest[0] >= 126, "{rest:?}");
}

async fn a_flood_of_others_leaves_room_for_what_is_urgent(database: &TestDatabase) {
    database.leases_may_remain();
    enqueue_many(database, Priority::Medium, 50).await;
    enqueue_many(database, Priority::Low, 50).await;
    let claim = async |limit_below_high| {
        let order = ClaimOrder {
            limit_below_high,
            ..order(&relay("a"), 16)
        };
        let claimed = database
            .write(move |transaction| outbox::claim_due(transaction, &order, moment()))
            .await;
        let is_urgent = |message: &&ClaimedMessage| message.priority == Priority::High;
        (claimed.iter().filter(is_urgent).count(), claimed.len())
    };
    assert_eq!(claim(14).await, (0, 14));
    assert_eq!(claim(0).await, (0, 0));
    enqueue_many(database, Priority::High, 3).await;
    assert_eq!(claim(0).await, (3, 3));
}

fn order(relay: &RelayName, limit: usize) -> ClaimOrder {
    ClaimOrder {
        relay: relay.clone(),
        channel: Channel::WechatSubscribe,
        limit,
        limit_below_high: limit,
        lease: seconds(30),
        busy_recipients: Vec::new(),
        probe_interval: seconds(60),
        round: 0,
    }
}

async fn two_relays_at_one_instant_share_nothing(database: &TestDatabase) {
    database.leases_may_remain();
    let messages = (0..200).map(|_| message()).collect::<Vec<_>>();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let barrier = Arc::new(Barrier::new(2));
    let mut relays = Vec::new();
    for name in ["a", "b"] {
        // Each has a pool and a writer of its own, like another process.
        let own = Database::connect(database.url(), PoolOptions::default())
            .await
            .unwrap();
        let barrier = Arc::clone(&barrier);
        relays.push(tokio::spawn(async move {
            let name = relay(name);
            let mut claimed = Vec::new();
            for _ in 0..10 {
                barrier.wait().await;
                let order = order(&name, 10);
                let batch = own
                    .write(move |transaction| outbox::claim_due(transaction, &order, moment()))
                    .await
                    .unwrap();
                claimed.extend(batch.into_iter().map(|message| message.id));
            }
            claimed
        }));
    }
    let mut claimed = Vec::new();
    for relay in relays {
        let own = relay.await.unwrap();
        assert_eq!(
            own.len(),
            100,
            "the rows the other one locks are passed over"
        );
        claimed.extend(own);
    }
    let distinct: BTreeSet<&OutboxMessageId> = claimed.iter().collect();
    assert_eq!(distinct.len(), 200);
    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|row| row.fence == 1 && row.attempt == 1),
        "a message was claimed twice"
    );
}

/// While one relay's claim is not committed yet, another one's neither waits for it nor takes the
/// same rows. (With a single writer the second claim begins after the first has ended.)
async fn a_claim_passes_over_rows_that_another_transaction_is_claiming(database: &TestDatabase) {
    database.leases_may_remain();
    for _ in 0..4 {
        database.enqueue(message()).await;
    }
    let (first_claimed, first_has_claimed) = tokio::sync::oneshot::channel();
    let (commit, wait_for_commit) = std::sync::mpsc::channel();
    let first = tokio::spawn({
        let database = database.database().clone();
        async move {
            database
                .write(move |transaction| {
                    let claimed = outbox::claim_due(transaction, &order(&relay("a"), 2), moment())?;
                    first_claimed.send(()).unwrap();
                    // The other claim need not come through while this one is open.
                    let _ = wait_for_commit.recv_timeout(Duration::from_millis(300));
                    Ok::<_, shared::db::DbError>(claimed)
                })
                .await
        }
    });
    first_has_claimed.await.unwrap();
    let second = database.claim(&relay("b"), 10, moment()).await;
    let _ = commit.send(());
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(first.iter().all(|a| second.iter().all(|b| a.id != b.id)));
}
