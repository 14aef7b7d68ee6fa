//! One set of queries for two databases.
//!
//! ```text
//! url ─► connection ─► pool (Database) ─► transaction (WriteTransaction)
//!             │             └─► writer: groups commits where there is one writer anyway,
//!             │                 and takes turns with those of other processes (turnstile)
//!             └─► dialect: where SQL differs between the two
//! ```
//!
//! Whoever changes data does so in [`Database::write`], the only maker of a [`WriteTransaction`];
//! functions that must be part of a business change ask for one in their signature.

pub mod columns;
mod connection;
pub mod dialect;
mod error;
mod file_events;
mod listener;
pub mod migrations;
mod pool;
pub mod schema;
mod statement;
mod transaction;
mod turnstile;
mod url;
mod wake;
mod writer;

#[doc(hidden)]
pub use connection::ROWS_KEPT_PREPARED_MAX;
pub use connection::{DbConnection, each_backend, insert_rows, load_locked};
pub use error::{ConnectError, DbError};
pub use pool::{Database, PoolOptions};
pub use statement::{KeptPrepared, NoColumns, ReturningRows, keep_prepared};
pub use transaction::WriteTransaction;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};
pub use wake::Topic;
