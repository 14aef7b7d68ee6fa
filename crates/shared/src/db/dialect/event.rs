use diesel::prelude::*;

use crate::db::schema::events;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::{EventId, UtcTimestamp};

/// Locks events that were due before this, the oldest first, at most `limit`. Passes over those that
/// somebody else has locked, and those that are still to be shown.
///
/// # Errors
/// If the database does not answer.
pub fn lock_old_events(
    connection: &mut DbConnection,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<EventId>, DbError> {
    let old = events::table
        .filter(events::due_at.le(before))
        .filter(events::waiting.is_null())
        .order(events::due_at)
        .limit(limit)
        .select(events::id);
    Ok(load_locked!(connection, old, for_update, skip_locked)?)
}

/// Locks the event that has been due for longest and is still to be shown, if there is one that
/// nobody else has locked.
///
/// # Errors
/// If the database does not answer.
pub fn lock_due_event(
    connection: &mut DbConnection,
    now: UtcTimestamp,
) -> Result<Option<EventId>, DbError> {
    let due = events::table
        .filter(events::waiting.is_not_null())
        .filter(events::due_at.le(now))
        .order(events::due_at)
        .limit(1)
        .select(events::id);
    let locked: Vec<EventId> = load_locked!(connection, due, for_update, skip_locked)?;
    Ok(locked.into_iter().next())
}
