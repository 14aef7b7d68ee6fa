use std::time::Duration;

use shared::domain::{OutboxMessageId, RelayName, UtcTimestamp};
use shared::outbox::{self, NewMessage, RESCUES_MAX, Reclaimed, SILENCE_MAX, Status, Verdict};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, relay, retry, seconds,
};

on_each_database! {
    a_silent_relays_messages_are_taken_back_after_four_seconds_and_not_before,
    a_lease_that_is_over_is_taken_back_although_its_relay_lives,
    a_relay_that_takes_its_leave_frees_what_it_holds,
    an_unknown_relay_holds_nothing,
    a_message_taken_back_from_its_last_attempt_has_failed,
    three_rescues_in_a_row_are_a_crash_loop,
    a_settlement_in_between_forgives_earlier_rescues,
    a_late_settlement_after_a_rescue_is_a_lost_lease,
    a_rescue_is_recorded_as_an_attempt_of_the_lost_relay,
    a_rescue_takes_no_more_than_asked,
    what_expired_while_it_waited_is_cancelled,
}

const A_MOMENT: Duration = Duration::from_micros(1);

async fn beat(database: &TestDatabase, relay: &RelayName, now: UtcTimestamp) {
    let relay = relay.clone();
    let known = database
        .write(move |transaction| outbox::heartbeat(transaction, &relay, 1, now))
        .await;
    assert!(known);
}

fn rescued(id: &OutboxMessageId) -> Reclaimed {
    Reclaimed {
        rescued: vec![id.clone()],
        failed: vec![],
    }
}

async fn a_silent_relays_messages_are_taken_back_after_four_seconds_and_not_before(
    database: &TestDatabase,
) {
    assert_eq!(SILENCE_MAX, seconds(4));
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    database.register(&relay, moment()).await;
    database.claim_one(&relay, moment()).await;
    // It lives: the silence is counted from the last heartbeat, not from the claim.
    let last_beat = moment().after(seconds(3));
    beat(database, &relay, last_beat).await;
    let silent = last_beat.after(SILENCE_MAX);
    assert_eq!(
        database.reclaim(silent.before(A_MOMENT)).await,
        Reclaimed::default()
    );
    assert_eq!(database.message(&id).await.status, Status::Sending);

    assert_eq!(database.reclaim(silent).await, rescued(&id));
    let row = database.message(&id).await;
    assert_eq!(
        (row.status, row.attempt, row.fence),
        (Status::Pending, 1, 1)
    );
    assert_eq!((row.rescues, row.outcome_unknown), (1, true));
    assert_eq!(
        (row.claimed_by, row.lease_expires_at, row.finished_at),
        (None, None, None)
    );
    assert_eq!(database.reclaim(silent).await, Reclaimed::default());
}

async fn a_lease_that_is_over_is_taken_back_although_its_relay_lives(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    database.register(&relay, moment()).await;
    let claimed = database.claim_one(&relay, moment()).await;
    let end = claimed.lease_expires_at.unwrap();
    beat(database, &relay, end).await;
    assert_eq!(
        database.reclaim(end.before(A_MOMENT)).await,
        Reclaimed::default()
    );
    assert_eq!(database.reclaim(end).await, rescued(&id));
}

async fn a_relay_that_takes_its_leave_frees_what_it_holds(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    database.register(&relay, moment()).await;
    database.claim_one(&relay, moment()).await;
    assert_eq!(database.reclaim(moment()).await, Reclaimed::default());
    database
        .write(move |transaction| outbox::deregister_relay(transaction, &relay))
        .await;
    assert_eq!(database.reclaim(moment()).await, rescued(&id));
}

async fn an_unknown_relay_holds_nothing(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    database.register(&relay("other"), moment()).await;
    database
        .claim_one(&relay("never-registered"), moment())
        .await;
    assert_eq!(database.reclaim(moment()).await, rescued(&id));
}

async fn a_message_taken_back_from_its_last_attempt_has_failed(database: &TestDatabase) {
    let new = NewMessage {
        attempts_max: 1,
        ..message()
    };
    let id = database.enqueue(new).await;
    database.claim_one(&relay("a"), moment()).await;
    let reclaimed = database.reclaim(moment()).await;
    assert_eq!(
        (reclaimed.rescued, reclaimed.failed),
        (vec![], vec![id.clone()])
    );
    let row = database.message(&id).await;
    assert_eq!(
        (row.status, row.finished_at),
        (Status::Failed, Some(moment()))
    );
    assert!(
        row.outcome_unknown,
        "it may have been delivered all the same"
    );
    assert!(row.last_error.unwrap().contains("last attempt"));
}

async fn three_rescues_in_a_row_are_a_crash_loop(database: &TestDatabase) {
    assert_eq!(RESCUES_MAX, 3);
    let new = NewMessage {
        attempts_max: 100,
        ..message()
    };
    let id = database.enqueue(new).await;
    for rescues in 1..=3 {
        // Each life of a relay has its own name.
        database
            .claim_one(&relay(&format!("life-{rescues}")), moment())
            .await;
        let reclaimed = database.reclaim(moment()).await;
        let row = database.message(&id).await;
        assert_eq!(row.rescues, rescues);
        if rescues < 3 {
            assert_eq!((reclaimed, row.status), (rescued(&id), Status::Pending));
        } else {
            assert_eq!(
                (reclaimed.failed, row.status),
                (vec![id.clone()], Status::Failed)
            );
            assert!(row.last_error.unwrap().starts_with("crash_loop"));
        }
    }
}

async fn a_settlement_in_between_forgives_earlier_rescues(database: &TestDatabase) {
    let new = NewMessage {
        attempts_max: 100,
        ..message()
    };
    let id = database.enqueue(new).await;
    let relay = relay("a");
    for verdict in [
        retry(moment()),
        Verdict::Postponed { due_at: moment() },
        Verdict::Released { hold: None },
        accepted(),
    ] {
        for rescues in 1..=2 {
            database.claim_one(&relay, moment()).await;
            assert_eq!(database.reclaim(moment()).await, rescued(&id));
            assert_eq!(database.message(&id).await.rescues, rescues);
        }
        let claimed = database.claim_one(&relay, moment()).await;
        database.settle(&relay, &claimed, verdict, moment()).await;
        assert_eq!(database.message(&id).await.rescues, 0);
    }
}

async fn a_late_settlement_after_a_rescue_is_a_lost_lease(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database.reclaim(moment()).await;
    let before = database.message(&id).await;
    let settled = database
        .settle(&relay, &claimed, accepted(), moment())
        .await;
    assert_eq!(settled.leases_lost, std::slice::from_ref(&id));
    assert_eq!(database.message(&id).await, before);
}

async fn a_rescue_is_recorded_as_an_attempt_of_the_lost_relay(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let lost = relay("lost");
    database.claim_one(&lost, moment()).await;
    database.reclaim(moment()).await;
    let recorded = database
        .read(move |connection| outbox::attempts_of(connection, &id))
        .await;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].relay, lost);
    assert_eq!((recorded[0].attempt, recorded[0].fence), (1, 1));
    assert_eq!(recorded[0].verdict, "rescued");
}

async fn a_rescue_takes_no_more_than_asked(database: &TestDatabase) {
    for _ in 0..5 {
        database.enqueue(message()).await;
    }
    assert_eq!(database.claim(&relay("a"), 5, moment()).await.len(), 5);
    for expected in [2, 2, 1, 0] {
        let reclaimed = database
            .write(|transaction| outbox::reclaim_over(transaction, moment(), 2))
            .await;
        assert_eq!(reclaimed.rescued.len(), expected);
    }
}

async fn what_expired_while_it_waited_is_cancelled(database: &TestDatabase) {
    let expires_at = moment().after(seconds(10));
    let expiring = || NewMessage {
        expires_at: Some(expires_at),
        ..message()
    };
    let in_hand = database.enqueue(expiring()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(database.enqueue(expiring()).await);
    }
    let lasting = database.enqueue(message()).await;

    let cancel = async |now, limit| {
        database
            .write(move |transaction| outbox::cancel_expired(transaction, now, limit))
            .await
    };
    assert_eq!(cancel(expires_at.before(A_MOMENT), 100).await, 0);
    assert_eq!(cancel(expires_at, 2).await, 2);
    assert_eq!(cancel(expires_at, 100).await, 1);
    assert_eq!(cancel(expires_at, 100).await, 0);
    for id in &waiting {
        let row = database.message(id).await;
        assert_eq!(
            (row.status, row.finished_at),
            (Status::Cancelled, Some(expires_at))
        );
        assert!(row.last_error.unwrap().contains("expired"));
    }
    assert_eq!(database.message(&in_hand).await.status, Status::Sending);
    assert_eq!(database.message(&lasting).await.status, Status::Pending);
    database
        .settle(&relay, &claimed, accepted(), expires_at)
        .await;
}
