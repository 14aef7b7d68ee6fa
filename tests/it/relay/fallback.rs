//! Who cannot be reached on one channel is told on the next.

use std::slice;

use outbox_relay::relay::Until;
use shared::domain::{App, Channel, ChannelSet, UserId};
use shared::notification::{Kind, Notice, Preferences, Reach, Terms, notify, put_preferences};
use shared::operation_log::Actor;
use shared::outbox::{Message, Status, hold_by_operator, lift_by_operator};
use wechat_sandbox::{
    Api, DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_CORPID, Fault, FaultAction, QuotaMode, SandboxConfig,
};

use crate::harness::{RelayStage, TestDatabase, assignment, eventually, moment, on_each_database};

on_each_database!(
    who_has_no_binding_is_told_in_wecom,
    who_has_no_subscription_is_told_in_wecom,
    who_is_not_in_the_company_is_told_in_the_mini_program,
    where_nobody_is_reached_the_notification_centre_is_what_remains,
    who_has_muted_a_channel_is_told_on_the_next_and_who_has_muted_the_kind_is_not,
    a_route_that_is_switched_off_while_a_message_waits_is_passed_over,
    a_held_channel_is_waited_for_at_either_end,
    what_is_wrong_with_the_message_or_the_platform_goes_nowhere_else,
    a_relay_that_does_not_have_the_next_channel_leaves_it_to_another,
    a_relay_that_waits_hears_of_it_at_once,
);

const SUBSCRIBE: Channel = Channel::WechatSubscribe;
const CLOUD: Channel = Channel::WechatCloud;
const APP: Channel = Channel::WecomApp;

fn wecom() -> Vec<String> {
    let agent_id = DEMO_AGENTID.to_string();
    let arguments = [
        "--wecom-corpid",
        DEMO_CORPID,
        "--wecom-agentid",
        &agent_id,
        "--wecom-secret",
        DEMO_AGENT_SECRET,
    ];
    arguments.map(str::to_owned).into()
}

/// Assignments go out along this chain. Somebody else has a binding in each app.
async fn stage<'database>(
    database: &'database TestDatabase,
    chain: &[Channel],
) -> RelayStage<'database> {
    let mut config = SandboxConfig::default();
    config.apps[0].quota = QuotaMode::Unlimited;
    stage_with(database, chain, config).await
}

async fn stage_with<'database>(
    database: &'database TestDatabase,
    chain: &[Channel],
    config: SandboxConfig,
) -> RelayStage<'database> {
    let mut stage = stage_without_wecom(database, chain, config).await;
    let arguments = wecom();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    stage.start_relays_with(&arguments);
    stage
}

/// The same with relays that have the channels of the mini program alone.
async fn stage_without_wecom<'database>(
    database: &'database TestDatabase,
    chain: &[Channel],
    config: SandboxConfig,
) -> RelayStage<'database> {
    let stage = RelayStage::with_sandbox(database, config).await;
    for kind in [Kind::CustomerAssigned, Kind::CustomerStatusChanged] {
        for (place, &channel) in chain.iter().enumerate() {
            let fallback = chain.get(place + 1).copied();
            stage
                .route(kind, channel, |route| route.fallback = fallback)
                .await;
        }
    }
    let somebody = stage.employee().await;
    bind_in_wecom(&stage, &somebody.id, "lisi").await;
    stage
}

async fn bind_in_wecom(stage: &RelayStage<'_>, user: &UserId, userid: &str) {
    stage.bind(user, App::wecom(DEMO_CORPID), userid).await;
}

fn console() -> Actor {
    Actor::Console("li".to_owned())
}

/// Tells of an assignment as an API with all channels of the chain does.
async fn assign(stage: &RelayStage<'_>, user: &UserId, channels: &[Channel]) {
    stage.assign(slice::from_ref(user), channels).await;
}

/// What became of the messages, in the order in which they were made.
async fn told(database: &TestDatabase) -> Vec<(Channel, Status)> {
    let messages = database.messages().await;
    for pair in messages.windows(2) {
        assert_eq!(pair[0].fell_back_to.as_ref(), Some(&pair[1].id));
        assert_eq!(pair[1].fallback_of.as_ref(), Some(&pair[0].id));
    }
    messages
        .iter()
        .map(|message| (message.channel, message.status))
        .collect()
}

async fn who_has_no_binding_is_told_in_wecom(database: &TestDatabase) {
    let stage = stage(database, &[SUBSCRIBE, APP]).await;
    let stranger = stage.stranger().await;
    bind_in_wecom(&stage, &stranger, "zhangsan").await;
    assign(&stage, &stranger, &[SUBSCRIBE, APP]).await;
    assert_eq!(database.messages().await.len(), 1, "the second one waits");
    stage.deliver().await;
    assert_eq!(
        told(database).await,
        [(SUBSCRIBE, Status::Skipped), (APP, Status::Sent)]
    );
    assert_eq!(stage.delivered_to("zhangsan").len(), 1);
}

async fn who_has_no_subscription_is_told_in_wecom(database: &TestDatabase) {
    // Subscriptions are for one message each, and nobody has one.
    let stage = stage_with(database, &[SUBSCRIBE, APP], SandboxConfig::default()).await;
    let employee = stage.employee().await;
    bind_in_wecom(&stage, &employee.id, "zhangsan").await;
    assign(&stage, &employee.id, &[SUBSCRIBE, APP]).await;
    stage.deliver().await;
    assert_eq!(
        told(database).await,
        [(SUBSCRIBE, Status::Skipped), (APP, Status::Sent)]
    );
    assert_eq!(database.messages().await[0].last_errcode, Some(43_101));
    assert_eq!(stage.delivered_to("zhangsan").len(), 1);
}

async fn who_is_not_in_the_company_is_told_in_the_mini_program(database: &TestDatabase) {
    let stage = stage(database, &[APP, SUBSCRIBE]).await;
    let employee = stage.employee().await;
    bind_in_wecom(&stage, &employee.id, "nobody-here").await;
    assign(&stage, &employee.id, &[SUBSCRIBE, APP]).await;
    stage.deliver().await;
    assert_eq!(
        told(database).await,
        [(APP, Status::Failed), (SUBSCRIBE, Status::Sent)]
    );
    assert_eq!(stage.delivered_to(&employee.openid).len(), 1);
}

async fn where_nobody_is_reached_the_notification_centre_is_what_remains(database: &TestDatabase) {
    let stage = stage(database, &[SUBSCRIBE, APP, CLOUD]).await;
    let stranger = stage.stranger().await;
    assign(&stage, &stranger, &[SUBSCRIBE, APP, CLOUD]).await;
    stage.deliver().await;
    assert_eq!(
        told(database).await,
        [
            (SUBSCRIBE, Status::Skipped),
            (APP, Status::Skipped),
            (CLOUD, Status::Skipped)
        ]
    );
    let unread = database
        .read(move |connection| shared::notification::unread_count(connection, &stranger))
        .await;
    assert_eq!(unread, 1);
}

async fn who_has_muted_a_channel_is_told_on_the_next_and_who_has_muted_the_kind_is_not(
    database: &TestDatabase,
) {
    let stage = stage(database, &[SUBSCRIBE, APP]).await;
    let kind = Kind::CustomerStatusChanged;
    let tell = async |preferences: Preferences, userid: &str| -> Vec<Message> {
        let employee = stage.employee().await;
        bind_in_wecom(&stage, &employee.id, userid).await;
        let (user, now) = (employee.id.clone(), moment());
        let notice = Notice {
            kind,
            recipients: vec![employee.id],
            data: assignment(),
            subject: None,
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: None,
        };
        let channels: ChannelSet = [SUBSCRIBE, APP].into_iter().collect();
        database
            .write(move |transaction| {
                put_preferences(transaction, &user, &preferences, now)?;
                notify(transaction, &notice, channels, now)
            })
            .await;
        stage.deliver().await;
        database.messages().await
    };
    let muted_channel = Preferences {
        muted_channels: [SUBSCRIBE].into(),
        ..Preferences::default()
    };
    let messages = tell(muted_channel, "zhangsan").await;
    assert_eq!(messages.len(), 2);
    assert_eq!(
        (messages[0].status, messages[1].status),
        (Status::Skipped, Status::Sent)
    );
    let muted_kind = Preferences {
        muted_kinds: [kind].into(),
        ..Preferences::default()
    };
    let messages = tell(muted_kind, "wangwu").await;
    assert_eq!(messages.len(), 3, "one more, and nothing took over from it");
    assert_eq!(
        (messages[2].status, messages[2].channel),
        (Status::Skipped, SUBSCRIBE)
    );
}

async fn a_route_that_is_switched_off_while_a_message_waits_is_passed_over(
    database: &TestDatabase,
) {
    let stage = stage(database, &[SUBSCRIBE, APP, CLOUD]).await;
    let employee = stage.employee().await;
    assign(&stage, &employee.id, &[SUBSCRIBE, APP, CLOUD]).await;
    for channel in [SUBSCRIBE, APP] {
        stage
            .route(Kind::CustomerAssigned, channel, |route| {
                route.enabled = false;
            })
            .await;
    }
    stage.deliver().await;
    assert_eq!(
        told(database).await,
        [(SUBSCRIBE, Status::Skipped), (CLOUD, Status::Sent)]
    );
}

async fn a_held_channel_is_waited_for_at_either_end(database: &TestDatabase) {
    let stage = stage(database, &[SUBSCRIBE, APP]).await;
    let stranger = stage.stranger().await;
    bind_in_wecom(&stage, &stranger, "zhangsan").await;
    let hold = async |channel| {
        database
            .write(move |transaction| {
                hold_by_operator(transaction, channel, "维护", &console(), moment())
            })
            .await;
    };
    let lift = async |channel| {
        database
            .write(move |transaction| {
                lift_by_operator(transaction, channel, "好了", &console(), moment())
            })
            .await
    };
    assign(&stage, &stranger, &[SUBSCRIBE, APP]).await;
    hold(SUBSCRIBE).await;
    stage.deliver().await;
    assert_eq!(told(database).await, [(SUBSCRIBE, Status::Pending)]);
    hold(APP).await;
    lift(SUBSCRIBE).await;
    stage.deliver().await;
    let waits = [(SUBSCRIBE, Status::Skipped), (APP, Status::Pending)];
    assert_eq!(told(database).await, waits);
    lift(APP).await;
    stage.deliver().await;
    let sent = [(SUBSCRIBE, Status::Skipped), (APP, Status::Sent)];
    assert_eq!(told(database).await, sent);
}

async fn what_is_wrong_with_the_message_or_the_platform_goes_nowhere_else(database: &TestDatabase) {
    let stage = stage(database, &[SUBSCRIBE, APP]).await;
    for (errcode, errmsg, status) in [
        (
            47_003,
            "argument invalid! data.thing1.value",
            Status::Failed,
        ),
        (40_037, "invalid template_id", Status::Failed),
        (-1, "system error", Status::Pending),
        (99_999, "what is this", Status::Pending),
    ] {
        let employee = stage.employee().await;
        let answer = FaultAction::Errcode {
            errcode,
            errmsg: Some(errmsg.to_owned()),
        };
        let fault = Fault::on(Api::SubscribeSend, answer).for_openid(&employee.openid);
        stage.sandbox.add_fault(fault);
        assign(&stage, &employee.id, &[SUBSCRIBE, APP]).await;
        stage.deliver().await;
        let newest = database.messages().await.pop().unwrap();
        assert_eq!(
            (newest.channel, newest.status, newest.fell_back_to),
            (SUBSCRIBE, status, None),
            "{errcode}"
        );
    }
}

async fn a_relay_that_does_not_have_the_next_channel_leaves_it_to_another(database: &TestDatabase) {
    let chain = [SUBSCRIBE, APP];
    let stage = stage_without_wecom(database, &chain, SandboxConfig::default()).await;
    let stranger = stage.stranger().await;
    bind_in_wecom(&stage, &stranger, "zhangsan").await;
    assign(&stage, &stranger, &chain).await;
    stage.deliver().await;
    let waits = [(SUBSCRIBE, Status::Skipped), (APP, Status::Pending)];
    assert_eq!(told(database).await, waits);

    let mut others = wecom();
    for flag in ["--wechat-appid", "--wechat-secret", "--wechat-cloud-env"] {
        others.extend([flag.to_owned(), String::new()]);
    }
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mut relay = stage.relay_with(&others, Until::Drained).await;
    relay.ended().await;
    relay.stop().await;
    let sent = [(SUBSCRIBE, Status::Skipped), (APP, Status::Sent)];
    assert_eq!(told(database).await, sent);
}

async fn a_relay_that_waits_hears_of_it_at_once(database: &TestDatabase) {
    let stage = stage(database, &[SUBSCRIBE, APP]).await;
    let stranger = stage.stranger().await;
    bind_in_wecom(&stage, &stranger, "zhangsan").await;
    // Longer than anybody waits for a test: it is the signal that wakes it.
    let relay = stage
        .relay_with(&["--poll-interval", "1h"], Until::Stopped)
        .await;
    assign(&stage, &stranger, &[SUBSCRIBE, APP]).await;
    eventually(
        "the message has arrived on the second channel",
        async || !stage.delivered_to("zhangsan").is_empty(),
    )
    .await;
    relay.stop().await;
    let sent = [(SUBSCRIBE, Status::Skipped), (APP, Status::Sent)];
    assert_eq!(told(database).await, sent);
}
