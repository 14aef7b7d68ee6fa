//! Random sequences of verbs against a small in-memory model: after each step the table and the
//! model agree.

mod digest;
mod outbox;
mod state;
mod step;
