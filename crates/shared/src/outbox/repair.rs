use diesel::prelude::*;
use serde_json::json;

use super::{Message, Status, find};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction};
use crate::domain::{OutboxMessageId, UtcTimestamp};
use crate::operation_log::{self, Actor, Operation};

/// Why an operator's wish cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is no such message.
    #[error("there is no outbox message {0}")]
    NoSuchMessage(OutboxMessageId),
    /// Its status does not allow it.
    #[error("message {id} is {status}; only {allowed} ones can be {wish}")]
    WrongStatus {
        /// Which message.
        id: OutboxMessageId,
        /// What it is.
        status: Status,
        /// What it would have to be.
        allowed: &'static str,
        /// What was wanted.
        wish: &'static str,
    },
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Puts a failed, skipped or cancelled message back to pending with `attempts` more attempts. The
/// attempts made so far stay counted, so that no number is used twice.
///
/// # Errors
/// [`RepairError`]; then nothing is changed.
pub fn requeue(
    transaction: &mut WriteTransaction<'_>,
    id: &OutboxMessageId,
    attempts: i32,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<Message, RepairError> {
    let message = existing(transaction, id)?;
    if !message.status.can_be_requeued() {
        return Err(wrong_status(
            &message,
            "failed, skipped or cancelled",
            "requeued",
        ));
    }
    // The status is compared once more: another operator may have been faster.
    let target = outbox_messages::table
        .find(id)
        .filter(outbox_messages::status.eq(message.status));
    let changed = diesel::update(target)
        .set((
            outbox_messages::status.eq(Status::Pending),
            outbox_messages::attempts_max.eq(message.attempt.saturating_add(attempts.max(1))),
            outbox_messages::rescues.eq(0),
            outbox_messages::due_at.eq(now),
            outbox_messages::expires_at.eq(None::<UtcTimestamp>),
            outbox_messages::finished_at.eq(None::<UtcTimestamp>),
        ))
        .execute(transaction.connection())
        .map_err(DbError::from)?;
    transaction.wake_relays_after_commit();
    after_change(transaction, &message, changed, "outbox.requeue", actor, now)
}

/// Takes back a pending or failed message.
///
/// # Errors
/// [`RepairError`]; then nothing is changed.
pub fn cancel(
    transaction: &mut WriteTransaction<'_>,
    id: &OutboxMessageId,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<Message, RepairError> {
    let message = existing(transaction, id)?;
    if !message.status.can_be_cancelled() {
        return Err(wrong_status(&message, "pending or failed", "cancelled"));
    }
    let target = outbox_messages::table
        .find(id)
        .filter(outbox_messages::status.eq(message.status));
    let changed = diesel::update(target)
        .set((
            outbox_messages::status.eq(Status::Cancelled),
            outbox_messages::finished_at.eq(now),
        ))
        .execute(transaction.connection())
        .map_err(DbError::from)?;
    after_change(transaction, &message, changed, "outbox.cancel", actor, now)
}

fn existing(
    transaction: &mut WriteTransaction<'_>,
    id: &OutboxMessageId,
) -> Result<Message, RepairError> {
    find(transaction.connection(), id)?.ok_or_else(|| RepairError::NoSuchMessage(id.clone()))
}

fn wrong_status(message: &Message, allowed: &'static str, wish: &'static str) -> RepairError {
    RepairError::WrongStatus {
        id: message.id.clone(),
        status: message.status,
        allowed,
        wish,
    }
}

fn after_change(
    transaction: &mut WriteTransaction<'_>,
    before: &Message,
    changed: usize,
    action: &'static str,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<Message, RepairError> {
    let after = existing(transaction, &before.id)?;
    if changed == 0 {
        return Err(wrong_status(&after, "unchanged", action));
    }
    let operation = Operation {
        action,
        entity: "outbox_message",
        entity_id: before.id.to_string(),
        detail: json!({ "before": before.status, "after": after.status }),
        request_id: None,
    };
    operation_log::record(transaction, actor, vec![operation], now)?;
    Ok(after)
}
