use std::time::Instant;

use serde_json::json;
use shared::domain::{Channel, UserId};
use shared::outbox::Status;

use crate::harness::{RelayStage, TestDatabase, TestProcess, assignment, on_each_database};

on_each_database!(
    messages_of_a_killed_relay_are_delivered_by_the_other,
    messages_of_a_killed_relay_are_delivered_by_the_next,
    a_relay_that_is_told_to_stop_ends_well_and_soon,
);

/// How many messages wait when a relay is killed: a few for every day, many with `FAULT_MESSAGES`.
fn messages() -> usize {
    std::env::var("FAULT_MESSAGES").map_or(600, |count| count.parse().unwrap())
}

/// Requests that a relay has under way at most: so many outcomes a kill can leave unknown.
const CONCURRENCY: usize = 8;

async fn stage_with_backlog(database: &TestDatabase) -> RelayStage<'_> {
    let stage = RelayStage::on(database).await;
    let recipients: Vec<UserId> = stage
        .employees(60)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    for round in 0..messages() / recipients.len() {
        // Every message different, so that the sandbox can tell a repeat.
        let mut data = assignment();
        data.insert("customerName".to_owned(), json!(format!("客户{round}")));
        stage
            .assign_with(&recipients, &[Channel::WechatSubscribe], data)
            .await;
    }
    stage
        .sandbox
        .set_latency(std::time::Duration::from_millis(3));
    stage
}

fn start_relay(stage: &RelayStage<'_>) -> TestProcess {
    TestProcess::start(
        "outbox-relay",
        &stage.relay_arguments(&["--concurrency", &CONCURRENCY.to_string()]),
    )
}

async fn assert_all_delivered(stage: &RelayStage<'_>, repeats_max: usize) {
    stage.until_status(Status::Sent, messages()).await;
    let stats = stage.sandbox.stats();
    let repeats = usize::try_from(stats.duplicates).unwrap();
    assert!(
        repeats <= repeats_max,
        "{repeats} repeats, {repeats_max} at most"
    );
    assert_eq!(
        usize::try_from(stats.accepted).unwrap(),
        messages() + repeats
    );
    println!(
        "{} sent, {} accepted by the platform, {repeats} repeated",
        messages(),
        stats.accepted
    );
}

async fn messages_of_a_killed_relay_are_delivered_by_the_other(database: &TestDatabase) {
    let stage = stage_with_backlog(database).await;
    let (doomed, other) = (start_relay(&stage), start_relay(&stage));
    stage.sandbox.until(|stats| stats.accepted >= 100).await;
    doomed.kill();
    assert_all_delivered(&stage, CONCURRENCY).await;
    assert!(other.terminate().status.success());
}

async fn messages_of_a_killed_relay_are_delivered_by_the_next(database: &TestDatabase) {
    let stage = stage_with_backlog(database).await;
    let doomed = start_relay(&stage);
    stage.sandbox.until(|stats| stats.accepted >= 100).await;
    doomed.kill();
    let next = start_relay(&stage);
    assert_all_delivered(&stage, CONCURRENCY).await;
    assert!(next.terminate().status.success());
}

async fn a_relay_that_is_told_to_stop_ends_well_and_soon(database: &TestDatabase) {
    let stage = stage_with_backlog(database).await;
    let relay = start_relay(&stage);
    stage.sandbox.until(|stats| stats.accepted >= 100).await;
    let asked_at = Instant::now();
    let ended = relay.terminate();
    assert!(ended.status.success(), "{}", ended.said);
    assert!(asked_at.elapsed().as_secs() < 10);

    let stats = stage.sandbox.stats();
    let messages = database.messages().await;
    let sent = messages
        .iter()
        .filter(|message| message.status == Status::Sent)
        .count();
    assert_eq!(
        u64::try_from(sent).unwrap(),
        stats.accepted,
        "what was accepted is recorded"
    );
    assert!(
        messages
            .iter()
            .all(|m| m.status == Status::Sent || (m.status, m.attempt) == (Status::Pending, 0)),
        "nothing is left leased and no attempt is used up"
    );
}
