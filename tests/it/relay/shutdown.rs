use std::time::Duration;

use outbox_relay::relay::Until;
use shared::clock::Clock;
use shared::domain::Channel;
use shared::outbox::{Status, relays};
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{RelayStage, TestDatabase, eventually, on_each_database};

on_each_database!(
    a_stop_lets_requests_under_way_end_and_gives_the_rest_back,
    a_request_that_outlasts_the_grace_period_is_unknown,
    what_was_claimed_ahead_is_given_back_untried,
    a_relay_signs_on_and_off,
    two_relays_share_the_work_and_send_nothing_twice,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];

async fn a_stop_lets_requests_under_way_end_and_gives_the_rest_back(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    for _ in 0..5 {
        stage
            .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
            .await;
    }
    stage.sandbox.add_fault(
        Fault::on(
            Api::SubscribeSend,
            FaultAction::Delay(Duration::from_millis(300)),
        )
        .always(),
    );
    let relay = stage.relay().await;
    stage.sandbox.until(|stats| stats.in_flight == 1).await;
    relay.stop().await;

    let outcomes: Vec<_> = database
        .messages()
        .await
        .iter()
        .map(|m| (m.status, m.attempt))
        .collect();
    let sent = outcomes
        .iter()
        .filter(|outcome| **outcome == (Status::Sent, 1))
        .count();
    let given_back = outcomes
        .iter()
        .filter(|outcome| **outcome == (Status::Pending, 0))
        .count();
    assert_eq!(
        (sent as u64, sent + given_back),
        (stage.sandbox.stats().accepted, 5),
        "{outcomes:?}"
    );
    assert!(given_back >= 3, "{outcomes:?}");
}

async fn what_was_claimed_ahead_is_given_back_untried(database: &TestDatabase) {
    const SLOTS: usize = 32;
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(60).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage.assign(&ids, SUBSCRIBE).await;
    let hang = Fault::on(Api::SubscribeSend, FaultAction::Hang);
    stage.sandbox.add_fault(hang.always());
    let many = [
        "--concurrency",
        &SLOTS.to_string(),
        "--request-timeout",
        "10s",
        "--shutdown-grace",
        "50ms",
    ];
    let relay = stage.relay_with(&many, Until::Stopped).await;
    stage.until_status(Status::Sending, SLOTS + SLOTS / 2).await;
    stage
        .sandbox
        .until(|stats| stats.in_flight == SLOTS as u32)
        .await;
    relay.stop().await;

    let messages = database.messages().await;
    let (in_doubt, untried): (Vec<_>, Vec<_>) =
        messages.iter().partition(|message| message.outcome_unknown);
    assert_eq!(in_doubt.len(), SLOTS);
    assert!(
        untried
            .iter()
            .all(|message| (message.status, message.attempt) == (Status::Pending, 0)),
        "{untried:?}"
    );
}

async fn a_request_that_outlasts_the_grace_period_is_unknown(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage
        .sandbox
        .add_fault(Fault::on(Api::SubscribeSend, FaultAction::Hang));
    let patient = ["--request-timeout", "10s", "--shutdown-grace", "50ms"];
    let relay = stage.relay_with(&patient, Until::Stopped).await;
    // The message itself is under way, and not only the request for a token.
    stage.sandbox.until(|stats| stats.in_flight == 1).await;
    eventually("the request hangs", async || {
        stage.sandbox.faults().is_empty()
    })
    .await;
    relay.stop().await;

    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.attempt, message.outcome_unknown),
        (Status::Pending, 1, true)
    );
    assert_eq!(
        message.last_error.as_deref(),
        Some("the relay was stopped before the answer came")
    );
}

async fn a_relay_signs_on_and_off(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let now = stage.clock.now();
    let relay = stage.relay().await;
    let known = database
        .read(move |connection| relays(connection, now))
        .await;
    assert_eq!(
        known.iter().map(|relay| &relay.name).collect::<Vec<_>>(),
        [relay.name()]
    );
    relay.stop().await;
    assert!(
        database
            .read(move |connection| relays(connection, now))
            .await
            .is_empty()
    );
}

async fn two_relays_share_the_work_and_send_nothing_twice(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(200)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage
        .assign(&ids, &[Channel::WechatSubscribe, Channel::WechatCloud])
        .await;
    let few = ["--concurrency", "8"];
    let (one, other) = (
        stage.relay_with(&few, Until::Stopped).await,
        stage.relay_with(&few, Until::Stopped).await,
    );
    stage.until_status(Status::Sent, 400).await;
    one.stop().await;
    other.stop().await;
    let stats = stage.sandbox.stats();
    assert_eq!((stats.accepted, stats.duplicates), (400, 0));
}
