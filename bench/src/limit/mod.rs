//! What the programs are compared with: the same work with everything left out that can be.

pub mod assignment;
pub mod bare_queue;
pub mod listener;
pub mod raw_loop;
pub mod transfer;
