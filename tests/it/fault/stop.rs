//! SIGTERM, under load.

use std::time::{Duration, Instant};

use shared::outbox::Status;
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{CONCURRENCY, Drain, TestDatabase, TestProcess, on_each_database};

on_each_database!(
    a_relay_that_is_told_to_stop_ends_well_and_soon,
    a_relay_that_is_told_to_stop_does_not_wait_for_a_platform_that_hangs,
);

/// After this a process manager kills.
const STOP_MAX: Duration = Duration::from_secs(10);

fn stop_in_time(relay: TestProcess) {
    let asked_at = Instant::now();
    let ended = relay.terminate();
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
