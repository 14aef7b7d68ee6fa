use diesel::prelude::*;

use super::recipient_limit::sent_lately;
use super::{
    AHEAD_MAX, Attempt, ChannelSettings, Hold, Message, Priority, RecipientLimit, Relay, Status,
    attempts_of, channel_settings, digest, holds, relays,
};
use crate::db::schema::{outbox_messages, relays as relays_table};
use crate::db::{DbConnection, DbError, dialect};
use crate::domain::{Channel, OutboxMessageId, UtcTimestamp};
use crate::operation_log::{self, LoggedOperation};

/// What is known about a message and its surroundings at one moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The row.
    pub message: Message,
    /// The hold on its channel, if there is one.
    pub hold: Option<Hold>,
    /// The relay that has claimed it, if it is known.
    pub claimer: Option<Relay>,
    /// How many relays are alive.
    pub live_relays: usize,
    /// Another message to the same recipient on the same channel that is under way.
    pub under_way: Option<OutboxMessageId>,
    /// When its recipient was sent something within the last hour, oldest first; looked up where the
    /// channel has a [`RecipientLimit`].
    pub sent_lately: Vec<UtcTimestamp>,
    /// How many due messages of its channel come first, up to [`AHEAD_MAX`].
    pub ahead: usize,
    /// What operators have set for its channel.
    pub settings: ChannelSettings,
    /// The last recorded attempt.
    pub last_attempt: Option<Attempt>,
    /// Who cancelled it last.
    pub cancelled: Option<LoggedOperation>,
    /// Where the digest stands that tells of it, and when that became or becomes due.
    pub digest: Option<(Status, UtcTimestamp)>,
}

impl Facts {
    pub(super) fn gather(
        connection: &mut DbConnection,
        message: Message,
        now: UtcTimestamp,
    ) -> Result<Self, DbError> {
        let hold = holds(connection)?
            .into_iter()
            .find(|hold| hold.channel == message.channel);
        let claimer = match &message.claimed_by {
            Some(name) => relays_table::table
                .find(name)
                .select(Relay::as_select())
                .first(connection)
                .optional()?,
            None => None,
        };
        let waits = message.status == Status::Pending && message.due_at <= now;
        let ahead = if waits {
            ahead_of(
                connection,
                message.channel,
                message.priority,
                message.due_at,
                now,
            )?
        } else {
            0
        };
        let under_way = if waits {
            under_way(connection, &message)?
        } else {
            None
        };
        let sent_lately = if waits && RecipientLimit::of(message.channel).is_some() {
            sent_lately(connection, message.channel, &message.recipient_id, now)?
        } else {
            Vec::new()
        };
        let settings = channel_settings(connection)?
            .into_iter()
            .find(|settings| settings.channel == message.channel)
            .unwrap_or_else(|| ChannelSettings::default_of(message.channel));
        let last_attempt = attempts_of(connection, &message.id)?.pop();
        let cancelled = operation_log::history(connection, "outbox_message", message.id.as_str())?
            .into_iter()
            .rfind(|act| act.action == "outbox.cancel");
        let digest = match &message.digest_id {
            Some(digest) => digest::of_message(connection, digest)?,
            None => None,
        };
        Ok(Self {
            hold,
            claimer,
            live_relays: relays(connection, now)?.len(),
            under_way,
            sent_lately,
            ahead,
            settings,
            last_attempt,
            cancelled,
            digest,
            message,
        })
    }
}

/// How many due messages of a channel a claim takes before one of this urgency.
fn ahead_of(
    connection: &mut DbConnection,
    channel: Channel,
    priority: Priority,
    due_at: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let due = |limit: usize| {
        outbox_messages::table
            .filter(dialect::is_pending())
            .filter(outbox_messages::channel.eq(channel))
            .filter(outbox_messages::due_at.le(now))
            .select(outbox_messages::id)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
    };
    // Two questions, because one with an OR in it reads the whole table.
    let more_urgent: Vec<OutboxMessageId> = due(AHEAD_MAX)
        .filter(outbox_messages::priority.lt(priority))
        .load(connection)?;
    let due_earlier: Vec<OutboxMessageId> = due(AHEAD_MAX - more_urgent.len())
        .filter(outbox_messages::priority.eq(priority))
        .filter(outbox_messages::due_at.lt(due_at))
        .load(connection)?;
    Ok(more_urgent.len() + due_earlier.len())
}

fn under_way(
    connection: &mut DbConnection,
    message: &Message,
) -> Result<Option<OutboxMessageId>, DbError> {
    Ok(outbox_messages::table
        .filter(dialect::has_status("sending"))
        .filter(outbox_messages::channel.eq(message.channel))
        .filter(outbox_messages::recipient_id.eq(&message.recipient_id))
        .select(outbox_messages::id)
        .order(outbox_messages::id)
        .first(connection)
        .optional()?)
}
