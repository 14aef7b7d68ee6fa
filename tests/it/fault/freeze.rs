//! A relay that stands still for longer than the others wait, and goes on as if nothing had been.

use std::time::Duration;

use shared::outbox::Status;
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{CONCURRENCY, Drain, TestDatabase, lasting, on_each_database, stop_well};

on_each_database!(
    a_frozen_relay_repeats_no_more_than_it_had_under_way,
    a_relay_frozen_between_claim_and_request_sends_nothing_when_it_goes_on,
);

/// Longer than the silence after which a relay is taken for dead, and than these leases.
const FROZEN: Duration = Duration::from_millis(7_500);

/// A lease that ends while its relay is frozen, and room for the requests in it.
const SHORT_LEASE: &[&str] = &["--lease", "7s", "--request-timeout", "1400ms"];

async fn a_frozen_relay_repeats_no_more_than_it_had_under_way(database: &TestDatabase) {
    let mut drain = Drain::on(database).await;
    let (frozen, other) = (drain.relay(SHORT_LEASE), drain.relay(SHORT_LEASE));
    drain.until_under_way().await;
    let mut incident = drain
        .incident("SIGSTOP for 7.5 s, under load")
        .interrupting(CONCURRENCY);
    frozen.freeze();
    lasting(FROZEN).await;
    frozen.thaw();
    incident.is_over();
    drain.assign(400).await;
    drain.close_books(&incident).await;
    stop_well([frozen, other]);
}

/// What it has claimed waits for a token; when that comes, the messages are somebody else's.
async fn a_relay_frozen_between_claim_and_request_sends_nothing_when_it_goes_on(
    database: &TestDatabase,
) {
    let drain = Drain::on(database).await;
    // Comes after the relay has gone on and has said that it is alive.
    let late = FaultAction::Delay(FROZEN + Duration::from_secs(3));
    drain
        .stage
        .sandbox
        .add_fault(Fault::on(Api::StableToken, late));
    let frozen = drain.relay(&["--request-timeout", "15s", "--lease", "100s"]);
    drain.until_in_flight(1).await;
    drain.stage.until_status(Status::Sending, CONCURRENCY).await;
    let mut incident = drain
        .incident("SIGSTOP for 7.5 s, between claim and request")
        .interrupting(CONCURRENCY);
    let other = drain.relay(&[]);
    frozen.freeze();
    lasting(FROZEN).await;
    frozen.thaw();
    incident.is_over();
    // Its token has come.
    drain.until_in_flight(0).await;
    let cost = drain.close_books(&incident).await;
    assert_eq!(cost.repeated, 0);
    stop_well([frozen, other]);
}
