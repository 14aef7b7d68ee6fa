//! Every verb that moves a message.

mod channel_settings;
mod claim;
mod enqueue;
mod errcode_override;
mod explain;
mod failures;
mod hold;
mod inspect;
mod lease;
mod reclaim;
mod relay_registry;
mod repair;
mod repair_matching;
mod retention;
mod settle;
mod stuck;
mod undo;
