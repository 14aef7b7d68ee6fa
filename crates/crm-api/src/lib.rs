//! The HTTP service of the CRM: writes a business change and its outbox rows in one transaction.
//!
//! ```text
//! startup ─► routes (the URL table) ─► access (who may) ─► extract ─► handler
//!                                                                        │
//!                    auth · users · customers · assignment · members ◄───┘
//!                                                │
//!                shared::{members, notification, outbox, operation_log, db}
//! ```
//!
//! A handler extracts, calls, answers. The folders [`auth`], [`users`], [`customers`], [`assignment`]
//! and [`members`] hold what the CRM does; they know no HTTP. Nothing here delivers a message: that
//! is the relay's work.

mod access;
pub mod assignment;
pub mod auth;
mod config;
pub mod customers;
mod envelope;
mod error;
mod extract;
pub mod members;
mod metrics;
mod openapi;
mod pattern;
mod request_frame;
#[expect(
    unused_qualifications,
    reason = "written by the macro that describes query parameters"
)]
mod routes;
mod startup;
mod state;
pub mod users;
mod validation;

pub use access::Access;
pub use config::{Config, InvalidConfig, MigrateAtStart, PhoneDisplay, RobotUse, WorkerCount};
pub use routes::{Endpoint, url_table};
pub use startup::{Server, migrate};
