//! Who did what: written in the transaction that does it.

use std::fmt;

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::db::schema::{operation_logs, users};
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
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

/// An act, as it is told afterwards.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOperation {
    /// When.
    pub at: UtcTimestamp,
    /// Who: a username, somebody at a command line, or the system.
    pub actor: String,
    /// What was done: `outbox.requeue`.
    pub action: String,
    /// What changed, and why.
    pub detail: Value,
    /// The request it was part of.
    pub request_id: Option<RequestId>,
}

/// What was done to one thing, oldest first.
///
/// # Errors
/// What the database says.
pub fn history(
    connection: &mut DbConnection,
    entity: &str,
    entity_id: &str,
) -> Result<Vec<LoggedOperation>, DbError> {
    type Line = (
        UtcTimestamp,
        Option<String>,
        String,
        String,
        Option<RequestId>,
    );
    let lines: Vec<Line> = operation_logs::table
        .left_join(users::table.on(operation_logs::actor_id.eq(users::id.nullable())))
        .filter(operation_logs::entity.eq(entity))
        .filter(operation_logs::entity_id.eq(entity_id))
        .order(operation_logs::id)
        .select((
            operation_logs::created_at,
            users::username.nullable(),
            operation_logs::action,
            operation_logs::detail,
            operation_logs::request_id,
        ))
        .load(connection)?;
    let told = lines
        .into_iter()
        .map(|(at, username, action, detail, request_id)| {
            let detail: Value = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
            let at_console = || detail["console"].as_str().map(str::to_owned);
            LoggedOperation {
                at,
                actor: username
                    .or_else(at_console)
                    .unwrap_or_else(|| "system".to_owned()),
                action,
                detail,
                request_id,
            }
        });
    Ok(told.collect())
}

/// Somebody at the command line has no user row; their name goes into the detail.
fn detail_with_actor(mut detail: Value, actor: &Actor) -> Value {
    if let (Actor::Console(name), Value::Object(fields)) = (actor, &mut detail) {
        fields.insert("console".to_owned(), Value::String(name.clone()));
    }
    detail
}
