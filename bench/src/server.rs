//! What the PostgreSQL server tells of itself. SQLite has no server: its work is done by the
//! programs.

use std::time::Duration;

use anyhow::Context;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use shared::db::{DatabaseUrl, DbConnection};

use crate::process;

/// Where the server logs: where it says itself, or else where `scripts/with-postgres` makes it.
const LOG_FILE: &str = "coalesce(pg_current_logfile(), 'server.log')";

/// A connection to the database server, if there is one.
pub struct Server {
    connection: PgConnection,
    /// The process that starts all others of the server, if it runs on this machine.
    postmaster: Option<u32>,
}

/// How large the table of messages is.
#[derive(Debug, Clone, QueryableByName)]
pub struct TableSize {
    /// With indexes and everything, in bytes.
    #[diesel(sql_type = BigInt)]
    pub total: i64,
    /// Of that, the indexes.
    #[diesel(sql_type = BigInt)]
    pub indexes: i64,
    /// Rows that nobody sees any more, by the server's estimate.
    #[diesel(sql_type = BigInt)]
    pub dead_rows: i64,
    /// How often the server has cleaned up by itself.
    #[diesel(sql_type = BigInt)]
    pub vacuums: i64,
}

#[derive(QueryableByName)]
struct TextValue {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct Pid {
    #[diesel(sql_type = Integer)]
    value: i32,
}

impl Server {
    /// Connects, if the database has a server.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn of(url: &DatabaseUrl) -> anyhow::Result<Option<Self>> {
        let DbConnection::Postgres(mut connection) = DbConnection::establish(url)? else {
            return Ok(None);
        };
        let backend: Pid =
            diesel::sql_query("SELECT pg_backend_pid() AS value").get_result(&mut connection)?;
        let postmaster = u32::try_from(backend.value)
            .ok()
            .filter(|pid| process::name(*pid).starts_with("postgres"))
            .and_then(|pid| process::parent(pid).ok());
        Ok(Some(Self {
            connection,
            postmaster,
        }))
    }

    /// The version and what keeps commits safe: a server that does not wait for the disk must not be
    /// compared with one that does.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn describe(&mut self) -> anyhow::Result<String> {
        let described: TextValue = diesel::sql_query(
            "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1) \
             || ', fsync ' || current_setting('fsync') \
             || ', synchronous_commit ' || current_setting('synchronous_commit') \
             || ', full_page_writes ' || current_setting('full_page_writes') AS value",
        )
        .get_result(&mut self.connection)?;
        Ok(described.value)
    }

    /// Processor time of the whole server so far; none if it runs elsewhere.
    pub fn cpu(&self) -> Option<Duration> {
        process::family_cpu(self.postmaster?).ok()
    }

    /// Transactions in this database so far. The server's processes report them up to a second late.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn transactions(&mut self) -> anyhow::Result<i64> {
        let count: Number = diesel::sql_query(
            "SELECT xact_commit + xact_rollback AS value FROM pg_stat_database \
             WHERE datname = current_database()",
        )
        .get_result(&mut self.connection)?;
        Ok(count.value)
    }

    /// How long the server's log is, which it must write into its data folder.
    ///
    /// # Errors
    /// If it does not, or this user may not read it.
    pub fn log_length(&mut self) -> anyhow::Result<i64> {
        let length: Number =
            diesel::sql_query(format!("SELECT (pg_stat_file({LOG_FILE})).size AS value"))
                .get_result(&mut self.connection)
                .context("--explain reads the server's log: run it by scripts/with-postgres")?;
        Ok(length.value)
    }

    /// What the server has logged from this place on.
    ///
    /// # Errors
    /// As [`Server::log_length`].
    pub fn log_from(&mut self, from: i64) -> anyhow::Result<String> {
        let length = self.log_length()? - from;
        let log: TextValue = diesel::sql_query(format!(
            "SELECT pg_read_file({LOG_FILE}, {from}, {length}) AS value"
        ))
        .get_result(&mut self.connection)?;
        Ok(log.value)
    }

    /// How large the table of messages is.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn table_size(&mut self) -> anyhow::Result<TableSize> {
        Ok(diesel::sql_query(
            "SELECT pg_total_relation_size(relid) AS total, pg_indexes_size(relid) AS indexes, \
             n_dead_tup AS dead_rows, autovacuum_count AS vacuums \
             FROM pg_stat_user_tables \
             WHERE relname = 'outbox_messages' AND schemaname = current_schema()",
        )
        .get_result(&mut self.connection)?)
    }
}
