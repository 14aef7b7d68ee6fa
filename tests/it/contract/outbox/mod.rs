//! Every verb that moves a message.

mod channel_settings;
mod claim;
mod enqueue;
mod errcode_override;
mod hold;
mod inspect;
mod lease;
mod reclaim;
mod relay_registry;
mod repair;
mod retention;
mod settle;
