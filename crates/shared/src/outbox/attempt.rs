use diesel::prelude::*;
use serde::Serialize;

use crate::db::schema::outbox_attempts;
use crate::db::{DbConnection, DbError, insert_rows};
use crate::domain::{AttemptId, OutboxMessageId, RelayName, UtcTimestamp};

/// An attempt that did not simply succeed: what support reads.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = outbox_attempts, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Which attempt; later ones sort after earlier ones.
    pub id: AttemptId,
    /// Of which message.
    pub message_id: OutboxMessageId,
    /// Its number; the first is 1.
    pub attempt: i32,
    /// The lease under which it was made.
    pub fence: i64,
    /// By which relay.
    pub relay: RelayName,
    /// When it began.
    pub started_at: UtcTimestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// What was decided: `retry`, `refused`, `held` …
    pub verdict: String,
    /// The rule that decided it: `subscribe_send/43101`.
    pub rule: String,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<i32>,
    /// The platform's code, if it gave one.
    pub errcode: Option<i64>,
    /// The platform's words or what went wrong, without secrets and phone numbers.
    pub errmsg: Option<String>,
}

/// The rule by which a message waits until its recipient may be disturbed again.
pub const DO_NOT_DISTURB: &str = "recipient/do_not_disturb";

/// The recorded attempts of a message, oldest first.
///
/// # Errors
/// What the database says.
pub fn attempts_of(
    connection: &mut DbConnection,
    message: &OutboxMessageId,
) -> Result<Vec<Attempt>, DbError> {
    Ok(outbox_attempts::table
        .filter(outbox_attempts::message_id.eq(message))
        .order(outbox_attempts::id)
        .select(Attempt::as_select())
        .load(connection)?)
}

/// Records attempts.
pub(super) fn record(connection: &mut DbConnection, attempts: &[Attempt]) -> Result<(), DbError> {
    if attempts.is_empty() {
        return Ok(());
    }
    insert_rows!(connection, outbox_attempts::table, attempts)?;
    Ok(())
}
