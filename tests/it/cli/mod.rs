//! The operators' command line, as they use it.

mod channels;
mod errcodes;
mod outbox;
