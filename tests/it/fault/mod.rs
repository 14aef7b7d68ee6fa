//! The real programs on a bad day.

mod kill;
mod outage;
mod secrets;
mod start;
