use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::BigInt;

use crate::db::schema::relays;
use crate::db::statement::Statement;
use crate::db::wake::Topic;
use crate::db::{DbConnection, DbError};

/// How many commits of others a connection to SQLite has seen. Only whether it has changed says
/// something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(in crate::db) struct CommitCount {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

/// Changes with every commit of another connection to the same SQLite database. Kept prepared: it is
/// asked thousands of times a second while something happens.
pub(in crate::db) fn commit_count(
    connection: &mut DbConnection,
) -> Result<CommitCount, DieselError> {
    match connection {
        DbConnection::Sqlite(c) => Statement::new("PRAGMA data_version").get_result(c),
        DbConnection::Postgres(_) => Err(DieselError::QueryBuilderError(
            "this database has no count of commits".into(),
        )),
    }
}

/// The name of the signals about this, as `LISTEN` takes it. Installations in different schemas of one
/// database do not wake each other. A name has 63 bytes at most.
pub(in crate::db) fn signal_name(topic: Topic) -> &'static str {
    match topic {
        Topic::Outbox => "SELECT quote_ident(left('yizhan_outbox:' || current_schema(), 63))",
        Topic::Inboxes => "SELECT quote_ident(left('yizhan_inbox:' || current_schema(), 63))",
    }
}

/// Makes the commit of this transaction show itself to listeners, also where nothing else is written.
///
/// SQLite: the counter that listeners watch changes with what is written, and a row that is given
/// what it holds already is not written. Where there is no relay, nothing is, and nobody listens.
pub(in crate::db) fn let_commit_show(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        DbConnection::Sqlite(c) => {
            for difference in [1, -1] {
                diesel::update(relays::table)
                    .set(relays::in_flight.eq(relays::in_flight + difference))
                    .execute(c)?;
            }
            Ok(())
        }
        // The signal is sent after the commit.
        DbConnection::Postgres(_) => Ok(()),
    }
}

/// Prepares a connection for sending signals: one that a power cut swallows is as good as one that
/// was never sent, so nobody waits for the disk.
pub(in crate::db) fn start_signalling(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => c.batch_execute("SET synchronous_commit = off"),
    }
}

/// Sends a signal to all who listen for this on this database. Outside a transaction, on a connection
/// of its own.
pub(in crate::db) fn signal(
    connection: &mut DbConnection,
    topic: Topic,
) -> Result<(), DieselError> {
    let signal = match topic {
        Topic::Outbox => "SELECT pg_notify(left('yizhan_outbox:' || current_schema(), 63), '')",
        Topic::Inboxes => "SELECT pg_notify(left('yizhan_inbox:' || current_schema(), 63), '')",
    };
    match connection {
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => c.batch_execute(signal),
    }
}
