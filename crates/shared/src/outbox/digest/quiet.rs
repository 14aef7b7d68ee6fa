use std::collections::{BTreeMap, HashSet};

use diesel::prelude::*;
use serde_json::json;

use super::{CHUNK, DIGEST};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{Channel, OutboxMessageId, RecipientId, UtcTimestamp};
use crate::outbox::enqueue::enqueue_as;
use crate::outbox::settle::{Settlement, Verdict};
use crate::outbox::{DO_NOT_DISTURB, NewMessage, Priority, RetryPolicy, Status};

/// A message that waited until its recipient may be disturbed again.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct QuietMessage {
    /// Which message.
    pub id: OutboxMessageId,
    /// What happened.
    pub kind: String,
    /// To whom.
    pub recipient_id: RecipientId,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether an earlier attempt may have been delivered.
    pub outcome_unknown: bool,
}

/// What becomes of such a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterQuiet {
    /// It goes out with others for the same recipient, if there are any.
    Gathered,
    /// It goes out by itself.
    Alone,
    /// It waits on: the window lasts longer than it seemed.
    Waits {
        /// Until then.
        until: UtcTimestamp,
    },
}

/// What [`end_quiet`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuietEnded {
    /// Digests made.
    pub digests: usize,
    /// Messages that they tell of.
    pub gathered: usize,
    /// Messages that go out by themselves.
    pub alone: usize,
    /// Messages that wait on.
    pub waiting: usize,
}

/// Everything of a channel that waited until its recipient may be disturbed again, for at most so many
/// recipients: those who have waited longest. Each with all they have; locked until the transaction
/// ends, in the order of their ids. A relay that comes second waits, and finds what is left.
///
/// # Errors
/// What the database says.
pub fn lock_quiet_over(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    recipients_max: usize,
    now: UtcTimestamp,
) -> Result<Vec<QuietMessage>, DbError> {
    let connection = transaction.connection();
    let first: Vec<RecipientId> = outbox_messages::table
        .filter(dialect::is_quiet())
        .filter(outbox_messages::channel.eq(channel))
        .filter(outbox_messages::due_at.le(now))
        .filter(
            outbox_messages::expires_at
                .is_null()
                .or(outbox_messages::expires_at.gt(now)),
        )
        .order(outbox_messages::due_at)
        .limit(i64::try_from(recipients_max).unwrap_or(i64::MAX))
        .select(outbox_messages::recipient_id)
        .load(connection)?;
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen = HashSet::new();
    let recipients: Vec<RecipientId> = first
        .into_iter()
        .filter(|recipient| seen.insert(recipient.to_string()))
        .collect();
    let ids = dialect::lock_quiet(connection, channel, &recipients, now)?;
    let mut locked = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<QuietMessage> = outbox_messages::table
            .filter(outbox_messages::id.eq_any(chunk))
            .order(outbox_messages::id)
            .select((
                outbox_messages::id,
                outbox_messages::kind,
                outbox_messages::recipient_id,
                outbox_messages::priority,
                outbox_messages::outcome_unknown,
            ))
            .load(connection)?;
        locked.extend(rows);
    }
    Ok(locked)
}

/// Lets go what waited until its recipient may be disturbed again: what several have in common, the
/// recipient, becomes one digest for them; what is alone is claimed from now on like any other. The
/// messages are those of [`lock_quiet_over`], in the same transaction: each is in one digest at most,
/// whoever else is at it, and there is no moment at which it is nowhere.
///
/// # Errors
/// What the database says; then nothing is changed.
pub fn end_quiet(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    ended: Vec<(QuietMessage, AfterQuiet)>,
    now: UtcTimestamp,
) -> Result<QuietEnded, DbError> {
    let mut alone: Vec<OutboxMessageId> = Vec::new();
    let mut waiting: BTreeMap<UtcTimestamp, Vec<OutboxMessageId>> = BTreeMap::new();
    let mut groups: BTreeMap<String, Vec<QuietMessage>> = BTreeMap::new();
    for (message, after) in ended {
        match after {
            AfterQuiet::Gathered => groups
                .entry(message.recipient_id.to_string())
                .or_default()
                .push(message),
            AfterQuiet::Alone => alone.push(message.id),
            AfterQuiet::Waits { until } => waiting.entry(until).or_default().push(message.id),
        }
    }
    let (mut digests, mut members) = (Vec::new(), Vec::new());
    for group in groups.into_values() {
        match digest_of(channel, &group, now) {
            Some(digest) => {
                let id = OutboxMessageId::generate();
                members.push((id.clone(), group));
                digests.push((id, digest));
            }
            None => alone.extend(group.into_iter().map(|message| message.id)),
        }
    }
    let done = QuietEnded {
        digests: digests.len(),
        gathered: members.iter().map(|(_, group)| group.len()).sum(),
        alone: alone.len(),
        waiting: waiting.values().map(Vec::len).sum(),
    };
    enqueue_as(transaction, digests, now)?;
    for (digest, group) in &members {
        gather(transaction.connection(), digest, group, now)?;
    }
    for chunk in alone.chunks(CHUNK) {
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(chunk)))
            .set(outbox_messages::quiet_until.eq(None::<UtcTimestamp>))
            .execute(transaction.connection())?;
    }
    for (until, ids) in &waiting {
        put_off(transaction.connection(), ids, *until)?;
    }
    transaction.wake_relays_after_commit();
    Ok(done)
}

/// The digest of what waited for one recipient; none for a message alone.
fn digest_of(channel: Channel, group: &[QuietMessage], now: UtcTimestamp) -> Option<NewMessage> {
    let (first, others) = group.split_first()?;
    if others.is_empty() {
        return None;
    }
    // The highest comes first.
    let priority = group.iter().map(|message| message.priority).min();
    Some(NewMessage {
        kind: DIGEST.to_owned(),
        channel,
        recipient_id: first.recipient_id.clone(),
        subject: None,
        dedup_key: None,
        payload: json!({ "count": group.len() }),
        priority: priority.unwrap_or(first.priority),
        attempts_max: RetryPolicy::default().attempts_max,
        due_at: now,
        expires_at: None,
        request_id: None,
        fallbacks: None,
    })
}

fn gather(
    connection: &mut DbConnection,
    digest: &OutboxMessageId,
    group: &[QuietMessage],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    for chunk in group.chunks(CHUNK) {
        let ids = chunk.iter().map(|message| &message.id);
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(ids)))
            .set((
                outbox_messages::status.eq(Status::Skipped),
                outbox_messages::digest_id.eq(digest),
                outbox_messages::finished_at.eq(now),
                outbox_messages::quiet_until.eq(None::<UtcTimestamp>),
                outbox_messages::last_error.eq(format!("told in digest {digest}")),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn put_off(
    connection: &mut DbConnection,
    ids: &[OutboxMessageId],
    until: UtcTimestamp,
) -> Result<(), DbError> {
    for chunk in ids.chunks(CHUNK) {
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(chunk)))
            .set((
                outbox_messages::due_at.eq(until),
                outbox_messages::quiet_until.eq(until),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Writes down which of the settled messages wait for the end of their recipient's do-not-disturb.
pub(in crate::outbox) fn remember_quiet(
    connection: &mut DbConnection,
    settlements: &[&Settlement],
) -> Result<(), DbError> {
    let quiet: Vec<&OutboxMessageId> = settlements
        .iter()
        .filter(|settlement| matches!(settlement.verdict, Verdict::Postponed { .. }))
        .filter(|settlement| settlement.report.rule == DO_NOT_DISTURB)
        .map(|settlement| &settlement.message.id)
        .collect();
    if quiet.is_empty() {
        return Ok(());
    }
    diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(quiet)))
        .set(outbox_messages::quiet_until.eq(outbox_messages::due_at.nullable()))
        .execute(connection)?;
    Ok(())
}

/// Somebody wants to be disturbed at other times than before: what waits for that is looked at again,
/// and goes out soon or waits until the new moment.
///
/// # Errors
/// What the database says.
pub fn look_again_at_quiet(
    transaction: &mut WriteTransaction<'_>,
    recipient: &RecipientId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let connection = transaction.connection();
    let ids = dialect::lock_quiet_of(connection, recipient, now)?;
    if ids.is_empty() {
        return Ok(());
    }
    put_off(connection, &ids, now)?;
    transaction.wake_relays_after_commit();
    Ok(())
}
