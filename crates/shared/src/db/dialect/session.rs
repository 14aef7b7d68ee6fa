use std::time::{Duration, Instant};

use diesel::connection::{
    AnsiTransactionManager, SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Timestamp;

use crate::db::{DbConnection, DbError};
use crate::domain::UtcTimestamp;

/// How long a new connection waits for others that open the same new file.
const SWITCH_WAIT_MAX: Duration = Duration::from_secs(15);

const SWITCH_RETRY_DELAY: Duration = Duration::from_millis(5);

/// Prepares a new connection.
///
/// SQLite: write-ahead log so that readers and the writer do not block each other, carried over into
/// the database at 16 MB instead of 4 MB, when most of its pages have been written several times; `FULL` because a committed change must survive a power cut; 15 s
/// of patience with a foreign writer.
/// PostgreSQL: limits, so that no query and no forgotten transaction holds the others up for ever;
/// and no compiling of queries, which takes longer than any query here.
pub(in crate::db) fn set_up_session(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => {
            c.batch_execute(
                "PRAGMA busy_timeout = 15000; PRAGMA foreign_keys = ON; \
                 PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000;",
            )?;
            switch_to_write_ahead_log(c)?;
            c.batch_execute("PRAGMA synchronous = FULL;")
        }
        DbConnection::Postgres(c) => c.batch_execute(
            "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '30s'; SET TIME ZONE 'UTC'; SET jit = off;",
        ),
    }
}

/// Processes that open a new file at the same moment get in each other's way here, and SQLite does
/// not wait for the others in this case, whatever the time-out: one of 240 connections failed when
/// eight were opened at once on a busy machine.
fn switch_to_write_ahead_log(connection: &mut SqliteConnection) -> Result<(), DieselError> {
    let asked_since = Instant::now();
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error)
                if is_somebody_else_writing(&error) && asked_since.elapsed() < SWITCH_WAIT_MAX =>
            {
                std::thread::sleep(SWITCH_RETRY_DELAY);
            }
            outcome => return outcome,
        }
    }
}

/// Whether the connection still works.
pub(in crate::db) fn ping(connection: &mut DbConnection) -> Result<(), DieselError> {
    diesel::sql_query("SELECT 1")
        .execute(connection)
        .map(|_| ())
}

/// Begins a transaction that will write.
///
/// SQLite: `IMMEDIATE`, which takes the write lock at once. A deferred transaction that reads first
/// cannot wait for the lock later and fails at once with "database is locked" whatever the
/// time-out: 3,145 times in 20,000 claims when measured, none with `IMMEDIATE`.
pub(in crate::db) fn begin_write(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
        }
        // Whatever writes finds its rows by an index. Without this, a statement that was prepared
        // while a table was nearly empty goes on reading the whole of it when it has a million rows,
        // until the server gathers statistics again.
        DbConnection::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(
            c,
            "BEGIN; SET LOCAL enable_seqscan = off",
        ),
    }
}

/// Makes a connection say at once that somebody else is writing, instead of waiting.
///
/// SQLite's own waiting sleeps up to 100 ms between two looks, so that a process that writes without
/// a break takes the lock again each time before anybody looks: a heartbeat of another process waited
/// over 5 s. PostgreSQL queues those who wait.
pub(in crate::db) fn refuse_to_wait_for_writers(
    connection: &mut DbConnection,
) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => c.batch_execute("PRAGMA busy_timeout = 0"),
        DbConnection::Postgres(_) => Ok(()),
    }
}

/// Whether this says that somebody else is writing. The driver has no kind for it.
pub(in crate::db) fn is_somebody_else_writing(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, said) if said.message().contains("database is locked"))
}

/// Commits what [`begin_write`] began.
///
/// PostgreSQL gives up a transaction at its first failed statement, and answers a COMMIT of it with
/// success although it rolls back. Work that swallowed the failure would be told that everything was
/// written. The query in front fails then; it costs no round trip of its own.
pub(in crate::db) fn commit_write(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => AnsiTransactionManager::commit_transaction(c),
        DbConnection::Postgres(c) => {
            c.batch_execute("SELECT 1; COMMIT")?;
            *AnsiTransactionManager::transaction_manager_status_mut(c) =
                TransactionManagerStatus::default();
            Ok(())
        }
    }
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamp)]
    now: UtcTimestamp,
}

/// The database's own time: the one clock on which all processes agree.
///
/// # Errors
/// If the database does not answer.
pub fn database_time(connection: &mut DbConnection) -> Result<UtcTimestamp, DbError> {
    let now: Now = match connection {
        DbConnection::Sqlite(c) => {
            diesel::sql_query("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now").get_result(c)?
        }
        DbConnection::Postgres(c) => {
            diesel::sql_query("SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now").get_result(c)?
        }
    };
    Ok(now.now)
}
