//! Every verb that moves a message.

mod agenda;
mod cancel_pending;
mod channel_settings;
mod claim;
mod digest;
mod enqueue;
mod errcode_override;
mod explain;
mod failures;
mod fallback;
mod fallback_traces;
mod hold;
mod inspect;
mod lease;
mod recipient_limit;
mod reclaim;
mod refused_recipients;
mod relay_registry;
mod repair;
mod repair_matching;
mod retention;
mod settle;
mod stuck;
mod supersede;
mod undo;
