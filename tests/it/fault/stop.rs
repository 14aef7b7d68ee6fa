//! SIGTERM, under load.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{
    CONCURRENCY, Drain, TestDatabase, TestProcess, eventually, keep_settlements_waiting, lasting,
    on_each_database,
};

on_each_database!(
    a_relay_that_is_told_to_stop_ends_well_and_soon,
    a_relay_that_is_told_to_stop_while_it_claims_claims_nothing_more,
    a_relay_that_is_told_to_stop_does_not_wait_for_a_platform_that_hangs,
);

/// After this a process manager kills.
const STOP_MAX: Duration = Duration::from_secs(10);

fn stop_in_time(relay: TestProcess) {
    relay.ask_to_end();
    end_in_time(relay);
}

/// It has been asked to.
fn end_in_time(relay: TestProcess) {
    let asked_at = Instant::now();
    let ended = relay.end();
    assert!(ended.status.success(), "{}", ended.said);
    assert!(asked_at.elapsed() < STOP_MAX, "{:?}", asked_at.elapsed());
}

async fn a_relay_that_is_told_to_stop_ends_well_and_soon(database: &TestDatabase) {
    let drain = Drain::on(database).await;
    let relay = drain.relay(&[]);
    drain.until_under_way().await;
    let mut incident = drain.incident("SIGTERM, under load");
    stop_in_time(relay);

    let stats = drain.stage.sandbox.stats();
    let messages = database.messages().await;
    let sent = messages
        .iter()
        .filter(|message| message.status == Status::Sent)
        .count();
    assert_eq!(sent as u64, stats.accepted, "what was accepted is recorded");
    assert!(sent < messages.len(), "it was stopped under load");
    assert!(
        messages
            .iter()
            .all(|m| m.status == Status::Sent || (m.status, m.attempt) == (Status::Pending, 0)),
        "nothing is left leased and no attempt is used up"
    );
    incident.is_over();
    let next = drain.relay(&[]);
    drain.close_books(&incident).await;
    stop_in_time(next);
}

/// It has more slots than there are people: whatever a claim finds, there may be more for it to take.
async fn a_relay_that_is_told_to_stop_while_it_claims_claims_nothing_more(database: &TestDatabase) {
    let mut drain = Drain::on(database).await;
    // So many slots are fast.
    drain.assign(1_600).await;
    let relay = drain.relay(&["--concurrency", "256"]);
    drain.until_more_are_accepted(40).await;
    let mut incident = drain.incident("SIGTERM, while a claim waits for the database");
    let mut connection = database.connection();
    keep_settlements_waiting(&mut connection);
    // For the answers, and for the claim that follows them.
    lasting(Duration::from_millis(300)).await;
    relay.ask_to_end();
    eventually("it knows that it is to stop", async || {
        relay.said().contains("SIGTERM: stopping")
    })
    .await;
    connection.batch_execute("COMMIT").unwrap();
    end_in_time(relay);

    let messages = database.messages().await;
    let left: Vec<_> = messages
        .iter()
        .filter(|message| message.status != Status::Sent)
        .collect();
    assert!(!left.is_empty(), "there was more to claim");
    assert!(
        left.iter()
            .all(|m| (m.status, m.attempt) == (Status::Pending, 0) && m.fence <= 1),
        "what it had claimed is given back, and nothing is claimed for that: {left:?}"
    );
    incident.is_over();
    let next = drain.relay(&[]);
    drain.close_books(&incident).await;
    stop_in_time(next);
}

async fn a_relay_that_is_told_to_stop_does_not_wait_for_a_platform_that_hangs(
    database: &TestDatabase,
) {
    let drain = Drain::on(database).await;
    // Longer than the grace period, which is left at what it is in production.
    let relay = drain.relay(&["--request-timeout", "20s", "--lease", "100s"]);
    drain.until_under_way().await;
    let hang = Fault::on(Api::SubscribeSend, FaultAction::Hang).times(CONCURRENCY as u32);
    drain.stage.sandbox.add_fault(hang);
    drain.until_faults_have_struck().await;
    let mut incident = drain
        .incident("SIGTERM, while the platform hangs")
        .interrupting(CONCURRENCY);
    stop_in_time(relay);
    incident.is_over();
    let next = drain.relay(&[]);
    let cost = drain.close_books(&incident).await;
    assert_eq!((cost.repeated, cost.attempts), (0, CONCURRENCY));
    stop_in_time(next);
}
