use diesel::prelude::*;

use super::fallback::stay_where_they_are;
use super::{Status, digest};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction, dialect, each_backend, keep_prepared};
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
/// What waits in a digest is taken out of it, up to the moment at which the digest leaves. A message
/// under way is left alone, but does not go on to another channel if it does not arrive; one that waits
/// and may have been delivered is left alone as well. Call it before the change enqueues messages of its
/// own, or it takes them back too. Four statements, and two more where there are digests, however many
/// subjects there are.
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
    // First: what goes on before this is among those that wait.
    stay_where_they_are(connection, subjects, kinds.named())?;
    let mut waiting = dialect::lock_waiting_about(connection, subjects, kinds.named())?;
    let digests = waiting.iter().filter_map(|one| one.digest_id.clone());
    let open = digest::open_among(connection, digests.collect())?;
    waiting.retain(|one| one.digest_id.as_ref().is_none_or(|id| open.contains(id)));
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let ids = waiting.iter().map(|one| &one.id);
    let waiting_ones = dialect::among(connection, outbox_messages::id, ids);
    let cancel = diesel::update(outbox_messages::table.filter(waiting_ones)).set((
        outbox_messages::status.eq(Status::Cancelled),
        outbox_messages::finished_at.eq(now),
        outbox_messages::last_error.eq(reason),
        outbox_messages::digest_id.eq(None::<OutboxMessageId>),
        // Of an earlier time, if somebody has requeued it since.
        outbox_messages::superseded_by.eq(None::<OutboxMessageId>),
    ));
    each_backend!(connection, |c| keep_prepared(cancel).run(c))?;
    let superseded = waiting.into_iter().map(|one| Superseded {
        id: one.id,
        channel: one.channel,
    });
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
/// something goes out there or would go on to it. A statement per successor.
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
        let connection = transaction.connection();
        let overtaken = dialect::among(connection, outbox_messages::id, overtaken);
        let name = diesel::update(outbox_messages::table.filter(overtaken))
            .set(outbox_messages::superseded_by.eq(successor));
        each_backend!(connection, |c| keep_prepared(name).run(c))?;
    }
    Ok(())
}
