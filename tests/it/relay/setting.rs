//! What operators set while a relay runs.

use std::time::Duration;

use outbox_relay::relay::Until;
use shared::domain::Channel;
use shared::operation_log::Actor;
use shared::outbox::{self, ChannelSettings, ErrcodeOverride, Status, UnknownOutcomePolicy};
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{RelayStage, TestDatabase, eventually, moment, on_each_database};

on_each_database!(
    what_may_have_been_delivered_stops_where_a_person_is_to_be_asked,
    what_may_have_been_delivered_counts_as_sent_where_that_is_wished,
    an_error_code_means_what_was_set_here,
    a_running_relay_follows_what_is_set,
    no_more_go_out_than_the_rate_allows,
    a_rate_that_is_set_later_counts_from_then_on,
    a_channel_that_hangs_does_not_slow_another,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];

async fn set(database: &TestDatabase, change: impl FnOnce(&mut ChannelSettings)) {
    let mut settings = ChannelSettings::default_of(Channel::WechatSubscribe);
    change(&mut settings);
    database
        .write(move |transaction| {
            outbox::set_channel(transaction, &settings, &Actor::System, moment())
        })
        .await;
}

async fn set_errcode(database: &TestDatabase, errcode: i64, class: &str) {
    let set = ErrcodeOverride {
        api: "subscribe_send".to_owned(),
        errcode,
        class: class.to_owned(),
        reason: "test".to_owned(),
    };
    database
        .write(move |transaction| outbox::set_errcode(transaction, &set, &Actor::System, moment()))
        .await;
}

/// The platform takes one message and does not say so.
async fn accept_without_a_word(stage: &RelayStage<'_>) {
    let fault = Fault::on(Api::SubscribeSend, FaultAction::ResetBeforeAnswer);
    stage.sandbox.add_fault(fault.processed());
    let employee = stage.employee().await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;
    assert_eq!(stage.sandbox.stats().accepted, 1);
    // Whatever is tried again would be due.
    stage.clock.advance(Duration::from_secs(100_000));
    stage.deliver().await;
}

async fn what_may_have_been_delivered_stops_where_a_person_is_to_be_asked(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    set(database, |settings| {
        settings.unknown_outcome = UnknownOutcomePolicy::HoldForOperator;
    })
    .await;
    accept_without_a_word(&stage).await;
    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.outcome_unknown),
        (Status::Failed, true)
    );
    assert_eq!(stage.attempts(&message.id).await[0].verdict, "undecided");
    assert_eq!(stage.sandbox.stats().accepted, 1, "nothing was sent again");

    let id = message.id.as_str();
    let requeued = stage.command(&["outbox", "requeue", id, "--reason", "it did not arrive"]);
    assert!(requeued.status.success(), "{}", requeued.said);
    assert!(stage.command(&["run", "--once"]).status.success());
    assert_eq!(stage.only_message().await.status, Status::Sent);
    assert_eq!(stage.sandbox.stats().accepted, 2, "a person said so");
}

async fn what_may_have_been_delivered_counts_as_sent_where_that_is_wished(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    set(database, |settings| {
        settings.unknown_outcome = UnknownOutcomePolicy::AssumeSent;
    })
    .await;
    accept_without_a_word(&stage).await;
    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.outcome_unknown),
        (Status::Sent, true)
    );
    assert_eq!(stage.sandbox.stats().accepted, 1);
}

async fn an_error_code_means_what_was_set_here(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    set_errcode(database, 40_037, "retry").await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 40_037));
    let employee = stage.employee().await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Pending, 1));
    let rule = stage.attempts(&message.id).await[0].rule.clone();
    assert_eq!(rule, "subscribe_send/40037 (retry, set here)");
}

async fn a_running_relay_follows_what_is_set(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let relay = stage.relay().await;
    until_a_setting_is_followed(&stage).await;
    relay.stop().await;
}

async fn no_more_go_out_than_the_rate_allows(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    set(database, |settings| settings.rate_per_minute = Some(240)).await;
    let employees = stage.employees(12).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage.assign(&ids, SUBSCRIBE).await;
    let relay = stage.relay_on_database_clock(Until::Stopped).await;
    let began_at = std::time::Instant::now();
    // One at once, then four a second.
    eventually("the ninth has gone out", async || {
        let sent = stage.sandbox.stats().accepted;
        let may = began_at.elapsed().as_secs_f64() * 4.0 + 4.0;
        #[expect(clippy::cast_precision_loss, reason = "at most twelve")]
        let sent_so_far = sent as f64;
        assert!(sent_so_far <= may, "{sent} after {:?}", began_at.elapsed());
        sent >= 9
    })
    .await;
    relay.stop().await;
}

async fn a_rate_that_is_set_later_counts_from_then_on(database: &TestDatabase) {
    const SENT_BEFORE: usize = 300;
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(SENT_BEFORE).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage.assign(&ids, SUBSCRIBE).await;
    let relay = stage.relay_on_database_clock(Until::Stopped).await;
    stage.until_status(Status::Sent, SENT_BEFORE).await;
    // What went out before would take five minutes at this rate.
    set(database, |settings| settings.rate_per_minute = Some(60)).await;
    until_a_setting_is_followed(&stage).await;
    relay.stop().await;
}

/// Sends one message after the other, until one meets a meaning of its error code that is set here.
async fn until_a_setting_is_followed(stage: &RelayStage<'_>) {
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 40_037).always());
    set_errcode(stage.database, 40_037, "resubscribe").await;
    // Until the relay has read it, the table's own rule holds.
    eventually("a message is skipped", async || {
        let employee = stage.employee().await;
        stage.assign(&[employee.id], SUBSCRIBE).await;
        eventually("the message is finished", async || {
            let messages = stage.database.messages().await;
            messages.iter().all(|message| message.status.is_final())
        })
        .await;
        let messages = stage.database.messages().await;
        messages.last().unwrap().status == Status::Skipped
    })
    .await;
}

async fn a_channel_that_hangs_does_not_slow_another(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    stage
        .sandbox
        .add_fault(Fault::on(Api::CloudFunction, FaultAction::Hang).always());
    let employees = stage.employees(60).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage
        .assign(&ids, &[Channel::WechatSubscribe, Channel::WechatCloud])
        .await;
    let patient = [
        "--concurrency",
        "4",
        "--request-timeout",
        "20s",
        "--lease",
        "100s",
        "--shutdown-grace",
        "0s",
    ];
    let relay = stage.relay_with(&patient, Until::Stopped).await;
    stage.until_status(Status::Sent, ids.len()).await;
    let messages = database.messages().await;
    let hanging = messages
        .iter()
        .filter(|m| m.channel == Channel::WechatCloud && m.status == Status::Sending);
    assert_eq!(hanging.count(), 4, "the first requests are still under way");
    relay.stop().await;
}
