//! `kill -9`, at each stage of a message's way.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{
    CONCURRENCY, Drain, TestDatabase, keep_settlements_waiting, on_each_database, stop_well,
};

on_each_database!(
    a_relay_killed_under_load_leaves_its_messages_to_the_other,
    a_relay_that_claims_ahead_repeats_no_more_than_it_had_in_hand,
    a_relay_killed_after_the_claim_has_sent_nothing,
    a_relay_killed_after_the_request_was_written_repeats_what_was_taken,
    a_relay_killed_before_it_could_settle_repeats_what_was_answered,
);

/// Longer than these cases last: nothing ends by a time-out here.
const PATIENT: &[&str] = &["--request-timeout", "20s", "--lease", "100s"];

async fn a_relay_killed_under_load_leaves_its_messages_to_the_other(database: &TestDatabase) {
    let drain = Drain::on(database).await;
    let (doomed, other) = (drain.relay(&[]), drain.relay(&[]));
    drain.until_under_way().await;
    let mut incident = drain
        .incident("kill -9, under load")
        .interrupting(CONCURRENCY);
    doomed.kill();
    incident.is_over();
    let next = drain.relay(&[]);
    drain.close_books(&incident).await;
    stop_well([other, next]);
}

async fn a_relay_that_claims_ahead_repeats_no_more_than_it_had_in_hand(database: &TestDatabase) {
    /// From so many slots on a relay claims ahead, and settles while it sends.
    const MANY: usize = 32;
    let mut drain = Drain::on(database).await;
    drain.assign(1_600).await;
    let many = ["--concurrency", &MANY.to_string()];
    let (doomed, other) = (drain.relay(&many), drain.relay(&many));
    drain.until_under_way().await;
    let mut incident = drain
        .incident("kill -9, under load, with many slots")
        .interrupting(2 * MANY);
    doomed.kill();
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well([other]);
}

async fn a_relay_killed_after_the_claim_has_sent_nothing(database: &TestDatabase) {
    let drain = Drain::on(database).await;
    // What was claimed waits for a token that does not come.
    let no_token = Fault::on(Api::StableToken, FaultAction::Hang);
    drain.stage.sandbox.add_fault(no_token);
    let doomed = drain.relay(PATIENT);
    drain.until_in_flight(1).await;
    drain.stage.until_status(Status::Sending, CONCURRENCY).await;
    let mut incident = drain
        .incident("kill -9, after the claim")
        .interrupting(CONCURRENCY);
    doomed.kill();
    incident.is_over();
    let next = drain.relay(&[]);
    let cost = drain.close_books(&incident).await;
    assert_eq!((cost.repeated, cost.attempts), (0, CONCURRENCY));
    stop_well([next]);
}

async fn a_relay_killed_after_the_request_was_written_repeats_what_was_taken(
    database: &TestDatabase,
) {
    const TAKEN: u32 = CONCURRENCY as u32 / 2;
    let drain = Drain::on(database).await;
    // Half of the requests are lost on the way, half only lose their answer.
    let hang = || Fault::on(Api::SubscribeSend, FaultAction::Hang).times(TAKEN);
    drain.stage.sandbox.add_fault(hang().processed());
    drain.stage.sandbox.add_fault(hang().unprocessed());
    let doomed = drain.relay(PATIENT);
    drain.until_in_flight(CONCURRENCY).await;
    let mut incident = drain
        .incident("kill -9, after the request was written")
        .interrupting(CONCURRENCY);
    doomed.kill();
    incident.is_over();
    let next = drain.relay(&[]);
    let cost = drain.close_books(&incident).await;
    assert_eq!(
        (cost.repeated, cost.attempts),
        (TAKEN as usize, CONCURRENCY)
    );
    stop_well([next]);
}

async fn a_relay_killed_before_it_could_settle_repeats_what_was_answered(database: &TestDatabase) {
    let drain = Drain::on(database).await;
    // Long enough to get in between.
    drain
        .stage
        .sandbox
        .set_latency(Duration::from_millis(1_500));
    let doomed = drain.relay(PATIENT);
    drain.until_in_flight(CONCURRENCY).await;
    let mut connection = database.connection();
    keep_settlements_waiting(&mut connection);
    drain.until_in_flight(0).await;
    assert_eq!(drain.stage.sandbox.stats().accepted, CONCURRENCY as u64);
    let mut incident = drain
        .incident("kill -9, before the settlement")
        .interrupting(CONCURRENCY);
    doomed.kill();
    connection.batch_execute("COMMIT").unwrap();
    incident.is_over();
    drain.stage.sandbox.set_latency(Duration::from_millis(20));
    let next = drain.relay(&[]);
    let cost = drain.close_books(&incident).await;
    assert_eq!((cost.repeated, cost.attempts), (CONCURRENCY, CONCURRENCY));
    stop_well([next]);
}
