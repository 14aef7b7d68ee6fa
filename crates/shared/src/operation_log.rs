//! Who did what: written in the transaction that does it.

use std::fmt;

use diesel::dsl::exists;
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::db::schema::{operation_logs, users};
use crate::db::{DbConnection, DbError, WriteTransaction, insert_rows};
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

/// Records acts.
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
    insert_rows!(transaction.connection(), operation_logs::table, &rows)?;
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
    /// What the user is called, if it is one. Not part of what is serialised: accounts are told by
    /// their usernames, whatever they are called later.
    #[serde(skip)]
    pub actor_name: Option<String>,
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
    let lines: Vec<Line> = operation_logs::table
        .left_join(users::table.on(operation_logs::actor_id.eq(users::id.nullable())))
        .filter(operation_logs::entity.eq(entity))
        .filter(operation_logs::entity_id.eq(entity_id))
        .order(operation_logs::id)
        .select(Line::as_select())
        .load(connection)?;
    Ok(lines.into_iter().map(LoggedOperation::from).collect())
}

/// A page of what was done to one thing, newest first, and how much there is in all. It is there
/// also when the thing is not any more.
///
/// # Errors
/// What the database says.
pub fn newest(
    connection: &mut DbConnection,
    entity: &str,
    entity_id: &str,
    offset: i64,
    limit: i64,
) -> Result<(Vec<LoggedOperation>, i64), DbError> {
    let total = operation_logs::table
        .filter(operation_logs::entity.eq(entity))
        .filter(operation_logs::entity_id.eq(entity_id))
        .count()
        .get_result(connection)?;
    let lines: Vec<Line> = operation_logs::table
        .left_join(users::table.on(operation_logs::actor_id.eq(users::id.nullable())))
        .filter(operation_logs::entity.eq(entity))
        .filter(operation_logs::entity_id.eq(entity_id))
        .order(operation_logs::id.desc())
        .offset(offset)
        .limit(limit)
        .select(Line::as_select())
        .load(connection)?;
    let page = lines.into_iter().map(LoggedOperation::from).collect();
    Ok((page, total))
}

/// Whether something was done to one thing.
///
/// # Errors
/// What the database says.
pub fn was_done(
    connection: &mut DbConnection,
    action: &str,
    entity: &str,
    entity_id: &str,
) -> Result<bool, DbError> {
    let done = operation_logs::table
        .filter(operation_logs::entity.eq(entity))
        .filter(operation_logs::entity_id.eq(entity_id))
        .filter(operation_logs::action.eq(action));
    Ok(diesel::select(exists(done)).get_result(connection)?)
}

/// An act with the user who did it, as stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = operation_logs)]
struct Line {
    created_at: UtcTimestamp,
    #[diesel(select_expression = users::username.nullable())]
    username: Option<String>,
    #[diesel(select_expression = users::name.nullable())]
    name: Option<String>,
    action: String,
    detail: String,
    request_id: Option<RequestId>,
}

impl From<Line> for LoggedOperation {
    fn from(line: Line) -> Self {
        let text = line.detail;
        let detail: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let at_console = || detail["console"].as_str().map(str::to_owned);
        Self {
            at: line.created_at,
            actor: line
                .username
                .or_else(at_console)
                .unwrap_or_else(|| "system".to_owned()),
            actor_name: line.name,
            action: line.action,
            detail,
            request_id: line.request_id,
        }
    }
}

/// Somebody at the command line has no user row; their name goes into the detail.
fn detail_with_actor(mut detail: Value, actor: &Actor) -> Value {
    if let (Actor::Console(name), Value::Object(fields)) = (actor, &mut detail) {
        fields.insert("console".to_owned(), Value::String(name.clone()));
    }
    detail
}
