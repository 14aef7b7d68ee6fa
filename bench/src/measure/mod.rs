//! One file for each thing that is measured.

pub mod api;
pub mod backlog;
pub mod customers;
pub mod delivery;
pub mod drain;
pub mod explanation;
pub mod idle;
pub mod inbox;
pub mod latency;
pub mod soak;
pub mod sockets;
pub mod transfer;
pub mod trigger;
