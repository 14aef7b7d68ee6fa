use std::sync::Arc;

use diesel::prelude::*;
use shared::db::schema::operation_logs;
use shared::db::{Database, PoolOptions};
use shared::domain::{Channel, UtcTimestamp};
use shared::operation_log::Actor;
use shared::outbox::{self, ClaimOrder, Hold, HoldCause, HoldOrder, NewMessage, Verdict};
use tokio::sync::Barrier;

use crate::harness::{
    TestDatabase, accepted, message, moment, on_each_database, refused, relay, retry, seconds,
    settlement,
};

on_each_database! {
    nothing_is_claimed_on_a_held_channel,
    a_hold_stops_its_channel_only,
    one_probe_goes_through_per_interval,
    a_probe_with_nothing_to_send_keeps_its_turn,
    exactly_one_of_two_relays_gets_the_probe,
    a_verdict_holds_the_channel_and_burns_no_attempt,
    a_probe_that_is_accepted_lifts_the_hold,
    a_probe_that_fails_keeps_the_hold,
    a_success_begun_before_the_hold_does_not_lift_it,
    a_hold_without_probes_is_lifted_by_a_person_only,
    a_settlement_without_a_lease_neither_holds_nor_lifts,
    renewing_a_hold_keeps_the_moment_it_began,
    a_weaker_cause_does_not_replace_a_stronger_one,
    an_operators_hold_and_its_end_are_in_the_operation_log,
    an_answer_about_the_message_alone_lifts_a_hold_too,
    lifting_answers_whether_there_was_a_hold,
    whatever_caused_a_hold_is_due_again_when_it_is_lifted,
}

fn order(probe_at: Option<UtcTimestamp>) -> HoldOrder {
    HoldOrder {
        channel: Channel::WechatSubscribe,
        cause: HoldCause::Platform,
        reason: "the app secret is wrong".to_owned(),
        errcode: Some(40_125),
        probe_at,
        held_by: "a".to_owned(),
    }
}

fn at(second: u64) -> UtcTimestamp {
    moment().after(seconds(second))
}

async fn hold(database: &TestDatabase, order: HoldOrder, now: UtcTimestamp) {
    database
        .write(move |transaction| outbox::hold_channel(transaction, order, now))
        .await;
}

async fn holds(database: &TestDatabase) -> Vec<Hold> {
    database.read(outbox::holds).await
}

async fn nothing_is_claimed_on_a_held_channel(database: &TestDatabase) {
    database.enqueue(message()).await;
    hold(database, order(None), moment()).await;
    for now in [moment(), at(3_600), at(86_400 * 365)] {
        assert_eq!(database.claim(&relay("a"), 10, now).await.len(), 0);
    }
}

async fn a_hold_stops_its_channel_only(database: &TestDatabase) {
    database.enqueue(message()).await;
    let other = HoldOrder {
        channel: Channel::WechatCloud,
        ..order(None)
    };
    hold(database, other, moment()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    database
        .settle(&relay("a"), &claimed, accepted(), moment())
        .await;
    assert_eq!(
        holds(database).await.len(),
        1,
        "a success elsewhere lifts nothing"
    );
}

async fn one_probe_goes_through_per_interval(database: &TestDatabase) {
    database.leases_may_remain();
    for _ in 0..5 {
        database.enqueue(message()).await;
    }
    hold(database, order(Some(at(30))), moment()).await;
    // The interval of a claim is 60 seconds.
    for (second, claimed) in [
        (29, 0),
        (30, 1),
        (30, 0),
        (89, 0),
        (90, 1),
        (91, 0),
        (1_000, 1),
    ] {
        let batch = database.claim(&relay("a"), 10, at(second)).await;
        assert_eq!(batch.len(), claimed, "after {second} s");
    }
}

async fn a_probe_with_nothing_to_send_keeps_its_turn(database: &TestDatabase) {
    hold(database, order(Some(at(30))), moment()).await;
    assert_eq!(database.claim(&relay("a"), 10, at(30)).await.len(), 0);
    database.enqueue(message()).await;
    let probe = database.claim_one(&relay("a"), at(31)).await;
    database
        .settle(&relay("a"), &probe, accepted(), at(31))
        .await;
    assert!(holds(database).await.is_empty());
}

async fn exactly_one_of_two_relays_gets_the_probe(database: &TestDatabase) {
    database.leases_may_remain();
    let messages: Vec<NewMessage> = (0..40).map(|_| message()).collect();
    database
        .write(move |transaction| outbox::enqueue(transaction, messages, moment()))
        .await;
    hold(database, order(Some(moment())), moment()).await;
    let barrier = Arc::new(Barrier::new(2));
    let mut relays = Vec::new();
    for name in ["a", "b"] {
        let own = Database::connect(database.url(), PoolOptions::default())
            .await
            .unwrap();
        let barrier = Arc::clone(&barrier);
        relays.push(tokio::spawn(async move {
            let mut probes = Vec::new();
            for round in 0..10_u64 {
                barrier.wait().await;
                let order = ClaimOrder {
                    relay: relay(name),
                    channel: Channel::WechatSubscribe,
                    limit: 10,
                    limit_below_high: 10,
                    lease: seconds(30),
                    busy_recipients: Vec::new(),
                    probe_interval: seconds(60),
                    round: 0,
                };
                let batch = own
                    .write(move |transaction| {
                        outbox::claim_due(transaction, &order, at(round * 60))
                    })
                    .await
                    .unwrap();
                probes.push(batch.len());
            }
            probes
        }));
    }
    let mut both = vec![0; 10];
    for relay in relays {
        for (sum, probes) in both.iter_mut().zip(relay.await.unwrap()) {
            *sum += probes;
        }
    }
    assert_eq!(both, [1; 10], "probes per round");
}

async fn a_verdict_holds_the_channel_and_burns_no_attempt(database: &TestDatabase) {
    let id = database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    let verdict = Verdict::Released {
        hold: Some(order(Some(at(60)))),
    };
    database.settle(&relay, &claimed, verdict, at(1)).await;
    let expected = Hold {
        channel: Channel::WechatSubscribe,
        cause: HoldCause::Platform,
        reason: "the app secret is wrong".to_owned(),
        errcode: Some(40_125),
        probe_at: Some(at(60)),
        held_by: "a".to_owned(),
        held_since: at(1),
    };
    assert_eq!(holds(database).await, [expected]);
    assert_eq!(database.message(&id).await.attempt, 0);
    let recorded = database
        .read(move |connection| outbox::attempts_of(connection, &id))
        .await;
    assert_eq!(recorded[0].verdict, "held");
}

async fn a_probe_that_is_accepted_lifts_the_hold(database: &TestDatabase) {
    database.enqueue(message()).await;
    database.enqueue(message()).await;
    let relay = relay("a");
    hold(database, order(Some(moment())), moment()).await;
    let probe = database.claim_one(&relay, moment()).await;
    database.settle(&relay, &probe, accepted(), moment()).await;
    assert_eq!(holds(database).await, []);
    let next = database.claim_one(&relay, moment()).await;
    database.settle(&relay, &next, accepted(), moment()).await;
}

async fn a_probe_that_fails_keeps_the_hold(database: &TestDatabase) {
    let relay = relay("a");
    hold(database, order(Some(moment())), moment()).await;
    for (round, verdict) in [retry(at(0)), refused(), Verdict::Pointless]
        .into_iter()
        .enumerate()
    {
        database.enqueue(message()).await;
        let now = at(round as u64 * 60);
        let probe = database.claim_one(&relay, now).await;
        // Refused and pointless by what the relay knows itself: the platform was not asked.
        let mut settlement = settlement(&probe, verdict, now);
        settlement.report.errcode = None;
        database.settle_all(&relay, vec![settlement], now).await;
        assert_eq!(holds(database).await.len(), 1);
    }
}

async fn a_success_begun_before_the_hold_does_not_lift_it(database: &TestDatabase) {
    database.enqueue(message()).await;
    let relay = relay("a");
    let under_way = database.claim_one(&relay, moment()).await;
    hold(database, order(Some(at(60))), at(1)).await;
    let mut success = settlement(&under_way, accepted(), at(2));
    success.report.started_at = moment();
    database.settle_all(&relay, vec![success], at(2)).await;
    assert_eq!(holds(database).await.len(), 1);
}

async fn a_hold_without_probes_is_lifted_by_a_person_only(database: &TestDatabase) {
    database.enqueue(message()).await;
    let relay = relay("a");
    let under_way = database.claim_one(&relay, moment()).await;
    hold(database, order(None), moment()).await;
    database.settle(&relay, &under_way, accepted(), at(5)).await;
    assert_eq!(holds(database).await.len(), 1);
    let lifted = database
        .write(|transaction| outbox::lift_hold(transaction, Channel::WechatSubscribe, moment()))
        .await;
    assert!(lifted);
    assert_eq!(holds(database).await, []);
}

async fn a_settlement_without_a_lease_neither_holds_nor_lifts(database: &TestDatabase) {
    database.enqueue(message()).await;
    let relay = relay("a");
    let claimed = database.claim_one(&relay, moment()).await;
    database.settle(&relay, &claimed, refused(), moment()).await;

    let to_hold = Verdict::Released {
        hold: Some(order(None)),
    };
    database.settle(&relay, &claimed, to_hold, moment()).await;
    assert_eq!(holds(database).await, []);

    hold(database, order(Some(moment())), moment()).await;
    database.settle(&relay, &claimed, accepted(), at(1)).await;
    assert_eq!(holds(database).await.len(), 1);
}

async fn renewing_a_hold_keeps_the_moment_it_began(database: &TestDatabase) {
    hold(database, order(Some(at(60))), moment()).await;
    let renewed = HoldOrder {
        reason: "the daily quota is used up".to_owned(),
        errcode: Some(45_009),
        probe_at: None,
        held_by: "b".to_owned(),
        ..order(None)
    };
    hold(database, renewed.clone(), at(10)).await;
    let expected = Hold {
        channel: renewed.channel,
        cause: HoldCause::Platform,
        reason: renewed.reason,
        errcode: renewed.errcode,
        probe_at: None,
        held_by: renewed.held_by,
        held_since: moment(),
    };
    assert_eq!(holds(database).await, [expected]);
}

async fn a_weaker_cause_does_not_replace_a_stronger_one(database: &TestDatabase) {
    let by = |cause| HoldOrder {
        cause,
        held_by: format!("{cause}"),
        ..order(Some(at(60)))
    };
    for (second, cause, stands) in [
        (0, HoldCause::Breaker, HoldCause::Breaker),
        (1, HoldCause::Platform, HoldCause::Platform),
        (2, HoldCause::Breaker, HoldCause::Platform),
        (3, HoldCause::Operator, HoldCause::Operator),
        (4, HoldCause::Platform, HoldCause::Operator),
        (5, HoldCause::Breaker, HoldCause::Operator),
    ] {
        hold(database, by(cause), at(second)).await;
        let held = holds(database).await;
        assert_eq!((held[0].cause, held[0].held_since), (stands, moment()));
        assert_eq!(held[0].held_by, stands.as_str(), "all of it stays");
    }
}

async fn an_operators_hold_and_its_end_are_in_the_operation_log(database: &TestDatabase) {
    let (channel, actor) = (
        Channel::WechatSubscribe,
        Actor::Console("tester".to_owned()),
    );
    let lift = async || {
        let actor = actor.clone();
        database
            .write(move |transaction| {
                outbox::lift_by_operator(transaction, channel, "repaired", &actor, moment())
            })
            .await
    };
    let by = actor.clone();
    database
        .write(move |transaction| {
            outbox::hold_by_operator(transaction, channel, "template under repair", &by, moment())
        })
        .await;
    let held = holds(database).await;
    assert_eq!(
        (held[0].held_by.as_str(), held[0].probe_at),
        ("tester", None)
    );
    assert!(lift().await);
    assert!(!lift().await, "there is none any more");
    let log: Vec<(String, String)> = database
        .read(|connection| {
            Ok(operation_logs::table
                .order(operation_logs::id)
                .select((operation_logs::action, operation_logs::detail))
                .load(connection)?)
        })
        .await;
    let actions: Vec<&str> = log.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["channel.hold", "channel.lift"]);
    assert!(log[0].1.contains("template under repair") && log[0].1.contains("tester"));
}

async fn an_answer_about_the_message_alone_lifts_a_hold_too(database: &TestDatabase) {
    database.enqueue(message()).await;
    hold(database, order(Some(at(30))), moment()).await;
    let probe = database.claim_one(&relay("a"), at(31)).await;
    // The report of the tests carries a code of the platform.
    database
        .settle(&relay("a"), &probe, Verdict::Pointless, at(31))
        .await;
    assert!(holds(database).await.is_empty());
}

async fn lifting_answers_whether_there_was_a_hold(database: &TestDatabase) {
    hold(database, order(None), moment()).await;
    for expected in [true, false] {
        let lifted = database
            .write(|transaction| outbox::lift_hold(transaction, Channel::WechatSubscribe, moment()))
            .await;
        assert_eq!(lifted, expected);
    }
}

/// The platform's words differ with every request; the code does not.
async fn whatever_caused_a_hold_is_due_again_when_it_is_lifted(database: &TestDatabase) {
    database.leases_may_remain();
    let relay = relay("a");
    for _ in 0..2 {
        database.enqueue(message()).await;
    }
    let refusals = database.claim(&relay, 2, moment()).await;
    let refusals = refusals
        .iter()
        .zip(["rid: 1", "rid: 2"])
        .map(|(message, rid)| {
            let words = format!("reach max api daily quota limit {rid}");
            let order = HoldOrder {
                reason: words.clone(),
                errcode: Some(45_009),
                ..order(Some(at(3_600)))
            };
            let mut refusal =
                settlement(message, Verdict::Released { hold: Some(order) }, moment());
            refusal.report.error = Some(words);
            refusal
        });
    database
        .settle_all(&relay, refusals.collect(), moment())
        .await;
    database
        .write(|transaction| outbox::lift_hold(transaction, Channel::WechatSubscribe, at(1)))
        .await;
    assert_eq!(database.claim(&relay, 10, at(1)).await.len(), 2);
}
