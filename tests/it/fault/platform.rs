//! A platform that answers badly for a while, to some of the requests.

use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{Drain, TestDatabase, on_each_database, stop_well};

on_each_database!(
    requests_that_hang_are_sent_again,
    answers_that_break_off_are_asked_for_again,
    answers_that_are_garbage_are_asked_for_again,
    answers_that_are_far_too_long_are_asked_for_again,
    requests_that_are_sent_elsewhere_do_not_go_there_and_are_sent_again,
);

/// How many requests meet the fault: a platform's bad second.
const STRUCK: usize = 24;

/// So many requests in the middle of the backlog meet `action`. Answers how many were repeated.
async fn misbehave(database: &TestDatabase, name: &str, action: FaultAction) -> usize {
    let drain = Drain::on(database).await;
    // What hangs is to end.
    let relay = drain.relay(&["--request-timeout", "2s"]);
    drain.until_under_way().await;
    let mut incident = drain.incident(name).interrupting(STRUCK);
    let times = u32::try_from(STRUCK).unwrap();
    drain
        .stage
        .sandbox
        .add_fault(Fault::on(Api::SubscribeSend, action).times(times));
    drain.until_faults_have_struck().await;
    incident.is_over();
    let cost = drain.close_books(&incident).await;
    assert_eq!(cost.attempts, STRUCK, "each counts once");
    stop_well([relay]);
    cost.repeated
}

async fn requests_that_hang_are_sent_again(database: &TestDatabase) {
    let repeated = misbehave(database, "the platform hangs", FaultAction::Hang).await;
    assert_eq!(repeated, 0, "nothing was accepted without an answer");
}

async fn answers_that_break_off_are_asked_for_again(database: &TestDatabase) {
    let name = "the platform resets in the middle of its answer";
    let repeated = misbehave(database, name, FaultAction::ResetMidBody).await;
    assert_eq!(repeated, STRUCK, "each had been accepted");
}

async fn answers_that_are_garbage_are_asked_for_again(database: &TestDatabase) {
    let garbage = FaultAction::RawBody("<html>\u{0}\u{fffd} not what was asked for".to_owned());
    let repeated = misbehave(database, "the platform answers garbage", garbage).await;
    assert_eq!(repeated, 0);
}

async fn answers_that_are_far_too_long_are_asked_for_again(database: &TestDatabase) {
    let name = "the platform answers with 100,000 bytes";
    let repeated = misbehave(database, name, FaultAction::LongBody(100_000)).await;
    assert_eq!(repeated, STRUCK, "each had been accepted");
}

async fn requests_that_are_sent_elsewhere_do_not_go_there_and_are_sent_again(
    database: &TestDatabase,
) {
    let elsewhere = FaultAction::Redirect("/cgi-bin/message/subscribe/send".to_owned());
    let repeated = misbehave(database, "the platform redirects", elsewhere).await;
    assert_eq!(repeated, 0);
}
