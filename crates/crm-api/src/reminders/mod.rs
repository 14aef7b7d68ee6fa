//! Owners are reminded of customers with whom nothing was done for days.
//!
//! ```text
//! Schedule ─► Waits (which days are due) ─► due (a range of the index each) ─► batch of owners, one transaction ─► …
//! ```
//!
//! With an interval of 7 days a customer is brought up on the 7th, 14th, 21st day after the last
//! activity, and so on. Nothing has to be remembered for that but the last slot that was done: days that
//! were missed are made up for with the next slot.

mod due;
mod message;
mod reminder;
mod waits;

pub use message::ENTRIES_MAX;
pub use reminder::{OWNERS_AT_ONCE, Reminder};
pub use waits::Waits;
