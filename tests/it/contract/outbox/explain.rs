use shared::domain::{Channel, OutboxMessageId, UtcTimestamp};
use shared::outbox::{
    self, Cause, Explanation, HoldCause, HoldOrder, NewMessage, Priority, SILENCE_MAX, Verdict,
    Wish, hold_channel,
};

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, report, retry,
    seconds, settlement,
};

on_each_database! {
    a_pending_message_says_what_it_waits_for,
    a_message_in_hand_says_whose_and_what_if_they_are_silent,
    a_held_channel_is_the_cause_with_its_reason_and_next_probe,
    the_message_that_caused_the_hold_waits_for_it_too,
    a_finished_message_says_how_it_ended,
    whoever_cancelled_it_is_named_with_the_reason,
    a_message_that_does_not_exist_has_no_explanation,
}

fn later() -> UtcTimestamp {
    moment().after(seconds(60))
}

async fn explain_at(
    database: &TestDatabase,
    id: &OutboxMessageId,
    now: UtcTimestamp,
) -> Explanation {
    let id = id.clone();
    database
        .read(move |connection| outbox::explain(connection, &id, now))
        .await
        .expect("the message is there")
}

async fn cause(database: &TestDatabase, id: &OutboxMessageId) -> Cause {
    explain_at(database, id, moment()).await.cause
}

async fn a_pending_message_says_what_it_waits_for(database: &TestDatabase) {
    let due = database.enqueue(message()).await;
    assert_eq!(cause(database, &due).await, Cause::NoLiveRelay);
    let explanation = explain_at(database, &due, moment()).await;
    assert_eq!(
        (explanation.text.as_str(), explanation.expected_at),
        ("no relay is alive", None)
    );
    assert!(explanation.fix.unwrap().contains("outbox-relay"));

    database.register(&relay("a"), moment()).await;
    let waits = |ahead| Cause::InLine {
        ahead,
        due_since: moment(),
    };
    assert_eq!(cause(database, &due).await, waits(0));
    for (priority, channel) in [
        (Priority::High, Channel::WechatSubscribe),
        (Priority::High, Channel::WechatCloud),
        (Priority::Low, Channel::WechatSubscribe),
    ] {
        database
            .enqueue(NewMessage {
                priority,
                channel,
                ..message()
            })
            .await;
    }
    assert_eq!(cause(database, &due).await, waits(1));

    let future = database
        .enqueue(NewMessage {
            due_at: later(),
            ..message()
        })
        .await;
    let explanation = explain_at(database, &future, moment()).await;
    assert_eq!(explanation.cause, Cause::NotDue { until: later() });
    assert_eq!(
        (explanation.expected_at, explanation.fix),
        (Some(later()), None)
    );

    let expiring = database
        .enqueue(NewMessage {
            expires_at: Some(moment()),
            ..message()
        })
        .await;
    assert_eq!(
        cause(database, &expiring).await,
        Cause::Expired { at: Some(moment()) }
    );
}

async fn a_message_in_hand_says_whose_and_what_if_they_are_silent(database: &TestDatabase) {
    let a = relay("a");
    database.register(&a, moment()).await;
    let id = database.enqueue(message()).await;
    let claimed = database.claim_one(&a, moment()).await;
    let until = claimed.lease_expires_at.unwrap();
    assert_eq!(
        cause(database, &id).await,
        Cause::Leased {
            relay: a.clone(),
            until
        }
    );
    let same_recipient = database
        .enqueue(NewMessage {
            recipient_id: claimed.recipient_id.clone(),
            ..message()
        })
        .await;
    assert_eq!(
        cause(database, &same_recipient).await,
        Cause::BehindSameRecipient {
            message: id.clone()
        }
    );

    let silent_at = moment().after(SILENCE_MAX);
    let silent = |live_relays| Cause::RelaySilent {
        relay: a.clone(),
        reclaimed_at: silent_at,
        live_relays,
    };
    let alone = explain_at(database, &id, silent_at).await;
    assert_eq!((alone.cause, alone.expected_at), (silent(0), None));
    assert!(alone.fix.is_some());
    database.register(&relay("b"), silent_at).await;
    let not_alone = explain_at(database, &id, silent_at).await;
    assert_eq!(
        (not_alone.cause, not_alone.expected_at, not_alone.fix),
        (silent(1), Some(silent_at), None)
    );
    database
        .settle(&a, &claimed, retry(later()), moment())
        .await;
    let retrying = explain_at(database, &id, moment()).await;
    assert_eq!(
        retrying.cause,
        Cause::WaitsForRetry {
            until: later(),
            attempts: 1,
            attempts_max: 3,
            error: Some("reach max api daily quota limit".to_owned()),
        }
    );
    assert_eq!(retrying.expected_at, Some(later()));
}

fn hold(probe_at: Option<UtcTimestamp>, reason: &str) -> HoldOrder {
    HoldOrder {
        channel: Channel::WechatSubscribe,
        cause: HoldCause::Platform,
        reason: reason.to_owned(),
        errcode: Some(40_125),
        probe_at,
        held_by: "a".to_owned(),
    }
}

async fn a_held_channel_is_the_cause_with_its_reason_and_next_probe(database: &TestDatabase) {
    database.register(&relay("a"), moment()).await;
    let id = database.enqueue(message()).await;
    let other_channel = database
        .enqueue(NewMessage {
            channel: Channel::WechatCloud,
            ..message()
        })
        .await;
    let future = database
        .enqueue(NewMessage {
            due_at: later().after(seconds(1)),
            ..message()
        })
        .await;
    for probe_at in [Some(later()), None] {
        let order = hold(probe_at, "invalid appsecret");
        database
            .write(move |transaction| hold_channel(transaction, order, moment()))
            .await;
        let explanation = explain_at(database, &id, moment()).await;
        let held = Cause::ChannelHeld {
            reason: "invalid appsecret".to_owned(),
            errcode: Some(40_125),
            held_by: "a".to_owned(),
            since: moment(),
            probe_at,
        };
        assert_eq!(
            (&explanation.cause, explanation.expected_at),
            (&held, probe_at)
        );
        assert!(explanation.text.contains("invalid appsecret"));
        assert!(matches!(
            cause(database, &other_channel).await,
            Cause::InLine { .. }
        ));
        // Whichever lasts longer.
        let longer = match probe_at {
            Some(_) => Cause::NotDue {
                until: later().after(seconds(1)),
            },
            None => held,
        };
        assert_eq!(cause(database, &future).await, longer);
    }
}

async fn the_message_that_caused_the_hold_waits_for_it_too(database: &TestDatabase) {
    let a = relay("a");
    database.register(&a, moment()).await;
    let id = database.enqueue(message()).await;
    let claimed = database.claim_one(&a, moment()).await;
    let mut settlement = settlement(
        &claimed,
        Verdict::Released {
            hold: Some(hold(Some(later()), "invalid appsecret")),
        },
        moment(),
    );
    settlement.report.error = Some("invalid appsecret".to_owned());
    database.settle_all(&a, vec![settlement], moment()).await;
    assert!(database.message(&id).await.due_at > later());
    assert!(matches!(
        cause(database, &id).await,
        Cause::ChannelHeld { .. }
    ));
}

async fn a_finished_message_says_how_it_ended(database: &TestDatabase) {
    let a = relay("a");
    let words = || Some("reach max api daily quota limit".to_owned());
    let rule = || Some("test/rule".to_owned());
    for (verdict, expected) in [
        (accepted(), Cause::Sent { at: moment() }),
        (
            Verdict::PresumedAccepted,
            Cause::PresumedSent { at: moment() },
        ),
        (
            refused(),
            Cause::Refused {
                errcode: Some(45_009),
                rule: rule(),
                error: words(),
            },
        ),
        (
            retry(later()),
            Cause::AttemptsUsedUp {
                attempts: 1,
                errcode: Some(45_009),
                rule: rule(),
                error: words(),
            },
        ),
        (Verdict::Pointless, Cause::NothingToDo { reason: words() }),
    ] {
        let id = database
            .enqueue(NewMessage {
                attempts_max: 1,
                ..message()
            })
            .await;
        let claimed = database.claim_one(&a, moment()).await;
        database.settle(&a, &claimed, verdict, moment()).await;
        assert_eq!(cause(database, &id).await, expected);
    }
    for (errcode, error, expected) in [
        (Some(43_101), "user refuse to accept", Cause::NoSubscription),
        (
            None,
            "the recipient has no binding for this app",
            Cause::NoBinding,
        ),
        (None, "the route is switched off", Cause::RouteOff),
    ] {
        let id = database.enqueue(message()).await;
        let claimed = database.claim_one(&a, moment()).await;
        let mut settlement = settlement(&claimed, Verdict::Pointless, moment());
        settlement.report = outbox::AttemptReport {
            errcode,
            error: Some(error.to_owned()),
            ..report(moment())
        };
        database.settle_all(&a, vec![settlement], moment()).await;
        assert_eq!(cause(database, &id).await, expected);
        assert!(explain_at(database, &id, moment()).await.fix.is_some());
    }
    let crashing = database
        .enqueue(NewMessage {
            attempts_max: 100,
            ..message()
        })
        .await;
    for _ in 0..3 {
        database.claim_one(&relay("b"), moment()).await;
        database.reclaim(moment()).await;
    }
    assert_eq!(
        cause(database, &crashing).await,
        Cause::CrashLoop { rescues: 3 }
    );
}

async fn whoever_cancelled_it_is_named_with_the_reason(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    database
        .repair(std::slice::from_ref(&id), Wish::Cancel, later())
        .await
        .unwrap();
    let explanation = explain_at(database, &id, later()).await;
    assert_eq!(
        explanation.cause,
        Cause::Cancelled {
            by: Some("li".to_owned()),
            at: Some(later()),
            reason: Some("模板已修复".to_owned()),
        }
    );
    let expired = database
        .enqueue(NewMessage {
            expires_at: Some(moment()),
            ..message()
        })
        .await;
    database
        .write(|transaction| outbox::cancel_expired(transaction, later(), 10))
        .await;
    assert_eq!(
        cause(database, &expired).await,
        Cause::Expired { at: Some(later()) }
    );
}

async fn a_message_that_does_not_exist_has_no_explanation(database: &TestDatabase) {
    let nothing = database
        .read(|connection| outbox::explain(connection, &OutboxMessageId::generate(), moment()))
        .await;
    assert_eq!(nothing, None);
}
