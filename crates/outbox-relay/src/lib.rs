//! Delivers the outbox: claims due messages, sends them, judges the answer, settles.
//!
//! ```text
//!  claimer ─► dispatcher (per channel: slots, one per recipient) ─► settler ─► database
//!                  prepare ─► send ─► judge                       (one batch per few ms)
//!  pulse: heartbeat, what is due ─► claimer, what is over or expired ─► rescuer
//!  digester: what waited for the end of a do-not-disturb ─► a digest
//!  pruner: old finished rows
//! ```
//!
//! - [`relay`] starts and stops all of it
//! - [`claimer`](mod@claimer), [`dispatcher`](mod@dispatcher), [`settler`](mod@settler),
//!   [`pulse`](mod@pulse), [`rescuer`](mod@rescuer), [`digester`](mod@digester) and
//!   [`pruner`](mod@pruner) are the tasks
//! - [`controls`](mod@controls) is what operators set while it runs; [`breaker`](mod@breaker) and
//!   [`rate_limiter`](mod@rate_limiter) decide when a channel is left alone,
//!   [`recipient_pace`](mod@recipient_pace) when a recipient is
//! - [`addressing`](mod@addressing) knows who recipients are on the platforms, [`channel`] how each
//!   channel prepares and sends, [`verdict`] what an answer means
//! - [`health`] shows the process to the outside; [`cli`] is the operators' command line

mod addressing;
mod breaker;
pub mod channel;
mod claimer;
pub mod cli;
pub mod config;
mod context;
mod controls;
mod digester;
mod dispatcher;
pub mod health;
mod liveness;
mod metrics;
mod pruner;
mod pulse;
mod rate_limiter;
mod recipient_pace;
pub mod relay;
mod rescuer;
mod settler;
mod slots;
pub mod verdict;

pub use config::Config;
pub use relay::Relay;
