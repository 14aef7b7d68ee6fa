use std::slice;
use std::time::Duration;

use chrono::NaiveTime;
use shared::clock::Clock;
use shared::domain::{Channel, UserId};
use shared::notification::{
    HighPriority, Kind, Notice, Preferences, QuietWindow, Reach, Terms, notify, put_preferences,
};
use shared::outbox::{Cause, Status, explain};

use crate::harness::{RelayStage, TestDatabase, assignment, moment, on_each_database};

on_each_database!(
    who_does_not_want_to_be_disturbed_is_told_at_the_end_of_the_window,
    what_is_urgent_breaks_through_if_it_may,
    what_somebody_has_muted_is_skipped_with_the_reason,
    others_are_told_meanwhile,
);

/// From 11:00 to 12:00 on every day: a relay stage's clock starts at 11:04.
fn late_morning() -> Preferences {
    let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    Preferences {
        quiet_windows: vec![QuietWindow {
            days: (1..=7).collect(),
            start: time(11),
            end: time(12),
        }],
        ..Preferences::default()
    }
}

async fn says(database: &TestDatabase, user: &UserId, preferences: Preferences) {
    let user = user.clone();
    database
        .write(move |transaction| put_preferences(transaction, &user, &preferences, moment()))
        .await;
}

async fn who_does_not_want_to_be_disturbed_is_told_at_the_end_of_the_window(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    says(database, &employee.id, late_morning()).await;
    stage
        .assign(slice::from_ref(&employee.id), &[Channel::WechatSubscribe])
        .await;
    stage.deliver().await;
    assert_eq!(stage.sandbox.stats().accepted, 0);
    let waiting = stage.only_message().await;
    let noon = moment().after(Duration::from_micros(
        // 03:04:05.678901 UTC is 11:04 in the office.
        (55 * 60 + 54) * 1_000_000 + 321_099,
    ));
    assert_eq!(
        (waiting.status, waiting.attempt, waiting.due_at),
        (Status::Pending, 0, noon),
        "it costs no attempt"
    );
    let attempts = stage.attempts(&waiting.id).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].rule, "recipient/do_not_disturb");
    let (id, now) = (waiting.id.clone(), stage.clock.now());
    let explanation = database
        .read(move |connection| explain(connection, &id, now))
        .await
        .unwrap();
    assert_eq!(explanation.cause, Cause::DoNotDisturb { until: noon });
    assert_eq!(explanation.expected_at, Some(noon));

    stage.clock.advance(Duration::from_secs(3_600));
    stage.deliver().await;
    let told = stage.only_message().await;
    assert_eq!((told.status, told.attempt), (Status::Sent, 1));
    assert_eq!(stage.sandbox.stats().accepted, 1);
}

async fn what_is_urgent_breaks_through_if_it_may(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let preferences = Preferences {
        high_priority: HighPriority::BreaksThrough,
        ..late_morning()
    };
    says(database, &employee.id, preferences).await;
    stage
        .assign(slice::from_ref(&employee.id), &[Channel::WechatSubscribe])
        .await;
    stage.deliver().await;
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn what_somebody_has_muted_is_skipped_with_the_reason(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let preferences = Preferences {
        muted_kinds: [Kind::CustomerTransferredAway].into(),
        muted_channels: [Channel::WechatCloud].into(),
        ..Preferences::default()
    };
    says(database, &employee.id, preferences).await;
    let channels = [Channel::WechatSubscribe, Channel::WechatCloud];
    let mut expected = Vec::new();
    for (kind, on_subscribe, on_cloud) in [
        (
            Kind::CustomerTransferredAway,
            Status::Skipped,
            Status::Skipped,
        ),
        (Kind::CustomerStatusChanged, Status::Sent, Status::Skipped),
        // Mandatory: told on every channel.
        (Kind::CustomerAssigned, Status::Sent, Status::Sent),
    ] {
        let notice = Notice {
            kind,
            recipients: vec![employee.id.clone()],
            data: assignment(),
            subject: None,
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: None,
        };
        let now = stage.clock.now();
        database
            .write(move |transaction| {
                notify(transaction, &notice, channels.into_iter().collect(), now)
            })
            .await;
        expected.push((kind.as_str(), Channel::WechatSubscribe, on_subscribe));
        expected.push((kind.as_str(), Channel::WechatCloud, on_cloud));
    }
    stage.deliver().await;
    let messages = database.messages().await;
    for (kind, channel, status) in expected {
        let message = messages
            .iter()
            .find(|message| message.kind == kind && message.channel == channel)
            .unwrap();
        assert_eq!(message.status, status, "{kind} {channel}");
        if status == Status::Skipped {
            // Whoever has muted the kind is not told elsewhere either.
            let muted = if kind == Kind::CustomerTransferredAway.as_str() {
                "the recipient has muted this"
            } else {
                "the recipient has muted this channel"
            };
            assert_eq!(message.last_error.as_deref(), Some(muted));
        }
    }
}

async fn others_are_told_meanwhile(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let (asleep, awake) = (stage.employee().await, stage.employee().await);
    says(database, &asleep.id, late_morning()).await;
    let both = [asleep.id.clone(), awake.id.clone()];
    stage.assign(&both, &[Channel::WechatSubscribe]).await;
    stage.deliver().await;
    for message in database.messages().await {
        let expected = if message.recipient_id.as_str() == awake.id.as_str() {
            Status::Sent
        } else {
            Status::Pending
        };
        assert_eq!(message.status, expected);
    }
}
