use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::{count, count_star, max};
use diesel::prelude::*;
use serde::Serialize;

use super::Status;
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, dialect};
use crate::domain::{Channel, UtcTimestamp};

/// How many messages of one kind failed or were skipped on one channel for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureLine {
    /// Failed, or skipped.
    pub status: Status,
    /// The platform's code; empty if it gave none.
    pub errcode: Option<i64>,
    /// What had happened.
    pub kind: String,
    /// On which channel.
    pub channel: Channel,
    /// In the last hour.
    pub last_hour: i64,
    /// In the last 24 hours.
    pub last_day: i64,
    /// In the last 7 days.
    pub last_week: i64,
    /// How many of the last 7 days went on to another channel.
    pub last_week_fell_back: i64,
    /// When the last one was given up.
    pub last_at: Option<UtcTimestamp>,
    /// What went wrong with one of them, in words.
    pub example: Option<String>,
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

type Key = (Option<i64>, String, Channel);
type Line = (
    Option<i64>,
    String,
    Channel,
    i64,
    i64,
    Option<UtcTimestamp>,
    Option<String>,
);

/// The messages of the last 7 days that failed or were skipped, and are so still, by status,
/// errcode, kind and channel; the most frequent of the week first.
///
/// # Errors
/// What the database says.
pub fn failures(
    connection: &mut DbConnection,
    now: UtcTimestamp,
) -> Result<Vec<FailureLine>, DbError> {
    let mut lines = Vec::new();
    for status in [Status::Failed, Status::Skipped] {
        let hour = counts(connection, status, now.before(HOUR))?;
        let day = counts(connection, status, now.before(DAY))?;
        let week = grouped(connection, status, now.before(WEEK))?;
        lines.extend(week.into_iter().map(
            |(errcode, kind, channel, last_week, last_week_fell_back, last_at, example)| {
                let key = (errcode, kind.clone(), channel);
                FailureLine {
                    status,
                    errcode,
                    channel,
                    last_hour: hour.get(&key).copied().unwrap_or(0),
                    last_day: day.get(&key).copied().unwrap_or(0),
                    last_week,
                    last_week_fell_back,
                    last_at,
                    example,
                    kind,
                }
            },
        ));
    }
    lines.sort_by(|a, b| {
        let rank = |line: &FailureLine| {
            (
                -line.last_week,
                line.status,
                line.errcode,
                line.kind.clone(),
                line.channel,
            )
        };
        rank(a).cmp(&rank(b))
    });
    Ok(lines)
}

fn counts(
    connection: &mut DbConnection,
    status: Status,
    since: UtcTimestamp,
) -> Result<HashMap<Key, i64>, DbError> {
    let lines = grouped(connection, status, since)?.into_iter();
    Ok(lines
        .map(|(errcode, kind, channel, count, ..)| ((errcode, kind, channel), count))
        .collect())
}

fn grouped(
    connection: &mut DbConnection,
    status: Status,
    since: UtcTimestamp,
) -> Result<Vec<Line>, DbError> {
    Ok(outbox_messages::table
        .filter(dialect::has_status(status.as_str()))
        .filter(outbox_messages::finished_at.ge(since))
        // Told in a digest, which has its own line if it failed.
        .filter(outbox_messages::digest_id.is_null())
        .group_by((
            outbox_messages::last_errcode,
            outbox_messages::kind,
            outbox_messages::channel,
        ))
        .select((
            outbox_messages::last_errcode,
            outbox_messages::kind,
            outbox_messages::channel,
            count_star(),
            count(outbox_messages::fell_back_to),
            max(outbox_messages::finished_at),
            max(outbox_messages::last_error),
        ))
        .load(connection)?)
}
