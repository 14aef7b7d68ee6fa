use diesel::prelude::*;

use super::Status;
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction, dialect};
use crate::domain::{Channel, OutboxMessageId, UtcTimestamp};

/// A message that was taken back because what it tells is no longer so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// Which message.
    pub id: OutboxMessageId,
    /// How it would have gone out.
    pub channel: Channel,
}

/// Which of the messages about a subject are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingKinds<'a> {
    /// All of them.
    Every,
    /// Those that tell of one of these.
    These(&'a [&'a str]),
}

/// Cancels the messages about these subjects (`customer:<id>`) that have not left yet and are not true
/// any more, as part of the change that made it so. `reason` says what happened, and begins with
/// `superseded: `.
///
/// A message under way is left alone, and so is one that waits but may have been delivered. Call it
/// before the change enqueues messages of its own, or it takes them back as well. Two statements at
/// most, however many subjects there are.
///
/// # Errors
/// What the database says.
pub fn supersede(
    transaction: &mut WriteTransaction<'_>,
    subjects: &[String],
    kinds: PendingKinds<'_>,
    reason: &str,
    now: UtcTimestamp,
) -> Result<Vec<Superseded>, DbError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let connection = transaction.connection();
    let waiting = dialect::lock_pending_about(connection, subjects, kinds.named())?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let ids = waiting.iter().map(|(id, _)| id);
    diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(ids)))
        .set((
            outbox_messages::status.eq(Status::Cancelled),
            outbox_messages::finished_at.eq(now),
            outbox_messages::last_error.eq(reason),
            // Of an earlier time, if somebody has requeued it since.
            outbox_messages::superseded_by.eq(None::<OutboxMessageId>),
        ))
        .execute(connection)?;
    let superseded = waiting
        .into_iter()
        .map(|(id, channel)| Superseded { id, channel });
    Ok(superseded.collect())
}

/// [`supersede`] for one subject, where nothing takes the place of what is cancelled; answers how many
/// messages.
///
/// # Errors
/// What the database says.
pub fn cancel_pending(
    transaction: &mut WriteTransaction<'_>,
    subject: &str,
    kinds: PendingKinds<'_>,
    reason: &str,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let subjects = [subject.to_owned()];
    Ok(supersede(transaction, &subjects, kinds, reason, now)?.len())
}

impl<'a> PendingKinds<'a> {
    fn named(self) -> Option<&'a [&'a str]> {
        match self {
            Self::Every => None,
            Self::These(kinds) => Some(kinds),
        }
    }
}

/// Writes down which message took the place of those that were taken back: on each channel one, if
/// something goes out there. A statement per successor.
///
/// # Errors
/// What the database says.
pub fn name_successors(
    transaction: &mut WriteTransaction<'_>,
    superseded: &[Superseded],
    successors: &[(Channel, OutboxMessageId)],
) -> Result<(), DbError> {
    for (channel, successor) in successors {
        let overtaken: Vec<&OutboxMessageId> = superseded
            .iter()
            .filter(|message| message.channel == *channel)
            .map(|message| &message.id)
            .collect();
        if overtaken.is_empty() {
            continue;
        }
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(overtaken)))
            .set(outbox_messages::superseded_by.eq(successor))
            .execute(transaction.connection())?;
    }
    Ok(())
}
