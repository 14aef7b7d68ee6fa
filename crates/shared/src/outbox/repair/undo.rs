use diesel::prelude::*;
use serde_json::json;

use super::record::{RepairedMessage, UNDO_WINDOW, find_repair};
use super::{REPAIR_BATCH, Repair, RepairAct, RepairError};
use crate::db::schema::{outbox_messages, repaired_messages, repairs};
use crate::db::{DbConnection, DbError, WriteTransaction};
use crate::domain::{RepairId, RequestId, UtcTimestamp};
use crate::operation_log::{self, Actor, Operation};

/// What [`undo_next`] did with one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undone {
    /// How many messages are as they were.
    pub undone: usize,
    /// How many have moved since, and were left alone.
    pub moved: usize,
    /// Whether there are more to be looked at.
    pub rest: Rest,
}

/// Whether something is left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// It is done.
    #[default]
    Nothing,
    /// Go on.
    More,
}

/// Puts the next messages of a repair back as they were before it, except those that have moved
/// since: claimed, settled, repaired again. Call it until nothing is left.
///
/// # Errors
/// [`RepairError`]: there is no such repair, it was undone before, or [`UNDO_WINDOW`] is over.
pub fn undo_next(
    transaction: &mut WriteTransaction<'_>,
    id: &RepairId,
    actor: &Actor,
    request_id: Option<&RequestId>,
    now: UtcTimestamp,
) -> Result<Undone, RepairError> {
    let connection = transaction.connection();
    let repair =
        find_repair(connection, id)?.ok_or_else(|| RepairError::NoSuchRepair(id.clone()))?;
    let (batch, rest) = next_rows(connection, id)?;
    match repair.undone_at {
        Some(_) if batch.is_empty() => return Err(RepairError::AlreadyUndone(id.clone())),
        // Begun in time, and interrupted.
        Some(_) => {}
        None => begin(connection, &repair, now)?,
    }
    let (mut undone, mut moved) = (Vec::new(), Vec::new());
    for before in batch {
        if put_back(connection, repair.act, &before)? {
            undone.push(before);
        } else {
            moved.push(before);
        }
    }
    mark(connection, id, &undone, "undone")?;
    mark(connection, id, &moved, "moved")?;
    diesel::update(repairs::table.find(id))
        .set(repairs::undone.eq(repairs::undone + count(undone.len())))
        .execute(connection)?;
    let operations = undone
        .iter()
        .map(|before| operation(&repair, before, request_id))
        .collect();
    operation_log::record(transaction, actor, operations, now)?;
    transaction.wake_relays_after_commit();
    Ok(Undone {
        undone: undone.len(),
        moved: moved.len(),
        rest,
    })
}

/// The next rows that nobody has looked at yet, and whether there are more behind them.
fn next_rows(
    connection: &mut DbConnection,
    id: &RepairId,
) -> Result<(Vec<RepairedMessage>, Rest), DbError> {
    let mut batch: Vec<RepairedMessage> = repaired_messages::table
        .filter(repaired_messages::repair_id.eq(id))
        .filter(repaired_messages::undo_outcome.is_null())
        .order(repaired_messages::message_id)
        // One more than is put back tells whether there are more.
        .limit(count(REPAIR_BATCH + 1))
        .select(RepairedMessage::as_select())
        .load(connection)?;
    let rest = if batch.len() > REPAIR_BATCH {
        Rest::More
    } else {
        Rest::Nothing
    };
    batch.truncate(REPAIR_BATCH);
    Ok((batch, rest))
}

fn begin(
    connection: &mut DbConnection,
    repair: &Repair,
    now: UtcTimestamp,
) -> Result<(), RepairError> {
    let age = now.since(repair.changed_at);
    if age > UNDO_WINDOW {
        return Err(RepairError::TooLate {
            id: repair.id.clone(),
            age,
        });
    }
    diesel::update(repairs::table.find(&repair.id))
        .set(repairs::undone_at.eq(now))
        .execute(connection)?;
    Ok(())
}

/// Whether the row was still as the repair had left it, and is now as it was before.
fn put_back(
    connection: &mut DbConnection,
    act: RepairAct,
    before: &RepairedMessage,
) -> Result<bool, DbError> {
    let row = outbox_messages::table
        .find(&before.message_id)
        .filter(outbox_messages::status.eq(act.status_after()))
        .filter(outbox_messages::fence.eq(before.fence));
    let restored = (
        outbox_messages::status.eq(before.status_before),
        outbox_messages::attempts_max.eq(before.attempts_max_before),
        outbox_messages::rescues.eq(before.rescues_before),
        outbox_messages::due_at.eq(before.due_at_before),
        outbox_messages::expires_at.eq(before.expires_at_before),
        outbox_messages::finished_at.eq(before.finished_at_before),
    );
    // Another repair may have left the same status and fence, but not at the same moment.
    let put_back = match act {
        RepairAct::Cancel => {
            diesel::update(row.filter(outbox_messages::finished_at.eq(before.changed_at)))
                .set(restored)
                .execute(connection)?
        }
        RepairAct::Requeue | RepairAct::Edit => {
            diesel::update(row.filter(outbox_messages::due_at.eq(before.changed_at)))
                .set(restored)
                .execute(connection)?
        }
    };
    if let (1, Some(payload)) = (put_back, &before.payload_before) {
        diesel::update(outbox_messages::table.find(&before.message_id))
            .set(outbox_messages::payload.eq(payload))
            .execute(connection)?;
    }
    Ok(put_back == 1)
}

fn mark(
    connection: &mut DbConnection,
    id: &RepairId,
    rows: &[RepairedMessage],
    outcome: &str,
) -> Result<(), DbError> {
    let marked = repaired_messages::table
        .filter(repaired_messages::repair_id.eq(id))
        .filter(repaired_messages::message_id.eq_any(rows.iter().map(|row| &row.message_id)));
    diesel::update(marked)
        .set(repaired_messages::undo_outcome.eq(outcome))
        .execute(connection)?;
    Ok(())
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn operation(
    repair: &Repair,
    before: &RepairedMessage,
    request_id: Option<&RequestId>,
) -> Operation {
    Operation {
        action: "outbox.undo",
        entity: "outbox_message",
        entity_id: before.message_id.to_string(),
        detail: json!({
            "before": repair.act.status_after(),
            "after": before.status_before,
            "repair": repair.id,
        }),
        request_id: request_id.cloned(),
    }
}
