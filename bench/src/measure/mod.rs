//! One file for each thing that is measured.

pub mod api;
pub mod backlog;
pub mod delivery;
pub mod drain;
pub mod explanation;
pub mod idle;
pub mod latency;
pub mod soak;
pub mod trigger;
