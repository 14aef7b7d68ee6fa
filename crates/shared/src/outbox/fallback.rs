use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::settle::{Settlement, Verdict};
use super::{FallbackChannels, Priority, RetryPolicy, Status};
use crate::db::schema::{notification_routes, outbox_messages};
use crate::db::{
    DbConnection, DbError, WriteTransaction, dialect, each_backend, insert_rows, keep_prepared,
};
use crate::domain::{Channel, OutboxMessageId, RecipientId, RequestId, UtcTimestamp, text_enum};

text_enum! {
    /// Why a recipient is told on the next channel: the closed list. All of them say that this
    /// recipient is not to be reached on this channel, whoever tries and however often. Whatever is
    /// passing, unknown, the fault of the configuration or the will of a person is none of them.
    pub enum FallbackCause ("fallback cause") {
        /// They have no identity in the channel's app.
        NoBinding => "no_binding",
        /// They have no subscription to the template left.
        NoSubscription => "no_subscription",
        /// The platform does not let them be written to: it does not know them, or they are out of the
        /// application's sight, or without a licence.
        RecipientRefused => "recipient_refused",
        /// They have muted the channel; who has muted the kind is not told at all.
        ChannelMuted => "channel_muted",
        /// The route was switched off while the message waited.
        RouteOff => "route_off",
    }
}

/// That a message took over from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// From which message.
    pub of: OutboxMessageId,
    /// The channel of that one.
    pub from: Channel,
    /// Why.
    pub cause: FallbackCause,
    /// Which message took over.
    pub id: OutboxMessageId,
    /// Its channel.
    pub to: Channel,
}

/// A message that has ended and may go on.
#[derive(Queryable)]
struct Ended {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: RecipientId,
    subject: Option<String>,
    payload: String,
    priority: Priority,
    expires_at: Option<UtcTimestamp>,
    request_id: Option<RequestId>,
    fallbacks: Option<FallbackChannels>,
}

#[derive(Insertable)]
#[diesel(table_name = outbox_messages, treat_none_as_default_value = false)]
struct Row {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: RecipientId,
    subject: Option<String>,
    payload: String,
    status: Status,
    priority: Priority,
    attempts_max: i32,
    due_at: UtcTimestamp,
    expires_at: Option<UtcTimestamp>,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
    fallbacks: Option<FallbackChannels>,
    fallback_of: OutboxMessageId,
}

/// Lets messages that have just ended go on: the recipients whom their channel does not reach are told
/// on the next one whose route is on, by a message that is due at once and takes along everything else,
/// the rest of the channels too. Where no channel is left, the entry in the notification centre is what
/// remains.
///
/// A message goes on once in its life. It remembers that it has (`fell_back_to`), also when the other
/// one is deleted, so that one which is requeued and ends the same way again tells nobody twice; and the
/// table takes no second row that names it (`fallback_of`). The settlement holds the lock of its row.
pub(super) fn fall_back(
    transaction: &mut WriteTransaction<'_>,
    settlements: &[&Settlement],
    now: UtcTimestamp,
) -> Result<Vec<Fallback>, DbError> {
    let causes: HashMap<&OutboxMessageId, FallbackCause> = settlements
        .iter()
        .filter_map(|settlement| Some((&settlement.message.id, cause_of(settlement)?)))
        .collect();
    if causes.is_empty() {
        return Ok(Vec::new());
    }
    let connection = transaction.connection();
    let ended = load_ended(connection, &causes)?;
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let switched_on = load_switched_on(connection, &ended)?;
    let mut fallbacks = Vec::new();
    let mut rows = Vec::new();
    for message in ended {
        let (Some(row), Some(&cause)) =
            (next(&message, &switched_on, now), causes.get(&message.id))
        else {
            continue;
        };
        fallbacks.push(Fallback {
            of: message.id,
            from: message.channel,
            cause,
            id: row.id.clone(),
            to: row.channel,
        });
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(fallbacks);
    }
    insert_rows!(
        connection,
        outbox_messages::table,
        &rows,
        on_conflict_do_nothing
    )?;
    let ended: Vec<&OutboxMessageId> = rows.iter().map(|row| &row.fallback_of).collect();
    dialect::name_fallbacks(connection, &ended)?;
    transaction.wake_relays_after_commit();
    Ok(fallbacks)
}

/// Takes the remaining channels away from messages about these subjects that are under way: what they
/// tell is no longer so, and if they do not arrive, nothing need. Those that are just being settled are
/// passed over.
pub(super) fn stay_where_they_are(
    connection: &mut DbConnection,
    subjects: &[String],
    kinds: Option<&[&str]>,
) -> Result<(), DbError> {
    let ids = dialect::lock_sending_with_fallbacks(connection, subjects, kinds)?;
    if ids.is_empty() {
        return Ok(());
    }
    let under_way = dialect::among(connection, outbox_messages::id, ids);
    let stay = diesel::update(outbox_messages::table.filter(under_way))
        .set(outbox_messages::fallbacks.eq(None::<FallbackChannels>));
    each_backend!(connection, |c| keep_prepared(stay).run(c))?;
    Ok(())
}

/// Only what is final without having been delivered goes on.
fn cause_of(settlement: &Settlement) -> Option<FallbackCause> {
    match &settlement.verdict {
        Verdict::Refused | Verdict::Pointless => settlement.falls_back,
        Verdict::Accepted { .. }
        | Verdict::PresumedAccepted
        | Verdict::Undecided
        | Verdict::Retry { .. }
        | Verdict::Postponed { .. }
        | Verdict::Released { .. } => None,
    }
}

fn load_ended(
    connection: &mut DbConnection,
    causes: &HashMap<&OutboxMessageId, FallbackCause>,
) -> Result<Vec<Ended>, DbError> {
    Ok(outbox_messages::table
        .filter(outbox_messages::id.eq_any(causes.keys().copied()))
        .filter(outbox_messages::fallbacks.is_not_null())
        .filter(outbox_messages::fell_back_to.is_null())
        .order(outbox_messages::id)
        .select((
            outbox_messages::id,
            outbox_messages::kind,
            outbox_messages::channel,
            outbox_messages::recipient_id,
            outbox_messages::subject,
            outbox_messages::payload,
            outbox_messages::priority,
            outbox_messages::expires_at,
            outbox_messages::request_id,
            outbox_messages::fallbacks,
        ))
        .load(connection)?)
}

/// The routes of these messages' kinds that are on.
fn load_switched_on(
    connection: &mut DbConnection,
    messages: &[Ended],
) -> Result<HashSet<(String, Channel)>, DbError> {
    let kinds: HashSet<&str> = messages
        .iter()
        .map(|message| message.kind.as_str())
        .collect();
    let routes: Vec<(String, Channel)> = notification_routes::table
        .filter(notification_routes::kind.eq_any(kinds))
        .filter(notification_routes::enabled.eq(true))
        .select((notification_routes::kind, notification_routes::channel))
        .load(connection)?;
    Ok(routes.into_iter().collect())
}

/// The message that takes over, if there is a channel for it.
fn next(
    message: &Ended,
    switched_on: &HashSet<(String, Channel)>,
    now: UtcTimestamp,
) -> Option<Row> {
    let mut left = message
        .fallbacks
        .iter()
        .flat_map(FallbackChannels::iter)
        .skip_while(|channel| !switched_on.contains(&(message.kind.clone(), *channel)));
    let channel = left.next()?;
    let left: Vec<Channel> = left.collect();
    Some(Row {
        id: OutboxMessageId::generate(),
        kind: message.kind.clone(),
        channel,
        recipient_id: message.recipient_id.clone(),
        subject: message.subject.clone(),
        payload: message.payload.clone(),
        status: Status::Pending,
        priority: message.priority,
        attempts_max: RetryPolicy::default().attempts_max,
        due_at: now,
        expires_at: message.expires_at,
        request_id: message.request_id.clone(),
        created_at: now,
        fallbacks: FallbackChannels::in_order(&left),
        fallback_of: message.id.clone(),
    })
}
