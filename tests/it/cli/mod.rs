//! The operators' command line, as they use it.

mod audit;
mod channels;
mod doctor;
mod errcodes;
mod outbox;
mod relays;
mod repair;
mod standing;

use serde_json::Value;

use crate::harness::{Ended, RelayStage};

/// Runs the program with these words, on the stage's database and platform.
fn relay(stage: &RelayStage<'_>, words: &[&str]) -> Ended {
    stage.command(words)
}

/// What it said, as JSON; it must have succeeded.
#[track_caller]
fn json(ended: &Ended) -> Value {
    ended.json()
}

/// It must have failed, saying this.
#[track_caller]
fn refused(ended: &Ended, answer: &str) {
    assert!(!ended.status.success(), "{}", ended.said);
    assert!(ended.said.contains(answer), "{}", ended.said);
}
