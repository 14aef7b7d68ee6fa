use std::time::Duration;

use diesel::prelude::*;
use serde::Serialize;

use super::{RepairAct, RepairOrder};
use crate::db::schema::{repaired_messages, repairs};
use crate::db::{DbConnection, DbError, WriteTransaction};
use crate::domain::{OutboxMessageId, RepairId, RequestId, UserId, UtcTimestamp};
use crate::operation_log::Actor;
use crate::outbox::{ListFilter, Status};

/// For how long after its last change a repair can be undone.
pub const UNDO_WINDOW: Duration = Duration::from_secs(10 * 60);

/// How messages were before a repair is kept for this long; nobody can ask for it any more.
const MEMORY: Duration = Duration::from_secs(60 * 60);

/// A repair, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = repairs)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// Which repair.
    pub id: RepairId,
    /// What was done.
    pub act: RepairAct,
    /// Why.
    pub reason: String,
    /// How many messages it has changed.
    pub changed: i64,
    /// How many of them were put back.
    pub undone: i64,
    /// When it began.
    pub created_at: UtcTimestamp,
    /// When it last changed a message.
    pub changed_at: UtcTimestamp,
    /// When its undoing began.
    pub undone_at: Option<UtcTimestamp>,
}

/// How a message was before a repair.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = repaired_messages, treat_none_as_default_value = false)]
pub(super) struct RepairedMessage {
    pub(super) repair_id: RepairId,
    pub(super) message_id: OutboxMessageId,
    pub(super) changed_at: UtcTimestamp,
    pub(super) fence: i64,
    pub(super) status_before: Status,
    pub(super) attempts_max_before: i32,
    pub(super) rescues_before: i32,
    pub(super) due_at_before: UtcTimestamp,
    pub(super) expires_at_before: Option<UtcTimestamp>,
    pub(super) finished_at_before: Option<UtcTimestamp>,
    pub(super) payload_before: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = repairs, treat_none_as_default_value = false)]
struct Row<'order> {
    id: RepairId,
    act: RepairAct,
    reason: &'order str,
    matching: Option<String>,
    actor_id: Option<&'order UserId>,
    console: Option<&'order str>,
    request_id: Option<&'order RequestId>,
    created_at: UtcTimestamp,
    changed_at: UtcTimestamp,
}

/// A repair by its id.
///
/// # Errors
/// What the database says.
pub fn find_repair(
    connection: &mut DbConnection,
    id: &RepairId,
) -> Result<Option<Repair>, DbError> {
    Ok(repairs::table
        .find(id)
        .select(Repair::as_select())
        .first(connection)
        .optional()?)
}

/// Records that a repair begins, and forgets how messages were before repairs that nobody can undo
/// any more.
pub(super) fn begin(
    transaction: &mut WriteTransaction<'_>,
    order: &RepairOrder,
    filter: Option<&ListFilter>,
    now: UtcTimestamp,
) -> Result<RepairId, DbError> {
    let connection = transaction.connection();
    let long_over = repairs::table
        .filter(repairs::changed_at.lt(now.before(MEMORY)))
        .select(repairs::id);
    diesel::delete(repaired_messages::table.filter(repaired_messages::repair_id.eq_any(long_over)))
        .execute(connection)?;
    let id = RepairId::generate();
    let row = Row {
        id: id.clone(),
        act: order.wish.act(),
        reason: &order.reason,
        matching: filter.map(|filter| serde_json::json!(filter).to_string()),
        actor_id: order.actor.user_id(),
        console: match &order.actor {
            Actor::Console(name) => Some(name),
            Actor::User(_) | Actor::System => None,
        },
        request_id: order.request_id.as_ref(),
        created_at: now,
        changed_at: now,
    };
    diesel::insert_into(repairs::table)
        .values(&row)
        .execute(connection)?;
    Ok(id)
}
