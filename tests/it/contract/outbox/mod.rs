//! Every verb that moves a message.

mod claim;
mod enqueue;
mod explain;
mod failures;
mod hold;
mod inspect;
mod lease;
mod reclaim;
mod relay_registry;
mod repair;
mod repair_matching;
mod settle;
mod stuck;
mod undo;
