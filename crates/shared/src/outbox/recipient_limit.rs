use std::time::Duration;

use diesel::prelude::*;
use serde::Serialize;

use super::Status;
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError};
use crate::domain::{Channel, RecipientId, UtcTimestamp};

/// How many messages of a channel one recipient is shown. The platform drops what is beyond it, and
/// answers as if it had not: whoever sends has to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientLimit {
    /// In any minute.
    pub per_minute: u32,
    /// In any hour.
    pub per_hour: u32,
}

/// What is sent to these counts for everybody.
const EVERYBODY: &str = "@all";

impl RecipientLimit {
    /// The time in which the first number counts.
    pub const MINUTE: Duration = Duration::from_secs(60);
    /// The time in which the second number counts, and after which nothing needs to be remembered.
    pub const HOUR: Duration = Duration::from_secs(60 * 60);

    /// The limit of a channel; `None` where the platform has none, or says so when it is reached.
    pub fn of(channel: Channel) -> Option<Self> {
        match channel {
            Channel::WecomApp => Some(Self {
                per_minute: 30,
                per_hour: 1_000,
            }),
            Channel::WechatSubscribe | Channel::WechatCloud | Channel::WecomRobot => None,
        }
    }

    /// When one more may follow those sent at these moments, oldest first; `None` if it may now.
    pub(super) fn next_after(
        self,
        sent: &[UtcTimestamp],
        now: UtcTimestamp,
    ) -> Option<UtcTimestamp> {
        let next = |most: u32, window| {
            let place = sent.len().checked_sub(usize::try_from(most).ok()?)?;
            Some(sent.get(place)?.after(window)).filter(|next| *next > now)
        };
        next(self.per_minute, Self::MINUTE).max(next(self.per_hour, Self::HOUR))
    }
}

/// What counts against a recipient's limit.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct SentMessage {
    /// To whom.
    pub recipient_id: RecipientId,
    /// What it was about.
    pub kind: String,
    /// When.
    pub sent_at: UtcTimestamp,
}

/// What was sent on a channel since a moment, oldest first.
///
/// # Errors
/// What the database says.
pub fn sent_since(
    connection: &mut DbConnection,
    channel: Channel,
    since: UtcTimestamp,
) -> Result<Vec<SentMessage>, DbError> {
    Ok(outbox_messages::table
        .filter(outbox_messages::status.eq(Status::Sent))
        .filter(outbox_messages::finished_at.gt(since))
        .filter(outbox_messages::channel.eq(channel))
        .order(outbox_messages::finished_at)
        .select((
            outbox_messages::recipient_id,
            outbox_messages::kind,
            outbox_messages::finished_at.assume_not_null(),
        ))
        .load(connection)?)
}

/// When this recipient was sent something on this channel within the last hour, oldest first.
pub(super) fn sent_lately(
    connection: &mut DbConnection,
    channel: Channel,
    recipient: &RecipientId,
    now: UtcTimestamp,
) -> Result<Vec<UtcTimestamp>, DbError> {
    Ok(outbox_messages::table
        .filter(outbox_messages::status.eq(Status::Sent))
        .filter(outbox_messages::finished_at.gt(now.before(RecipientLimit::HOUR)))
        .filter(outbox_messages::channel.eq(channel))
        .filter(outbox_messages::recipient_id.eq_any([recipient.as_str(), EVERYBODY]))
        .order(outbox_messages::finished_at)
        .select(outbox_messages::finished_at.assume_not_null())
        .load(connection)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UtcTimestamp {
        let start: UtcTimestamp = "2026-11-21T12:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .into();
        start.after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_window_that_lasts_longer_decides() {
        let limit = RecipientLimit {
            per_minute: 2,
            per_hour: 3,
        };
        let cases: [(&[u64], u64, Option<u64>); 6] = [
            (&[], 0, None),
            (&[0], 0, None),
            (&[0, 10], 20, Some(60)),
            (&[0, 10], 60, None),
            (&[0, 100, 110], 120, Some(3_600)),
            (&[0, 3_590, 3_600], 3_601, Some(3_650)),
        ];
        for (sent, now, next) in cases {
            let sent: Vec<UtcTimestamp> = sent.iter().copied().map(at).collect();
            assert_eq!(
                limit.next_after(&sent, at(now)),
                next.map(at),
                "{sent:?} {now}"
            );
        }
    }
}
