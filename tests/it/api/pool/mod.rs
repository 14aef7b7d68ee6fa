//! The public pool: every rule, text and row.

mod claim;
mod concurrency;
mod list;
mod log;
mod release;
mod supersede;
