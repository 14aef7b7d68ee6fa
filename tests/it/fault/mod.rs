//! The real programs on a bad day, on real databases.
//!
//! Each case lets relays deliver a backlog, makes something go wrong in the middle, and closes the
//! books ([`Drain::close_books`](crate::harness::Drain::close_books)): every committed assignment
//! has its messages, each is sent, none is lost, repeats and used-up attempts are no more than the
//! requests that were interrupted. Every case adds a line to the table, which a run prints:
//! `fault table: | fault | database | rows | lost | …`.

mod clock;
mod disk;
mod freeze;
mod kill;
mod outage;
mod platform;
mod quota;
mod reports;
mod scheduler;
mod secrets;
mod server;
mod start;
mod stop;
mod token;
