//! The operators' command line, as they use it.

mod audit;
mod channels;
mod doctor;
mod doctor_wecom;
mod errcodes;
mod outbox;
mod preview;
mod relays;
mod repair;
mod service_token;
mod standing;
mod test_send;

use crate::harness::Ended;

/// It must have failed, saying this.
#[track_caller]
fn refused(ended: &Ended, answer: &str) {
    assert!(!ended.status.success(), "{}", ended.said);
    assert!(ended.said.contains(answer), "{}", ended.said);
}
