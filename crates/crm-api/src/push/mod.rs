//! What is new in the notification centre, told to open pages at once.
//!
//! ```text
//! a commit, in any process ─► signal ─► hub: reads the feed once for all ─► mailbox ─► socket ─► page
//! ```
//!
//! One [`Hub`] for a process knows who has sockets open; it reads what was committed since it last
//! read, exactly once, and puts it into the [`mailbox`] of each socket it concerns. A mailbox is
//! bounded: what is too much to send one by one becomes a single `refresh`. A [`socket`] takes a seat
//! first and asks the database afterwards, so that nothing falls in between.

mod hub;
mod mailbox;
mod message;
mod pruner;
mod roster;
mod socket;
pub mod ticket;

pub(crate) use hub::Hub;
pub(crate) use message::NotificationView;
pub(crate) use pruner::prune_for_ever;
pub(crate) use roster::Roster;
pub(crate) use socket::{Limits, Socket};
