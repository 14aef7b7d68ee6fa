use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use serde::Serialize;

use super::{ListFilter, Message, Status};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError};
use crate::domain::{Channel, OutboxMessageId, UtcTimestamp};

/// One message.
///
/// # Errors
/// What the database says.
pub fn find(
    connection: &mut DbConnection,
    id: &OutboxMessageId,
) -> Result<Option<Message>, DbError> {
    Ok(outbox_messages::table
        .find(id)
        .select(Message::as_select())
        .first(connection)
        .optional()?)
}

/// Messages, newest first, at most `limit`.
///
/// # Errors
/// What the database says.
pub fn list(
    connection: &mut DbConnection,
    filter: &ListFilter,
    limit: usize,
) -> Result<Vec<Message>, DbError> {
    Ok(filter
        .query()
        .order(outbox_messages::id.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(Message::as_select())
        .load(connection)?)
}

/// How much is where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// One line per channel and status that occurs. What a digest tells of is not counted: the digest is.
    pub lines: Vec<BacklogLine>,
    /// When the message that has been waiting longest became due, if one is waiting.
    pub oldest_due_at: Option<UtcTimestamp>,
}

/// How many messages of one channel have one status.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BacklogLine {
    /// Which channel.
    pub channel: Channel,
    /// Which status.
    pub status: Status,
    /// How many.
    pub count: i64,
}

impl Backlog {
    /// How many messages have this status, on all channels.
    pub fn count(&self, status: Status) -> i64 {
        self.lines
            .iter()
            .filter(|line| line.status == status)
            .map(|line| line.count)
            .sum()
    }
}

/// Counts messages by channel and status, and finds the oldest that should have gone out by `now`.
///
/// # Errors
/// What the database says.
pub fn backlog(connection: &mut DbConnection, now: UtcTimestamp) -> Result<Backlog, DbError> {
    let lines = outbox_messages::table
        .filter(outbox_messages::digest_id.is_null())
        .group_by((outbox_messages::channel, outbox_messages::status))
        .order((outbox_messages::channel, outbox_messages::status))
        .select((
            outbox_messages::channel,
            outbox_messages::status,
            count_star(),
        ))
        .load(connection)?;
    let oldest_due_at = outbox_messages::table
        .filter(outbox_messages::status.eq(Status::Pending))
        .filter(outbox_messages::due_at.le(now))
        .select(min(outbox_messages::due_at))
        .first(connection)?;
    Ok(Backlog {
        lines,
        oldest_due_at,
    })
}
