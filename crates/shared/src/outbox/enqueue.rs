use diesel::prelude::*;

use super::{FallbackChannels, NewMessage, PAYLOAD_BYTES_MAX, Priority, Status};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction, insert_rows};
use crate::domain::{Channel, OutboxMessageId, RecipientId, RequestId, UtcTimestamp};

/// What became of the messages handed to [`enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enqueued {
    /// New rows.
    pub inserted: usize,
    /// Messages whose `dedup_key` was there already.
    pub duplicates: usize,
}

#[derive(Insertable)]
#[diesel(table_name = outbox_messages, treat_none_as_default_value = false)]
struct Row {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: RecipientId,
    subject: Option<String>,
    dedup_key: Option<String>,
    payload: String,
    status: Status,
    priority: Priority,
    attempts_max: i32,
    due_at: UtcTimestamp,
    expires_at: Option<UtcTimestamp>,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
    fallbacks: Option<FallbackChannels>,
}

/// Puts messages into the outbox, as part of the business change that `transaction` carries: they
/// go out if and only if it commits.
///
/// # Errors
/// [`DbError::Constraint`] for a payload over [`PAYLOAD_BYTES_MAX`]; else what the database says.
pub fn enqueue(
    transaction: &mut WriteTransaction<'_>,
    messages: Vec<NewMessage>,
    now: UtcTimestamp,
) -> Result<Enqueued, DbError> {
    let messages = messages
        .into_iter()
        .map(|message| (OutboxMessageId::generate(), message));
    enqueue_as(transaction, messages.collect(), now)
}

/// [`enqueue`] for whoever has to know the ids: to say which message takes the place of another.
///
/// # Errors
/// As for [`enqueue`].
pub fn enqueue_as(
    transaction: &mut WriteTransaction<'_>,
    messages: Vec<(OutboxMessageId, NewMessage)>,
    now: UtcTimestamp,
) -> Result<Enqueued, DbError> {
    if messages.is_empty() {
        return Ok(Enqueued::default());
    }
    let wanted = messages.len();
    let rows = messages
        .into_iter()
        .map(|(id, message)| row(id, message, now))
        .collect::<Result<Vec<_>, _>>()?;
    let mut inserted = 0;
    // A statement takes 65,535 values at most.
    for chunk in rows.chunks(1_000) {
        inserted += insert_rows!(
            transaction.connection(),
            outbox_messages::table,
            chunk,
            on_conflict_do_nothing
        )?;
    }
    transaction.wake_relays_after_commit();
    Ok(Enqueued {
        inserted,
        duplicates: wanted - inserted,
    })
}

fn row(id: OutboxMessageId, message: NewMessage, now: UtcTimestamp) -> Result<Row, DbError> {
    let payload = message.payload.to_string();
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(DbError::Constraint(format!(
            "payload of {} bytes for {} is over the limit of {PAYLOAD_BYTES_MAX}",
            payload.len(),
            message.kind
        )));
    }
    Ok(Row {
        id,
        kind: message.kind,
        channel: message.channel,
        recipient_id: message.recipient_id,
        subject: message.subject,
        dedup_key: message.dedup_key,
        payload,
        status: Status::Pending,
        priority: message.priority,
        attempts_max: message.attempts_max,
        due_at: message.due_at,
        expires_at: message.expires_at,
        request_id: message.request_id,
        created_at: now,
        fallbacks: message.fallbacks,
    })
}
