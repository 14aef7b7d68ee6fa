//! Every verb that moves a message.

mod claim;
mod enqueue;
mod hold;
mod inspect;
mod lease;
mod reclaim;
mod relay_registry;
mod repair;
mod settle;
