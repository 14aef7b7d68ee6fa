//! The schema's versions, embedded in the binaries.
//!
//! Both databases have the same migrations under the same names; a test compares the folders.

use std::collections::BTreeSet;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{DbConnection, DbError, dialect, transaction};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Why a program must not work with the database as it is.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Migrations are missing.
    #[error(
        "the database schema is behind by {pending} migration(s); run `crm-api migrate` (or `outbox-relay migrate`)"
    )]
    Behind {
        /// How many.
        pending: usize,
    },
    /// A newer program has migrated it; an older one could do harm.
    #[error("the database schema ({newest}) is newer than this program; install the newer release")]
    TooNew {
        /// The newest version the database has.
        newest: String,
    },
    /// A migration did not work.
    #[error("migration failed: {0}")]
    Failed(String),
    /// The versions could not be read.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The versions this program brings, oldest first.
///
/// # Errors
/// Never in practice: the migrations are part of the binary.
pub fn known(connection: &DbConnection) -> Result<Vec<String>, SchemaError> {
    let names = match connection {
        DbConnection::Postgres(_) => {
            names_of(&MigrationSource::<Pg>::migrations(&POSTGRES).map_err(failed)?)
        }
        DbConnection::Sqlite(_) => {
            names_of(&MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(failed)?)
        }
    };
    Ok(names)
}

/// Whether the schema is the one this program was built for.
///
/// # Errors
/// [`SchemaError::Behind`], [`SchemaError::TooNew`], or that it could not be read.
pub fn check(connection: &mut DbConnection) -> Result<(), SchemaError> {
    let known: BTreeSet<String> = known(connection)?.into_iter().collect();
    let applied: BTreeSet<String> = dialect::applied_migrations(connection)?
        .into_iter()
        .collect();
    if let Some(newest) = applied.difference(&known).last() {
        return Err(SchemaError::TooNew {
            newest: newest.clone(),
        });
    }
    match known.difference(&applied).count() {
        0 => Ok(()),
        pending => Err(SchemaError::Behind { pending }),
    }
}

/// Runs what is missing, all of it in one transaction; safe to call from several processes at once.
/// Answers how many were run.
///
/// # Errors
/// [`SchemaError::TooNew`], or the migration that did not work; the schema is then as before.
pub fn run(connection: &mut DbConnection) -> Result<usize, SchemaError> {
    let migrated = transaction::in_transaction(connection, |transaction| {
        let connection = transaction.connection();
        dialect::lock_migrations(connection)?;
        match check(connection) {
            Err(SchemaError::Behind { .. }) => {}
            Ok(()) => return Ok(0),
            Err(error) => return Err(error),
        }
        let run = match connection {
            DbConnection::Postgres(c) => c.run_pending_migrations(POSTGRES).map_err(failed)?.len(),
            DbConnection::Sqlite(c) => c.run_pending_migrations(SQLITE).map_err(failed)?.len(),
        };
        Ok(run)
    });
    migrated.map(|(run, _)| run)
}

/// Takes back every migration, newest first.
///
/// # Errors
/// The migration that did not work; the schema is then as before.
pub fn revert_all(connection: &mut DbConnection) -> Result<usize, SchemaError> {
    let migrated = transaction::in_transaction(connection, |transaction| {
        let connection = transaction.connection();
        dialect::lock_migrations(connection)?;
        let reverted = match connection {
            DbConnection::Postgres(c) => c.revert_all_migrations(POSTGRES).map_err(failed)?.len(),
            DbConnection::Sqlite(c) => c.revert_all_migrations(SQLITE).map_err(failed)?.len(),
        };
        Ok(reverted)
    });
    migrated.map(|(reverted, _)| reverted)
}

fn failed(error: impl std::fmt::Display) -> SchemaError {
    SchemaError::Failed(error.to_string())
}

fn names_of<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    let mut names: Vec<String> = migrations
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    names.sort_unstable();
    names
}
