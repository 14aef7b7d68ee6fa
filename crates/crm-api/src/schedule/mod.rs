//! What is done at fixed times, by exactly one of all processes.
//!
//! ```text
//! Timetable ─► Scheduler (one look a second) ─► Lease ─► Job(Turn) ─► the slot is done
//! ```
//!
//! A schedule is data: a name, a [`Timetable`] and a job. Every process looks for a slot that is due
//! and not done; whoever gets the [`Lease`] does it. A holder that dies loses its lease within
//! [`LEASE_DURATION`], and another one begins the slot again: a job writes what must be written once
//! in a transaction that says so by [`Turn::complete`], or in several, each of which says how far it got
//! by [`Turn::advance`]. Of several slots that were missed only the last is made up for.

mod lease;
mod scheduler;
mod slot_book;
mod state;
mod timetable;

pub use lease::{LEASE_DURATION, Lease, LeaseError};
pub use scheduler::{Job, JobError, JobFuture, Looked, Schedule, Scheduler, Turn};
pub use state::{ScheduleState, SlotState, state_of};
pub use timetable::Timetable;
pub(crate) use timetable::{first_moment, time_of_day};
