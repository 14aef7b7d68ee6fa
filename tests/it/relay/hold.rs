use std::time::Duration;

use outbox_relay::relay::Until;
use shared::domain::Channel;
use shared::outbox::{Status, holds};
use wechat_sandbox::{Api, Fault};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    a_wrong_secret_holds_the_channel_and_burns_no_attempt,
    a_used_up_quota_holds_one_channel_until_midnight_and_not_the_other,
    a_held_channel_is_probed_with_one_message,
    a_message_that_alone_is_objected_to_does_not_keep_the_channel_held,
    messages_wait_while_nobody_at_all_is_bound,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];

async fn a_wrong_secret_holds_the_channel_and_burns_no_attempt(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(5)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage.assign(&ids, SUBSCRIBE).await;
    let mut relay = stage
        .relay_with(&["--wechat-secret", "wrong"], Until::Drained)
        .await;
    relay.ended().await;
    relay.stop().await;

    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Pending, 0))
    );
    let holds = database.read(holds).await;
    assert_eq!(holds.len(), 1);
    assert_eq!(
        (holds[0].channel, holds[0].errcode),
        (Channel::WechatSubscribe, Some(40_125))
    );
    assert!(
        !holds[0].reason.contains("wrong"),
        "the secret itself is nobody's business: {}",
        holds[0].reason
    );
    assert_eq!(stage.sandbox.stats().accepted, 0);

    // Corrected and restarted, it goes on by itself when the next probe is due.
    stage.clock.advance(Duration::from_secs(61));
    let relay = stage.relay().await;
    stage.until_status(Status::Sent, 5).await;
    relay.stop().await;
    assert!(database.read(shared::outbox::holds).await.is_empty());
    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|message| message.attempt == 1)
    );
}

async fn a_used_up_quota_holds_one_channel_until_midnight_and_not_the_other(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(3)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 45_009).always());
    stage
        .assign(&ids, &[Channel::WechatSubscribe, Channel::WechatCloud])
        .await;
    stage.deliver().await;

    for message in database.messages().await {
        let expected = match message.channel {
            Channel::WechatCloud => (Status::Sent, 1),
            _ => (Status::Pending, 0),
        };
        assert_eq!(
            (message.status, message.attempt),
            expected,
            "{}",
            message.channel
        );
    }
    let hold = database.read(holds).await.remove(0);
    // The stage's clock stands at 03:04:05 UTC; midnight in Beijing is 16:00 UTC.
    assert_eq!(
        hold.probe_at.unwrap().to_string(),
        "2026-01-02T16:00:00.678901Z"
    );
}

async fn a_held_channel_is_probed_with_one_message(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(6)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 48_001).always());
    stage.assign(&ids, SUBSCRIBE).await;
    stage.deliver().await;
    let before = stage.sandbox.stats().refused;
    stage.clock.advance(Duration::from_secs(61));
    stage.deliver().await;
    assert_eq!(
        stage.sandbox.stats().refused,
        before + 1,
        "one probe, not six"
    );
    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Pending, 0))
    );
}

async fn a_message_that_alone_is_objected_to_does_not_keep_the_channel_held(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(4).await;
    let banned = Fault::errcode(Api::SubscribeSend, 43_107).for_openid(&employees[0].openid);
    stage.sandbox.add_fault(banned.always());
    // First alone, so that it is what holds the channel.
    stage
        .assign(std::slice::from_ref(&employees[0].id), SUBSCRIBE)
        .await;
    stage.deliver().await;
    let others: Vec<_> = employees[1..]
        .iter()
        .map(|employee| employee.id.clone())
        .collect();
    stage.assign(&others, SUBSCRIBE).await;
    stage.clock.advance(Duration::from_secs(60));
    stage.deliver().await;
    assert_eq!(
        stage.sandbox.stats().accepted,
        3,
        "the probe took another message, and lifted the hold"
    );
}

async fn messages_wait_while_nobody_at_all_is_bound(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
        .await;
    let mistyped = ["--wechat-appid", "wx0000000000000000"];
    let mut relay = stage.relay_with(&mistyped, Until::Drained).await;
    relay.ended().await;
    relay.stop().await;
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Pending, 0));
    assert!(
        database.read(holds).await[0]
            .reason
            .contains("WECHAT_APPID")
    );

    stage.clock.advance(Duration::from_secs(62));
    stage.deliver().await;
    assert_eq!(stage.only_message().await.status, Status::Sent);
}
