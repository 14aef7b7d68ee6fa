//! What changed in whose notification centre, for those who show it live.
//!
//! Whoever writes into a notification centre adds a row here in the same transaction. A process with
//! open sockets reads on from where it was: what was committed since, exactly once, whichever
//! transaction began first. (Ids of notifications are made before the commit: one that is smaller may
//! come later.)

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diesel::prelude::*;

use super::inbox::Notification;
use crate::db::dialect::{self, InboxChangeRow, InboxCursor};
use crate::db::schema::{inbox_changes, notifications};
use crate::db::{DbConnection, DbError, WriteTransaction, insert_rows};
use crate::domain::{NotificationId, UserId, UtcTimestamp};

/// How long changes are kept for those who read on. Whoever was away for longer starts anew.
pub const CHANGES_KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// How far before a notification others may have been made that were committed after it. No
/// statement takes longer than half a minute, and no two hosts' clocks should differ by more.
pub const COMMIT_DELAY_MAX: Duration = Duration::from_secs(5 * 60);

/// Up to where somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedCursor(InboxCursor);

/// What was committed between two cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedNews {
    /// Where to go on.
    pub next: FeedCursor,
    /// By user: the entries that came.
    pub added: BTreeMap<UserId, Vec<NotificationId>>,
    /// In whose centre entries were read or deleted.
    pub changed: BTreeSet<UserId>,
}

/// What reading on came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedReading {
    /// All there was.
    News(FeedNews),
    /// More than the limit. The cursor is behind all of it: whoever shows something reads it anew.
    TooMuch(FeedCursor),
}

/// A row to be written.
#[derive(Debug, Insertable)]
#[diesel(table_name = inbox_changes, treat_none_as_default_value = false)]
pub(super) struct Change<'a> {
    pub(super) user_id: &'a UserId,
    pub(super) notification_id: Option<&'a NotificationId>,
    pub(super) changed_at: UtcTimestamp,
}

/// The present end: what is committed from now on comes after it.
///
/// # Errors
/// What the database says.
pub fn feed_end(connection: &mut DbConnection) -> Result<FeedCursor, DbError> {
    dialect::inbox_cursor(connection).map(FeedCursor)
}

/// What was committed after a cursor.
///
/// # Errors
/// What the database says.
pub fn read_feed(
    connection: &mut DbConnection,
    after: &FeedCursor,
    limit: usize,
) -> Result<FeedReading, DbError> {
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let rows = dialect::inbox_changes_after(connection, &after.0, one_more)?;
    // The database always answers where it is now.
    let next = FeedCursor(rows.first().ok_or(DbError::NotFound)?.next.clone());
    if rows.len() > limit {
        return Ok(FeedReading::TooMuch(next));
    }
    let mut news = FeedNews {
        next,
        added: BTreeMap::new(),
        changed: BTreeSet::new(),
    };
    for InboxChangeRow {
        user_id,
        notification_id,
        ..
    } in rows
    {
        match (user_id, notification_id) {
            (Some(user), Some(id)) => news.added.entry(user).or_default().push(id),
            (Some(user), None) => drop(news.changed.insert(user)),
            (None, _) => {}
        }
    }
    Ok(FeedReading::News(news))
}

/// What somebody may have missed who has seen everything up to this entry when it came: what is
/// newer, and also what was made a little earlier, because it may have been committed later. Oldest
/// first, at most `limit`; the entry itself is not among it.
///
/// # Errors
/// What the database says.
pub fn entries_since(
    connection: &mut DbConnection,
    user: &UserId,
    seen: &NotificationId,
    seen_at: UtcTimestamp,
    limit: i64,
) -> Result<Vec<Notification>, DbError> {
    let from = NotificationId::earliest_at(seen_at.before(COMMIT_DELAY_MAX));
    Ok(notifications::table
        .filter(notifications::user_id.eq(user))
        .filter(notifications::id.ge(from))
        .filter(notifications::id.ne(seen))
        .filter(notifications::deleted_at.is_null())
        .order(notifications::id)
        .limit(limit)
        .select(Notification::as_select())
        .load(connection)?)
}

/// Writes what changed, and wakes those who show it after the commit.
pub(super) fn record(
    transaction: &mut WriteTransaction<'_>,
    changes: &[Change<'_>],
) -> Result<(), DbError> {
    if changes.is_empty() {
        return Ok(());
    }
    transaction.wake_inboxes_after_commit();
    for chunk in changes.chunks(1_000) {
        insert_rows!(transaction.connection(), inbox_changes::table, chunk)?;
    }
    Ok(())
}

/// The same where entries of somebody were read or deleted.
pub(super) fn record_change_of(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let change = Change {
        user_id: user,
        notification_id: None,
        changed_at: now,
    };
    record(transaction, &[change])
}
