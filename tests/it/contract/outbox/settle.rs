use shared::domain::UtcTimestamp;
use shared::outbox::{
    self, AttemptReport, HoldCause, HoldOrder, Message, NewMessage, Outcome, Settled, Settlement,
    Status, Verdict, Wish,
};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, report, retry,
    seconds, settlement,
};

on_each_database! {
    every_verdict_leaves_the_row_as_it_should,
    a_retry_after_the_last_attempt_has_failed,
    a_postponed_attempt_does_not_count_even_if_it_was_the_last,
    a_released_message_gets_its_attempt_back_but_a_new_fence,
    what_was_unknown_once_stays_unknown_until_it_is_accepted,
    a_large_batch_settles_every_row_with_its_own_values,
    what_did_not_simply_succeed_is_recorded,
    settling_nothing_does_nothing,
    a_presumed_success_is_sent_and_stays_marked,
    words_that_a_database_cannot_store_do_not_stop_a_settlement,
    a_message_that_held_its_channel_goes_behind_the_next_probe,
}

const LATER: u64 = 90;

async fn a_presumed_success_is_sent_and_stays_marked(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let first = database.claim_one(&relay("a"), moment()).await;
    let unknown = Verdict::Retry {
        due_at: moment(),
        outcome: Outcome::Unknown,
    };
    database
        .settle(&relay("a"), &first, unknown, moment())
        .await;
    let second = database.claim_one(&relay("a"), moment()).await;
    assert!(second.outcome_unknown);
    database
        .settle(&relay("a"), &second, Verdict::PresumedAccepted, moment())
        .await;
    let row = database.message(&id).await;
    assert_eq!((row.status, row.outcome_unknown), (Status::Sent, true));
    assert!(row.sent_at.is_some());
}

async fn words_that_a_database_cannot_store_do_not_stop_a_settlement(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let mut settlement = settlement(&claimed, refused(), moment());
    settlement.report.error = Some("a\0b\nc".to_owned());
    database
        .settle_all(&relay("a"), vec![settlement], moment())
        .await;
    assert_eq!(
        database.message(&id).await.last_error.as_deref(),
        Some("a b c")
    );
}

async fn a_message_that_held_its_channel_goes_behind_the_next_probe(database: &TestDatabase) {
    let (objected_to, harmless) = (
        database.enqueue(message()).await,
        database.enqueue(message()).await,
    );
    let claimed = database.claim_one(&relay("a"), moment()).await;
    assert_eq!(claimed.id, objected_to);
    let hold = HoldOrder {
        channel: claimed.channel,
        cause: HoldCause::Platform,
        reason: "banned".to_owned(),
        errcode: Some(43_107),
        probe_at: Some(later()),
        held_by: "a".to_owned(),
    };
    let held = Verdict::Released { hold: Some(hold) };
    database.settle(&relay("a"), &claimed, held, moment()).await;
    let probe = database.claim_one(&relay("a"), later()).await;
    assert_eq!(probe.id, harmless);
    database
        .settle(&relay("a"), &probe, accepted(), later())
        .await;
}

fn later() -> UtcTimestamp {
    moment().after(seconds(LATER))
}

fn settled_at() -> UtcTimestamp {
    moment().after(seconds(1))
}

async fn every_verdict_leaves_the_row_as_it_should(database: &TestDatabase) {
    struct Expected {
        verdict: Verdict,
        status: Status,
        attempt: i32,
        due_at: UtcTimestamp,
        outcome_unknown: bool,
        error_kept: bool,
        provider_message_id: Option<&'static str>,
    }
    let nothing_special = |verdict, status| Expected {
        verdict,
        status,
        attempt: 1,
        due_at: moment(),
        outcome_unknown: false,
        error_kept: true,
        provider_message_id: None,
    };
    let unknown = Verdict::Retry {
        due_at: later(),
        outcome: Outcome::Unknown,
    };
    let cases = [
        Expected {
            error_kept: false,
            provider_message_id: Some("9007199254740993"),
            ..nothing_special(accepted(), Status::Sent)
        },
        Expected {
            due_at: later(),
            ..nothing_special(retry(later()), Status::Pending)
        },
        Expected {
            due_at: later(),
            outcome_unknown: true,
            ..nothing_special(unknown, Status::Pending)
        },
        Expected {
            due_at: later(),
            attempt: 0,
            ..nothing_special(Verdict::Postponed { due_at: later() }, Status::Pending)
        },
        nothing_special(refused(), Status::Failed),
        nothing_special(Verdict::Pointless, Status::Skipped),
        Expected {
            attempt: 0,
            ..nothing_special(Verdict::Released { hold: None }, Status::Pending)
        },
    ];
    let relay = relay("a");
    for expected in cases {
        let word = expected.verdict.as_str();
        let id = database.enqueue(message()).await;
        let claimed = database.claim_one(&relay, moment()).await;
        assert_eq!(claimed.id, id);
        let settled = database
            .settle(&relay, &claimed, expected.verdict, settled_at())
            .await;
        assert_eq!(settled.settled, [(id.clone(), expected.status)], "{word}");
        assert_eq!(settled.leases_lost, [], "{word}");

        let row = database.message(&id).await;
        let is_final = expected.status.is_final();
        assert_eq!(row.status, expected.status, "{word}");
        assert_eq!((row.attempt, row.fence), (expected.attempt, 1), "{word}");
        assert_eq!(row.due_at, expected.due_at, "{word}");
        assert_eq!(row.outcome_unknown, expected.outcome_unknown, "{word}");
        assert_eq!(
            row.provider_message_id.as_deref(),
            expected.provider_message_id,
            "{word}"
        );
        assert_eq!(
            (row.claimed_by, row.lease_expires_at),
            (None, None),
            "{word}"
        );
        assert_eq!(row.finished_at, is_final.then(settled_at), "{word}");
        let sent = expected.status == Status::Sent;
        assert_eq!(row.sent_at, sent.then(settled_at), "{word}");
        assert_eq!(
            row.last_errcode,
            expected.error_kept.then_some(45_009),
            "{word}"
        );
        assert_eq!(row.last_error.is_some(), expected.error_kept, "{word}");

        clear(database).await;
    }
}

async fn a_retry_after_the_last_attempt_has_failed(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let mut now = moment();
    for (attempt, status) in [
        (1, Status::Pending),
        (2, Status::Pending),
        (3, Status::Failed),
    ] {
        let claimed = database.claim_one(&relay, now).await;
        assert_eq!(claimed.attempt, attempt);
        now = now.after(seconds(LATER));
        let settled = database.settle(&relay, &claimed, retry(now), now).await;
        assert_eq!(settled.settled, [(id.clone(), status)]);
        assert_eq!(database.message(&id).await.status, status);
    }
    assert_eq!(
        database
            .claim(&relay, 1, now.after(seconds(86_400)))
            .await
            .len(),
        0
    );
}

async fn a_postponed_attempt_does_not_count_even_if_it_was_the_last(database: &TestDatabase) {
    let new = NewMessage {
        attempts_max: 1,
        ..message()
    };
    let id = database.enqueue(new).await;
    let relay = relay("a");
    let mut now = moment();
    for fence in 1..=5 {
        let claimed = database.claim_one(&relay, now).await;
        assert_eq!((claimed.attempt, claimed.fence), (1, fence));
        now = now.after(seconds(2));
        database
            .settle(&relay, &claimed, Verdict::Postponed { due_at: now }, now)
            .await;
        let row = database.message(&id).await;
        assert_eq!(
            (row.status, row.attempt, row.due_at),
            (Status::Pending, 0, now)
        );
    }
}

async fn a_released_message_gets_its_attempt_back_but_a_new_fence(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let (a, b) = (relay("a"), relay("b"));
    let claimed = database.claim_one(&a, moment()).await;
    database
        .settle(&a, &claimed, Verdict::Released { hold: None }, moment())
        .await;
    let row = database.message(&id).await;
    assert_eq!((row.attempt, row.fence, row.due_at), (0, 1, moment()));
    // At once, and by anybody.
    let claimed = database.claim_one(&b, moment()).await;
    assert_eq!((claimed.attempt, claimed.fence), (1, 2));
    database.settle(&b, &claimed, accepted(), moment()).await;
}

async fn what_was_unknown_once_stays_unknown_until_it_is_accepted(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let unknown = Verdict::Retry {
        due_at: moment(),
        outcome: Outcome::Unknown,
    };
    for (verdict, outcome_unknown) in [
        (unknown, true),
        (retry(moment()), true),
        (Verdict::Postponed { due_at: moment() }, true),
        (accepted(), false),
    ] {
        let claimed = database.claim_one(&relay, moment()).await;
        database.settle(&relay, &claimed, verdict, moment()).await;
        assert_eq!(database.message(&id).await.outcome_unknown, outcome_unknown);
    }
}

async fn a_large_batch_settles_every_row_with_its_own_values(database: &TestDatabase) {
    let messages = (0..600).map(|_| message()).collect::<Vec<_>>();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    let relay = relay("a");
    let claimed = database.claim(&relay, 600, moment()).await;
    let batch: Vec<Settlement> = claimed
        .iter()
        .enumerate()
        .map(|(number, message)| {
            let verdict = match number % 3 {
                0 => Verdict::Accepted {
                    provider_message_id: Some(format!("provider-{number}")),
                },
                1 => retry(moment().after(seconds(number as u64))),
                _ => refused(),
            };
            let mut settlement = settlement(message, verdict, settled_at());
            settlement.report.errcode = Some(number as i64);
            settlement.report.error = Some(format!("error {number}"));
            settlement
        })
        .collect();
    let settled = database.settle_all(&relay, batch, settled_at()).await;
    assert_eq!((settled.settled.len(), settled.leases_lost.len()), (600, 0));
    for (number, message) in claimed.iter().enumerate() {
        let row = database.message(&message.id).await;
        let seen = (
            row.status,
            row.provider_message_id,
            row.last_errcode,
            row.due_at,
        );
        let expected = match number % 3 {
            0 => (
                Status::Sent,
                Some(format!("provider-{number}")),
                None,
                moment(),
            ),
            1 => {
                let due_at = moment().after(seconds(number as u64));
                (Status::Pending, None, Some(number as i64), due_at)
            }
            _ => (Status::Failed, None, Some(number as i64), moment()),
        };
        assert_eq!(seen, expected);
    }
}

async fn what_did_not_simply_succeed_is_recorded(database: &TestDatabase) {
    let id = database
        .enqueue(NewMessage {
            attempts_max: 10,
            ..message()
        })
        .await;
    let relay = relay("a");
    let unknown = Verdict::Retry {
        due_at: moment(),
        outcome: Outcome::Unknown,
    };
    let verdicts = [
        retry(moment()),
        unknown,
        Verdict::Postponed { due_at: moment() },
        Verdict::Released { hold: None },
        accepted(),
    ];
    for verdict in verdicts {
        let claimed = database.claim_one(&relay, moment()).await;
        database
            .settle(&relay, &claimed, verdict, settled_at())
            .await;
    }
    let AttemptReport { rule, error, .. } = report(moment());
    let recorded = attempts(database, &id).await;
    let seen: Vec<_> = recorded
        .iter()
        .map(|a| (a.attempt, a.fence, a.verdict.as_str()))
        .collect();
    assert_eq!(
        seen,
        [(1, 1, "retry"), (2, 2, "unknown"), (3, 3, "postponed")]
    );
    for attempt in &recorded {
        assert_eq!((&attempt.relay, &attempt.rule), (&relay, &rule));
        assert_eq!(
            (attempt.started_at, attempt.duration_ms),
            (settled_at(), 120)
        );
        assert_eq!(
            (attempt.http_status, attempt.errcode, &attempt.errmsg),
            (Some(200), Some(45_009), &error)
        );
    }
}

async fn settling_nothing_does_nothing(database: &TestDatabase) {
    let settled = database.settle_all(&relay("a"), Vec::new(), moment()).await;
    assert_eq!(settled, Settled::default());
}

async fn attempts(
    database: &TestDatabase,
    id: &shared::domain::OutboxMessageId,
) -> Vec<outbox::Attempt> {
    let id = id.clone();
    database
        .read(move |connection| outbox::attempts_of(connection, &id))
        .await
}

/// Cancels what still waits, so that the next case is alone.
async fn clear(database: &TestDatabase) {
    let waiting: Vec<Message> = database.messages().await;
    for row in waiting
        .into_iter()
        .filter(|row| row.status == Status::Pending)
    {
        database
            .repair(&[row.id], Wish::Cancel, moment())
            .await
            .unwrap();
    }
}
