//! One integration binary that mirrors the product.
//!
//! - [`harness`]: what tests stand on
//! - [`contract`]: the same cases for both databases
//! - [`model`]: random sequences of verbs against a small model
//! - [`relay`]: the relay against the sandbox
//! - [`cli`]: the operators' command line
//! - [`fault`]: the real programs on a bad day
//! - [`api`]: the API over HTTP, a file per resource
//! - [`browser`]: pages in a real browser
//! - [`end_to_end`]: from the API to the phone
//! - [`tidy`]: the rules of the repository itself

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; clippy recognises only the test functions themselves"
)]

mod api;
mod browser;
mod cli;
mod contract;
mod end_to_end;
mod fault;
mod harness;
mod model;
mod relay;
mod tidy;
