use std::time::Duration;

use diesel::prelude::*;

use super::feed::CHANGES_KEPT_FOR;
use crate::db::schema::{inbox_changes, notifications, socket_tickets};
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{NotificationId, UtcTimestamp};

/// What was cleared away, and whether that was all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// So many notifications; there may be more.
    Some(usize),
    /// So many notifications, and nothing is left.
    All(usize),
    /// Another process is at it.
    ElsewhereUnderWay,
}

/// Deletes notifications that were kept long enough, the oldest first, at most `limit`; and what
/// open sockets no longer need: changes everybody has read, and tickets that are over.
///
/// # Errors
/// What the database says.
pub fn prune_inboxes(
    transaction: &mut WriteTransaction<'_>,
    keep: Duration,
    limit: usize,
    now: UtcTimestamp,
) -> Result<Pruned, DbError> {
    let connection = transaction.connection();
    if !dialect::try_to_prune_inboxes(connection)? {
        return Ok(Pruned::ElsewhereUnderWay);
    }
    diesel::delete(socket_tickets::table.filter(socket_tickets::expires_at.le(now)))
        .execute(connection)?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let changes = prune_changes(connection, rows, now)?;
    let old: Vec<NotificationId> = notifications::table
        .filter(notifications::id.lt(NotificationId::earliest_at(now.before(keep))))
        .order(notifications::id)
        .limit(rows)
        .select(notifications::id)
        .load(connection)?;
    let pruned = if old.is_empty() {
        0
    } else {
        diesel::delete(notifications::table.filter(notifications::id.eq_any(&old)))
            .execute(connection)?
    };
    if old.len() < limit && changes < limit {
        Ok(Pruned::All(pruned))
    } else {
        Ok(Pruned::Some(pruned))
    }
}

fn prune_changes(
    connection: &mut DbConnection,
    limit: i64,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let kept_since = now.before(CHANGES_KEPT_FOR);
    let oldest: Vec<(i64, UtcTimestamp)> = inbox_changes::table
        .order(inbox_changes::position)
        .limit(limit)
        .select((inbox_changes::position, inbox_changes::changed_at))
        .load(connection)?;
    let old = oldest
        .iter()
        .take_while(|(_, changed_at)| *changed_at < kept_since);
    let Some((last, _)) = old.last() else {
        return Ok(0);
    };
    let old = inbox_changes::table
        .filter(inbox_changes::position.le(last))
        .filter(inbox_changes::changed_at.lt(kept_since));
    Ok(diesel::delete(old).execute(connection)?)
}
