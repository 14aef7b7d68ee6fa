use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use shared::db::DbConnection;

use super::{TestDatabase, eventually};

/// Keeps writers from a table, from a connection of its own, until as many of them wait as there
/// should be. Where there is one writer at a time anyhow, it stands open: whoever comes second
/// waits without it.
pub struct Gate<'database> {
    database: &'database TestDatabase,
    connection: Option<DbConnection>,
}

impl<'database> Gate<'database> {
    pub fn before(database: &'database TestDatabase, table: &str) -> Self {
        let mut connection = database.connection();
        if matches!(connection, DbConnection::Sqlite(_)) {
            return Self {
                database,
                connection: None,
            };
        }
        // Readers pass; whoever wants to write or to lock a row waits.
        let lock = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
        connection.batch_execute(&lock).unwrap();
        Self {
            database,
            connection: Some(connection),
        }
    }

    /// Somebody has changed rows and will commit when the gate opens. Where there is one writer at a
    /// time, they have done so already.
    pub fn behind(database: &'database TestDatabase, change: &str) -> Self {
        let mut connection = database.connection();
        let connection = match connection {
            DbConnection::Sqlite(_) => {
                connection.batch_execute(change).unwrap();
                None
            }
            DbConnection::Postgres(_) => {
                let open = format!("BEGIN; {change}");
                connection.batch_execute(&open).unwrap();
                Some(connection)
            }
        };
        Self {
            database,
            connection,
        }
    }

    pub async fn open_when_waiting(self, writers: i64) {
        #[derive(QueryableByName)]
        struct Pid {
            #[diesel(sql_type = Integer)]
            pid: i32,
        }
        #[derive(QueryableByName)]
        struct Waiting {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        const OWN: &str = "SELECT pg_backend_pid() AS pid";
        // Whoever waits for somebody who waits at the gate waits at the gate.
        const WAITING: &str = "WITH RECURSIVE waiting (pid) AS (SELECT CAST($1 AS INTEGER) UNION \
            SELECT a.pid FROM pg_stat_activity AS a, waiting AS w \
            WHERE w.pid = ANY (pg_blocking_pids(a.pid))) SELECT count(*) - 1 AS count FROM waiting";

        let Some(mut connection) = self.connection else {
            return;
        };
        let own: Pid = diesel::sql_query(OWN).get_result(&mut connection).unwrap();
        eventually("the writers wait at the gate", async || {
            let waiting: Waiting = self
                .database
                .read(move |connection| {
                    let query = diesel::sql_query(WAITING).bind::<Integer, _>(own.pid);
                    Ok(query.get_result(connection)?)
                })
                .await;
            waiting.count >= writers
        })
        .await;
        connection.batch_execute("COMMIT").unwrap();
    }
}
