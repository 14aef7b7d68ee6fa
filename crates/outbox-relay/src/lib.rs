//! Delivers the outbox: claims due messages, sends them, judges the answer, settles.
//!
//! ```text
//!  claimer ─► dispatcher (per channel: slots, one per recipient) ─► settler ─► database
//!                  prepare ─► send ─► judge                       (one batch per few ms)
//!  rescuer: heartbeat, leases that are over, messages that expired   pruner: old finished rows
//! ```
//!
//! - [`relay`] starts and stops all of it
//! - [`claimer`](mod@claimer), [`dispatcher`](mod@dispatcher), [`settler`](mod@settler),
//!   [`rescuer`](mod@rescuer) and [`pruner`](mod@pruner) are the tasks
//! - [`controls`](mod@controls) is what operators set while it runs; [`breaker`](mod@breaker) and
//!   [`rate_limiter`](mod@rate_limiter) decide when a channel is left alone
//! - [`channel`] knows how each channel prepares and sends; [`verdict`] what an answer means
//! - [`health`] shows the process to the outside; [`cli`] is the operators' command line

mod breaker;
pub mod channel;
mod claimer;
pub mod cli;
pub mod config;
mod context;
mod controls;
mod dispatcher;
pub mod health;
mod liveness;
mod metrics;
mod pruner;
mod rate_limiter;
pub mod relay;
mod rescuer;
mod settler;
mod slots;
pub mod verdict;

pub use config::Config;
pub use relay::Relay;
