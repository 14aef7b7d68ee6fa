use std::time::Duration;

use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{self, Cause, HoldCause, HoldOrder, NewMessage, SILENCE_MAX, hold_channel};

use crate::harness::{TestDatabase, accepted, message, moment, on_each_database, relay, seconds};

on_each_database! {
    what_moves_in_time_is_not_stuck,
    what_is_due_for_too_long_is_grouped_by_channel_and_cause,
    what_a_silent_relay_holds_is_stuck_at_once,
    what_expired_and_is_still_there_is_stuck,
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Channel, code of the cause, count and age of each group.
async fn groups(database: &TestDatabase, now: UtcTimestamp) -> Vec<(Channel, String, i64, u64)> {
    let groups = database
        .read(move |connection| outbox::stuck(connection, PATIENCE, now))
        .await;
    groups
        .into_iter()
        .map(|group| {
            let cause = serde_json::to_value(&group.cause).unwrap();
            let code = cause["code"].as_str().unwrap().to_owned();
            let age = now.since(group.since).as_secs();
            assert_eq!(group.text, group.cause.sentence());
            (group.channel, code, group.count, age)
        })
        .collect()
}

async fn what_moves_in_time_is_not_stuck(database: &TestDatabase) {
    database.register(&relay("a"), moment()).await;
    database.enqueue(message()).await;
    database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    let in_time = moment().after(seconds(3));
    assert_eq!(groups(database, in_time).await, []);
    database
        .settle(&relay("a"), &claimed, accepted(), in_time)
        .await;
}

async fn what_is_due_for_too_long_is_grouped_by_channel_and_cause(database: &TestDatabase) {
    let now = moment().after(PATIENCE).after(seconds(40));
    for (channel, age) in [
        (Channel::WechatSubscribe, 60),
        (Channel::WechatSubscribe, 100),
        (Channel::WechatSubscribe, 59),
        (Channel::WechatCloud, 90),
    ] {
        database
            .enqueue(NewMessage {
                channel,
                due_at: now.before(seconds(age)),
                ..message()
            })
            .await;
    }
    let (cloud, subscribe) = (Channel::WechatCloud, Channel::WechatSubscribe);
    let told = |code: &str, other: &str| {
        vec![
            (cloud, code.to_owned(), 1, 90),
            (subscribe, other.to_owned(), 2, 100),
        ]
    };
    assert_eq!(
        groups(database, now).await,
        told("no_live_relay", "no_live_relay")
    );
    database.register(&relay("a"), now).await;
    let order = HoldOrder {
        channel: cloud,
        cause: HoldCause::Platform,
        reason: "invalid appsecret".to_owned(),
        errcode: Some(40_125),
        probe_at: None,
        held_by: "a".to_owned(),
    };
    database
        .write(move |transaction| hold_channel(transaction, order, moment()))
        .await;
    assert_eq!(groups(database, now).await, told("channel_held", "in_line"));
}

async fn what_a_silent_relay_holds_is_stuck_at_once(database: &TestDatabase) {
    database.leases_may_remain();
    database.register(&relay("a"), moment()).await;
    for _ in 0..2 {
        database.enqueue(message()).await;
        database.claim_one(&relay("a"), moment()).await;
    }
    let silent = moment().after(SILENCE_MAX);
    database.register(&relay("b"), silent).await;
    assert_eq!(
        groups(database, silent).await,
        [(Channel::WechatSubscribe, "relay_silent".to_owned(), 2, 0)]
    );
    let stuck = database
        .read(move |connection| outbox::stuck(connection, PATIENCE, silent))
        .await;
    assert!(
        matches!(&stuck[0].cause, Cause::RelaySilent { relay, live_relays: 1, .. } if relay.as_str() == "a")
    );
}

async fn what_expired_and_is_still_there_is_stuck(database: &TestDatabase) {
    database
        .enqueue(NewMessage {
            expires_at: Some(moment()),
            ..message()
        })
        .await;
    let now = moment().after(PATIENCE);
    let group = |code: &str| [(Channel::WechatSubscribe, code.to_owned(), 1, 60)];
    assert_eq!(groups(database, now).await, group("no_live_relay"));
    database.register(&relay("a"), now).await;
    assert_eq!(groups(database, now).await, group("expired"));
}
