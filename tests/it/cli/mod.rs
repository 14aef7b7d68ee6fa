//! The operators' command line, as they use it.

mod audit;
mod doctor;
mod outbox;
mod relays;
mod repair;
mod standing;

use serde_json::Value;

use crate::harness::{Ended, RelayStage, run};

/// Time-outs that no busy machine runs into.
const PATIENT: [&str; 4] = ["--connect-timeout", "5s", "--request-timeout", "10s"];

/// Runs the program with these words, on the stage's database and platform.
fn relay(stage: &RelayStage<'_>, words: &[&str]) -> Ended {
    let mut arguments = stage.relay_arguments(&["--log", "error"]);
    arguments.extend(PATIENT.map(str::to_owned));
    arguments.extend(words.iter().map(|&word| word.to_owned()));
    run("outbox-relay", &arguments)
}

/// What it said, as JSON; it must have succeeded.
#[track_caller]
fn json(ended: &Ended) -> Value {
    assert!(ended.status.success(), "{}", ended.said);
    serde_json::from_str(&ended.printed).unwrap()
}

/// It must have failed, saying this.
#[track_caller]
fn refused(ended: &Ended, answer: &str) {
    assert!(!ended.status.success(), "{}", ended.said);
    assert!(ended.said.contains(answer), "{}", ended.said);
}
