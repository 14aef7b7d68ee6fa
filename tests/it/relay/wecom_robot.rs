use std::time::{Duration, Instant};

use outbox_relay::relay::Until;
use serde_json::json;
use shared::domain::Channel;
use shared::notification::{Kind, MessageFormat};
use shared::operation_log::Actor;
use shared::outbox::{self, ChannelSettings, Status, holds};
use wechat_sandbox::{Api, Envelope};

use crate::harness::{
    RelayStage, TestDatabase, eventually, moment, on_each_database, registration, seconds,
};

on_each_database!(
    a_message_reaches_the_group,
    what_is_too_long_is_refused_at_once_and_not_cut,
    no_more_than_twenty_a_minute_go_out_and_none_is_lost,
    messages_keep_their_distance_where_nobody_has_set_a_rate,
    a_key_that_no_robot_has_holds_the_channel_and_is_not_shown,
);

const GROUP: &str = "会员登记群";

/// A stage on whose clock, which stands still, the robot's usual rate would let one message out.
async fn stage_without_a_rate(database: &TestDatabase) -> RelayStage<'_> {
    let settings = ChannelSettings {
        rate_per_minute: None,
        ..ChannelSettings::default_of(Channel::WecomRobot)
    };
    database
        .write(move |transaction| {
            outbox::set_channel(transaction, &settings, &Actor::System, moment())
        })
        .await;
    RelayStage::wecom(database).await
}

async fn a_message_reaches_the_group(database: &TestDatabase) {
    let stage = stage_without_a_rate(database).await;
    stage
        .tell_on(Channel::WecomRobot, GROUP, registration())
        .await;
    stage.deliver().await;
    let arrived = stage.delivered_to(GROUP);
    let Envelope::WecomRobot { msgtype, .. } = &arrived[0].envelope else {
        panic!("it came from the robot");
    };
    assert_eq!(msgtype, "markdown");
    let data = arrived[0].data();
    let text = data["content"].as_str().unwrap();
    assert!(text.starts_with("**🎉 新会员登记通知**\n会员编号：M2026001\n"));
    assert!(text.ends_with(
        "\n[查看详情](https://crm.example.com/members/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff)"
    ));
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Sent, 1));
}

async fn what_is_too_long_is_refused_at_once_and_not_cut(database: &TestDatabase) {
    let stage = stage_without_a_rate(database).await;
    for (format, bytes_max) in [
        (MessageFormat::Markdown, 4_096),
        (MessageFormat::Text, 2_048),
    ] {
        stage
            .route(Kind::MemberRegistered, Channel::WecomRobot, |route| {
                route.format = Some(format);
                let fields = [("content", "{{occupation}}"), ("url", "https://x.example/")];
                route.fields = fields
                    .map(|(name, text)| (name.to_owned(), text.to_owned()))
                    .into();
            })
            .await;
        let link = match format {
            MessageFormat::Text => "\n查看详情：https://x.example/".len(),
            _ => "\n[查看详情](https://x.example/)".len(),
        };
        for (bytes, status) in [(bytes_max + 1, Status::Failed), (bytes_max, Status::Sent)] {
            let mut data = registration();
            data.insert("occupation".to_owned(), json!("x".repeat(bytes - link)));
            let id = stage.tell_on(Channel::WecomRobot, GROUP, data).await;
            let requests = stage.sandbox.stats().requests;
            stage.deliver().await;
            let message = database.message(&id).await;
            assert_eq!(
                (message.status, message.attempt),
                (status, 1),
                "{format} {bytes}"
            );
            if status == Status::Failed {
                let error = format!("content: {bytes} bytes, at most {bytes_max} fit");
                assert_eq!(message.last_error, Some(error));
                assert_eq!(
                    stage.sandbox.stats().requests,
                    requests,
                    "nothing was asked"
                );
            }
        }
    }
}

/// Without a rate it is the platform that says when it is enough.
async fn no_more_than_twenty_a_minute_go_out_and_none_is_lost(database: &TestDatabase) {
    let stage = stage_without_a_rate(database).await;
    for number in 0..50 {
        let mut data = registration();
        data.insert("memberNo".to_owned(), json!(number));
        stage.tell_on(Channel::WecomRobot, GROUP, data).await;
    }
    stage.deliver().await;
    assert_eq!(stage.delivered_to(GROUP).len(), 20);
    let hold = database.read(holds).await.remove(0);
    assert_eq!(
        (hold.channel, hold.errcode),
        (Channel::WecomRobot, Some(45_009))
    );
    for arrived in [40, 50] {
        stage.pass(seconds(62));
        stage.deliver().await;
        assert_eq!(stage.delivered_to(GROUP).len(), arrived);
    }
    let messages = database.messages().await;
    assert!(
        messages
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Sent, 1))
    );
}

async fn messages_keep_their_distance_where_nobody_has_set_a_rate(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    for _ in 0..2 {
        stage
            .tell_on(Channel::WecomRobot, GROUP, registration())
            .await;
    }
    let began_at = Instant::now();
    let relay = stage.relay_on_database_clock(Until::Stopped).await;
    eventually("both have arrived", async || {
        let arrived = stage.delivered_to(GROUP).len();
        assert!(
            arrived <= 1 || began_at.elapsed() > Duration::from_millis(2_900),
            "the second came after {:?}",
            began_at.elapsed()
        );
        arrived == 2
    })
    .await;
    relay.stop().await;
}

async fn a_key_that_no_robot_has_holds_the_channel_and_is_not_shown(database: &TestDatabase) {
    const KEY: &str = "00000000-52e7-4d0b-9b6e-3f7d2a905c18";
    let stage = stage_without_a_rate(database).await;
    let id = stage
        .tell_on(Channel::WecomRobot, GROUP, registration())
        .await;
    let mut relay = stage
        .relay_with(&["--wecom-robot-key", KEY], Until::Drained)
        .await;
    relay.ended().await;
    relay.stop().await;
    let hold = database.read(holds).await.remove(0);
    assert_eq!(
        (hold.channel, hold.errcode),
        (Channel::WecomRobot, Some(93_000))
    );
    assert!(hold.reason.contains("WECOM_ROBOT_KEY"), "{}", hold.reason);
    assert!(!hold.reason.contains(KEY), "{}", hold.reason);
    let message = database.message(&id).await;
    assert_eq!((message.status, message.attempt), (Status::Pending, 0));
    let requests = stage.sandbox.requests(0);
    assert!(
        requests
            .iter()
            .all(|request| request.api != Api::WecomToken)
    );
}
