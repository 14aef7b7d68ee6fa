//! Who did what: written in the transaction that does it.

use std::fmt;

use diesel::prelude::*;
use serde_json::Value;

use crate::db::schema::operation_logs;
use crate::db::{DbError, WriteTransaction, each_backend};
use crate::domain::{OperationLogId, RequestId, UserId, UtcTimestamp};

/// On whose behalf something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user of the CRM.
    User(UserId),
    /// The system itself.
    System,
    /// Somebody at the command line of a server, as the operating system knows them.
    Console(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::System => f.write_str("system"),
            Self::Console(name) => f.write_str(name),
        }
    }
}

impl Actor {
    /// The user, if it is one.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::System | Self::Console(_) => None,
        }
    }
}

/// One act.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What was done: `customer.assign`.
    pub action: &'static str,
    /// To what sort of thing: `customer`.
    pub entity: &'static str,
    /// To which one.
    pub entity_id: String,
    /// What changed. No secrets, no whole phone numbers.
    pub detail: Value,
    /// The request it was part of.
    pub request_id: Option<RequestId>,
}

#[derive(Insertable)]
#[diesel(table_name = operation_logs, treat_none_as_default_value = false)]
struct Row {
    id: OperationLogId,
    actor_id: Option<UserId>,
    action: &'static str,
    entity: &'static str,
    entity_id: String,
    detail: String,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
}

/// Records acts, in one statement.
///
/// # Errors
/// What the database says.
pub fn record(
    transaction: &mut WriteTransaction<'_>,
    actor: &Actor,
    operations: Vec<Operation>,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let rows: Vec<Row> = operations
        .into_iter()
        .map(|operation| Row {
            id: OperationLogId::generate(),
            actor_id: actor.user_id().cloned(),
            action: operation.action,
            entity: operation.entity,
            entity_id: operation.entity_id,
            detail: detail_with_actor(operation.detail, actor).to_string(),
            request_id: operation.request_id,
            created_at: now,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        operation_logs::table
    )
    .values(&rows)
    .execute(c))?;
    Ok(())
}

/// Somebody at the command line has no user row; their name goes into the detail.
fn detail_with_actor(mut detail: Value, actor: &Actor) -> Value {
    if let (Actor::Console(name), Value::Object(fields)) = (actor, &mut detail) {
        fields.insert("console".to_owned(), Value::String(name.clone()));
    }
    detail
}
