//! The HTTP service of the CRM: writes a business change and its outbox rows in one transaction.
//!
//! ```text
//! startup ─► schedule (the clock) ─► auto_transfer · reports · reminders
//!    └────► routes (the URL table) ─► access (who may) ─► extract ─► handler
//!                                                                        │
//! auth · users · customers · imports · website · assignment · pool · members · events ◄──┘    push ─► open pages
//!                                                │
//!                shared::{members, notification, outbox, operation_log, db}
//! ```
//!
//! A handler extracts, calls, answers. The folders [`auth`], [`users`], [`customers`], [`imports`],
//! [`website`], [`assignment`], [`pool`], [`auto_transfer`], [`reports`], [`reminders`], [`members`] and
//! [`events`] hold what the CRM does; they know no HTTP. Nothing here delivers a message: that
//! is the relay's work.

mod access;
pub mod assignment;
pub mod auth;
pub mod auto_transfer;
mod change;
pub mod cli;
mod client_address;
mod config;
pub mod customers;
mod envelope;
mod error;
pub mod events;
mod extract;
mod idempotency;
pub mod imports;
pub mod members;
mod metrics;
mod openapi;
mod outward;
mod pattern;
mod placeholders;
pub mod pool;
mod push;
pub mod reminders;
mod rendering_text;
pub mod reports;
mod request_frame;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes query parameters"
)]
mod routes;
pub mod schedule;
mod startup;
mod state;
mod test_send;
pub mod users;
mod validation;
pub mod website;

pub use access::Access;
pub use client_address::TrustedProxies;
pub use config::{
    Config, InvalidConfig, MigrateAtStart, PhoneDisplay, RobotUse, SchedulerUse, WorkerCount,
};
pub use routes::{Endpoint, url_table};
pub use startup::{Server, migrate};
