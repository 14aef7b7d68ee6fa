//! A message that shows whether messages arrive, step by step.
//!
//! What can be told without the platform is checked here; then the message is an outbox message like
//! any other, and the rest is read from what the relay has recorded.

mod check;
mod progress;
mod step;

pub(crate) use check::{Checked, TestOrder, check, message};
pub(crate) use progress::{Words, progress};
pub(crate) use step::{Step, StepName, StepState, Verdict};
