//! The public pool: what is in it, and what went in and out.
//!
//! How customers get in and out is in [`assignment`](crate::assignment): `release`, `claim`,
//! `assign`.

mod movement;
mod statistics;

pub use movement::{Direction, Movement, movements};
pub use statistics::{PoolStatistics, start_of_day, statistics};
