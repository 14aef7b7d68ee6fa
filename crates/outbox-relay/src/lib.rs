//! Delivers the outbox: claims due messages, sends them, judges the answer, settles.
//!
//! ```text
//!  claimer ─► dispatcher (per channel: slots, one per recipient) ─► settler ─► database
//!                  prepare ─► send ─► judge                       (one batch per few ms)
//!  rescuer: heartbeat, leases that are over, messages that expired
//! ```
//!
//! - [`relay`] starts and stops all of it
//! - [`claimer`](mod@claimer), [`dispatcher`](mod@dispatcher), [`settler`](mod@settler) and
//!   [`rescuer`](mod@rescuer) are the tasks
//! - [`channel`] knows how each channel prepares and sends; [`verdict`] what an answer means
//! - [`health`] shows the process to the outside; [`cli`] is the operators' command line

pub mod channel;
mod claimer;
pub mod cli;
pub mod config;
mod context;
mod dispatcher;
pub mod health;
mod liveness;
mod metrics;
pub mod relay;
mod rescuer;
mod settler;
mod slots;
pub mod verdict;

pub use config::Config;
pub use relay::Relay;
