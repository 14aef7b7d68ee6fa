//! The operators' command line, as they use it.

mod outbox;
