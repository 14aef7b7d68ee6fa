use diesel::prelude::*;
use serde_json::json;

use super::record::RepairedMessage;
use super::{RepairOrder, Wish};
use crate::db::schema::{outbox_messages, repaired_messages, repairs};
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{OutboxMessageId, RepairId, UtcTimestamp, mask_phones};
use crate::operation_log::{self, Operation};
use crate::outbox::{Message, Status};

/// Changes these rows, which are locked and have a status that allows it, in a number of statements
/// that does not depend on how many there are; keeps how they were, and records who and why.
pub(super) fn apply(
    transaction: &mut WriteTransaction<'_>,
    repair: &RepairId,
    order: &RepairOrder,
    before: &[Message],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    if before.is_empty() {
        return Ok(());
    }
    let ids: Vec<&OutboxMessageId> = before.iter().map(|message| &message.id).collect();
    let connection = transaction.connection();
    change(connection, &order.wish, &ids, now)?;
    let remembered: Vec<RepairedMessage> = before
        .iter()
        .map(|message| remembered(repair, &order.wish, message, now))
        .collect();
    each_backend!(connection, |c| diesel::insert_into(
        repaired_messages::table
    )
    .values(&remembered)
    .execute(c))?;
    let count = i64::try_from(before.len()).unwrap_or(i64::MAX);
    diesel::update(repairs::table.find(repair))
        .set((
            repairs::changed.eq(repairs::changed + count),
            repairs::changed_at.eq(now),
        ))
        .execute(connection)?;
    let operations = before
        .iter()
        .map(|message| operation(repair, order, message))
        .collect();
    operation_log::record(transaction, &order.actor, operations, now)?;
    if order.wish.act().status_after() == Status::Pending {
        transaction.wake_relays_after_commit();
    }
    Ok(())
}

fn change(
    connection: &mut DbConnection,
    wish: &Wish,
    ids: &[&OutboxMessageId],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let rows = outbox_messages::table.filter(outbox_messages::id.eq_any(ids.iter().copied()));
    if let Wish::Cancel = wish {
        diesel::update(rows)
            .set((
                outbox_messages::status.eq(Status::Cancelled),
                outbox_messages::finished_at.eq(now),
            ))
            .execute(connection)?;
        return Ok(());
    }
    // The attempts made so far stay counted, so that no number is used twice.
    diesel::update(rows.clone())
        .set((
            outbox_messages::status.eq(Status::Pending),
            outbox_messages::attempts_max.eq(outbox_messages::attempt + wish.attempts()),
            outbox_messages::rescues.eq(0),
            outbox_messages::due_at.eq(now),
            outbox_messages::expires_at.eq(None::<UtcTimestamp>),
            outbox_messages::finished_at.eq(None::<UtcTimestamp>),
            // At once, whatever it waited for; if that is still so, it waits again.
            outbox_messages::quiet_until.eq(None::<UtcTimestamp>),
        ))
        .execute(connection)?;
    if let Wish::Edit { payload, .. } = wish {
        diesel::update(rows)
            .set(outbox_messages::payload.eq(payload.as_str()))
            .execute(connection)?;
    }
    Ok(())
}

fn remembered(
    repair: &RepairId,
    wish: &Wish,
    message: &Message,
    now: UtcTimestamp,
) -> RepairedMessage {
    RepairedMessage {
        repair_id: repair.clone(),
        message_id: message.id.clone(),
        changed_at: now,
        fence: message.fence,
        status_before: message.status,
        attempts_max_before: message.attempts_max,
        rescues_before: message.rescues,
        due_at_before: message.due_at,
        expires_at_before: message.expires_at,
        finished_at_before: message.finished_at,
        payload_before: match wish {
            Wish::Edit { .. } => Some(message.payload.clone()),
            Wish::Requeue { .. } | Wish::Cancel => None,
        },
    }
}

fn operation(repair: &RepairId, order: &RepairOrder, before: &Message) -> Operation {
    let act = order.wish.act();
    let mut detail = json!({
        "before": before.status,
        "after": act.status_after(),
        "reason": order.reason,
        "repair": repair,
    });
    if let Wish::Edit { .. } = &order.wish {
        detail["payloadBefore"] = json!(mask_phones(&before.payload));
    }
    Operation {
        action: act.action(),
        entity: "outbox_message",
        entity_id: before.id.to_string(),
        detail,
        request_id: order.request_id.clone(),
    }
}
