use std::time::Duration;

use diesel::prelude::*;

use super::{Status, digest};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction, dialect};
use crate::domain::UtcTimestamp;

/// How long finished messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Sent ones.
    pub sent: Duration,
    /// Failed ones: they wait for a person.
    pub failed: Duration,
    /// Skipped and cancelled ones.
    pub skipped_and_cancelled: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            sent: Duration::from_secs(7 * DAY),
            failed: Duration::from_secs(30 * DAY),
            skipped_and_cancelled: Duration::from_secs(7 * DAY),
        }
    }
}

impl Retention {
    /// How long messages of this status are kept; `None` for as long as they are not finished.
    pub fn of(self, status: Status) -> Option<Duration> {
        match status {
            Status::Pending | Status::Sending => None,
            Status::Sent => Some(self.sent),
            Status::Failed => Some(self.failed),
            Status::Skipped | Status::Cancelled => Some(self.skipped_and_cancelled),
        }
    }
}

/// Deletes finished messages that were kept long enough, with their attempts: at most `limit` of
/// each status, the oldest first. Answers how many; fewer than `limit` means that nothing is left.
///
/// What a digest tells of goes with the digest. Passes over rows that somebody else has locked: an operator is requeueing them, or another relay
/// deletes them. With a message goes the memory of its `dedup_key`.
///
/// # Errors
/// What the database says.
pub fn prune(
    transaction: &mut WriteTransaction<'_>,
    retention: Retention,
    limit: usize,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut pruned = 0;
    for &status in Status::ALL {
        let Some(age) = retention.of(status) else {
            continue;
        };
        let connection = transaction.connection();
        let old = dialect::lock_finished(connection, status.as_str(), now.before(age), limit)?;
        if old.is_empty() {
            continue;
        }
        digest::delete_members(connection, &old)?;
        pruned += diesel::delete(outbox_messages::table.filter(outbox_messages::id.eq_any(old)))
            .execute(connection)?;
    }
    Ok(pruned)
}
