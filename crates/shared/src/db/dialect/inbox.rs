use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError};
use crate::domain::{NotificationId, UserId};

/// A place in the record of what changed in notification centres, in the database's own words.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(crate) struct InboxCursor {
    #[diesel(sql_type = Text)]
    cursor: String,
}

/// Something that was committed after a cursor was given, or nothing but the next cursor.
#[derive(Debug, QueryableByName)]
pub(crate) struct InboxChangeRow {
    #[diesel(embed)]
    pub(crate) next: InboxCursor,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) user_id: Option<UserId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) notification_id: Option<NotificationId>,
}

/// The present place: what is committed from now on comes after it.
pub(crate) fn inbox_cursor(connection: &mut DbConnection) -> Result<InboxCursor, DbError> {
    Ok(match connection {
        DbConnection::Sqlite(c) => diesel::sql_query(
            "SELECT CAST(COALESCE(MAX(seq), 0) AS TEXT) AS cursor FROM sqlite_sequence \
             WHERE name = 'inbox_changes'",
        )
        .get_result(c)?,
        DbConnection::Postgres(c) => {
            diesel::sql_query("SELECT pg_current_snapshot()::TEXT AS cursor").get_result(c)?
        }
    })
}

/// What was committed after this place and before the next, whichever transaction began first: at
/// least one row, and at most `limit`; each has the next place.
///
/// PostgreSQL: a place is the state in which the database was then, with the transactions that were
/// under way. What one of them wrote is found when it has been committed, also if others that began
/// later were faster.
pub(crate) fn inbox_changes_after(
    connection: &mut DbConnection,
    cursor: &InboxCursor,
    limit: i64,
) -> Result<Vec<InboxChangeRow>, DbError> {
    let look = |text| {
        Statement::new(text)
            .bind::<Text, _>("cursor", cursor.cursor.as_str())
            .bind::<BigInt, _>("limit", limit)
    };
    Ok(match connection {
        DbConnection::Sqlite(c) => look(include_str!("inbox_changes.sqlite.sql")).load(c)?,
        DbConnection::Postgres(c) => look(include_str!("inbox_changes.postgres.sql")).load(c)?,
    })
}

/// Lets one process at a time clear old notifications away, until the transaction ends; answers
/// whether it is this one.
pub(crate) fn try_to_prune_inboxes(connection: &mut DbConnection) -> Result<bool, DbError> {
    #[derive(QueryableByName)]
    struct Granted {
        #[diesel(sql_type = Bool)]
        granted: bool,
    }
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(true),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "notifications", with the schema it is about.
            let granted: Granted = diesel::sql_query(
                "SELECT pg_try_advisory_xact_lock(7492813, hashtext(current_schema())) AS granted",
            )
            .get_result(c)?;
            Ok(granted.granted)
        }
    }
}
