//! Entering many customers at once, from a file.
//!
//! ```text
//! bytes ─► table (encoding, columns, lines) ─► rows (each value, by itself)
//!                                                 └─► survey (against the database, and each other)
//!                                                        └─► entry: one transaction, all or nothing
//! ```
//!
//! The file's own faults are answered to the request that brings it. What is wrong with single rows
//! is found afterwards, all of it, and told by the import, which other processes can read.

mod column;
mod encoding;
mod entry;
mod import;
mod row;
mod run;
mod survey;
mod table;

pub use import::{Failure, Import, ImportState, InvalidRows};
pub(crate) use import::{NewImport, begin, find, give_up_if_silent};
pub use row::RowFault;
pub(crate) use run::{ImportRunner, Job};
pub(crate) use table::{Table, TableFault};
