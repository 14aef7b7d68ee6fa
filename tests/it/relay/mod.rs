//! The relay against the sandbox: what arrives, what is recorded, and what happens when the
//! platform misbehaves.

mod breaker;
mod delivery;
mod digest;
mod fallback;
mod fault;
mod hold;
mod preference;
mod pruner;
mod setting;
mod shutdown;
mod token;
mod wake;
mod wecom_app;
mod wecom_pace;
mod wecom_robot;
