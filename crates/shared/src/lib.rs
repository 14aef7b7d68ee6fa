//! What both services stand on, from the bottom up:
//!
//! - [`domain`]: values with rules of their own (ids, time, phone numbers, roles, channels)
//! - [`db`]: one set of queries for two databases
//! - [`outbox`]: the messages that wait for delivery, and every verb that moves one
//! - [`notification`]: what happened, in which words, to whom, on which channels
//! - [`members`]: who is told of what is done to members, whoever does it
//! - [`clock`], [`telemetry`], [`command_line`]: time, logs, settings
//!
//! A module may use those above it in this list, never those below.

pub mod bindings;
pub mod clock;
pub mod command_line;
pub mod db;
pub mod domain;
pub mod members;
pub mod notification;
pub mod operation_log;
pub mod outbox;
pub mod telemetry;
