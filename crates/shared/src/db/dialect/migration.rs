use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::{DbConnection, DbError};

/// Lets one process at a time migrate: held until the transaction ends.
pub(in crate::db) fn lock_migrations(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction itself is the lock.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "migrations of this schema".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492811)").execute(c)?;
            // An index of a table with a million rows takes minutes, and more so with little memory.
            c.batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '256MB'",
            )?;
            Ok(())
        }
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The versions the database has; none if it was never migrated.
pub(in crate::db) fn applied_migrations(
    connection: &mut DbConnection,
) -> Result<Vec<String>, DbError> {
    let table_exists = match connection {
        DbConnection::Sqlite(_) => {
            "SELECT count(*) AS count FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
        }
        DbConnection::Postgres(_) => {
            "SELECT count(*) AS count FROM pg_tables \
             WHERE tablename = '__diesel_schema_migrations' AND schemaname = current_schema()"
        }
    };
    let exists: Count = diesel::sql_query(table_exists).get_result(connection)?;
    if exists.count == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version")
            .load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}
