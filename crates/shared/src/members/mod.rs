//! Members, and who is told of what is done to them.
//!
//! Other programs write the table by SQL, so it is its triggers that enqueue; see the migration
//! `members`. Where they are missing, [`tell`] does the same for what the application writes.

mod capture;
mod member;
mod news;

pub use capture::{Capture, Write, capture};
pub use member::{Member, MemberStatus, find};
pub use news::tell;
