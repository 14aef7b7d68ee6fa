use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::{RepairAct, RepairError, RepairOrder, change, record};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{OutboxMessageId, RepairId, UtcTimestamp};
use crate::outbox::{DIGEST, Message};

/// What [`repair`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// Under which name it can be undone.
    pub repair: RepairId,
    /// The messages as they are now, in the order they were named.
    pub messages: Vec<Message>,
}

impl Repaired {
    /// How many of them had gone on to another channel: requeued, they tell their recipients again.
    pub fn fell_back(&self) -> usize {
        let messages = self.messages.iter();
        messages
            .filter(|message| message.fell_back_to.is_some())
            .count()
    }
}

/// As many rows as fit well into one statement.
const CHUNK: usize = 500;

/// Repairs the messages that were named: all of them, or none. A message named twice counts once.
///
/// # Errors
/// [`RepairError`]; then nothing is to be committed.
pub fn repair(
    transaction: &mut WriteTransaction<'_>,
    order: &RepairOrder,
    ids: &[OutboxMessageId],
    now: UtcTimestamp,
) -> Result<Repaired, RepairError> {
    let mut seen = HashSet::new();
    let ids: Vec<OutboxMessageId> = ids.iter().filter(|id| seen.insert(*id)).cloned().collect();
    let repair = record::begin(transaction, order, None, now)?;
    let mut messages = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let locked: HashSet<OutboxMessageId> =
            dialect::lock_messages(transaction.connection(), chunk)?
                .into_iter()
                .collect();
        let before = load(transaction.connection(), chunk)?;
        let before = chunk
            .iter()
            .map(|id| check(order, id, &locked, before.get(id)))
            .collect::<Result<Vec<Message>, _>>()?;
        change::apply(transaction, &repair, order, &before, now)?;
        let mut after = load(transaction.connection(), chunk)?;
        messages.extend(chunk.iter().filter_map(|id| after.remove(id)));
    }
    Ok(Repaired { repair, messages })
}

fn check(
    order: &RepairOrder,
    id: &OutboxMessageId,
    locked: &HashSet<OutboxMessageId>,
    message: Option<&Message>,
) -> Result<Message, RepairError> {
    let act = order.wish.act();
    match message {
        None => Err(RepairError::NoSuchMessage(id.clone())),
        Some(Message {
            digest_id: Some(digest),
            ..
        }) => Err(RepairError::InDigest {
            id: id.clone(),
            digest: digest.clone(),
            act,
        }),
        Some(message) if act == RepairAct::Edit && message.kind == DIGEST => {
            Err(RepairError::EditOfDigest(id.clone()))
        }
        Some(message) if !act.allows(message.status) => Err(RepairError::WrongStatus {
            id: id.clone(),
            status: message.status,
            act,
        }),
        Some(_) if !locked.contains(id) => Err(RepairError::Busy(id.clone())),
        Some(message) => Ok(message.clone()),
    }
}

fn load(
    connection: &mut DbConnection,
    ids: &[OutboxMessageId],
) -> Result<HashMap<OutboxMessageId, Message>, DbError> {
    let messages: Vec<Message> = outbox_messages::table
        .filter(outbox_messages::id.eq_any(ids))
        .select(Message::as_select())
        .load(connection)?;
    Ok(messages
        .into_iter()
        .map(|message| (message.id.clone(), message))
        .collect())
}
