use std::collections::BTreeMap;

use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use shared::db::schema::{events, outbox_messages, service_tokens, users};
use shared::db::{DbConnection, DbError};
use shared::domain::{Channel, EventId, ServiceTokenId, UserId, UtcTimestamp};
use shared::outbox::Status;

use super::accept::{receipt_of, subject_of};
use super::error::EventError;
use super::order::Sender;
use super::receipt::EventReceipt;

/// What has become of an event until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStanding {
    /// Who told of it.
    pub sender: Sender,
    /// What they are called: a user's name, or that of a token.
    pub sender_name: String,
    /// What was answered then.
    pub receipt: EventReceipt,
    /// How its messages stand. Finished ones are deleted after a while.
    pub messages: BTreeMap<Channel, BTreeMap<Status, i64>>,
    /// Whether notification centres have it still to come.
    pub waiting: bool,
    /// When it was told of.
    pub created_at: UtcTimestamp,
}

/// How an event stands; none if it is not known, or no more.
///
/// # Errors
/// What the database says.
pub fn standing(
    connection: &mut DbConnection,
    id: &EventId,
) -> Result<Option<EventStanding>, EventError> {
    type Row = (
        Option<(UserId, String)>,
        Option<(ServiceTokenId, String)>,
        String,
        Option<String>,
        UtcTimestamp,
    );
    let found: Option<Row> = events::table
        .left_join(users::table.on(events::user_id.eq(users::id.nullable())))
        .left_join(
            service_tokens::table.on(events::service_token_id.eq(service_tokens::id.nullable())),
        )
        .filter(events::id.eq(id))
        .select((
            (users::id, users::name).nullable(),
            (service_tokens::id, service_tokens::name).nullable(),
            events::receipt.assume_not_null(),
            events::waiting,
            events::created_at,
        ))
        .first(connection)
        .optional()?;
    let Some((user, service, receipt, waiting, created_at)) = found else {
        return Ok(None);
    };
    let (sender, sender_name) = match (user, service) {
        (Some((id, name)), _) => (Sender::User(id), name),
        (None, Some((id, name))) => (Sender::Service(id), name),
        (None, None) => return Err(DbError::NotFound.into()),
    };
    Ok(Some(EventStanding {
        sender,
        sender_name,
        receipt: receipt_of(&receipt)?,
        messages: messages(connection, id)?,
        waiting: waiting.is_some(),
        created_at,
    }))
}

fn messages(
    connection: &mut DbConnection,
    id: &EventId,
) -> Result<BTreeMap<Channel, BTreeMap<Status, i64>>, DbError> {
    let counted: Vec<(Channel, Status, i64)> = outbox_messages::table
        .filter(outbox_messages::subject.eq(subject_of(id)))
        // As the index says it, so that it is used.
        .filter(sql::<Bool>("subject LIKE 'event:%'"))
        .group_by((outbox_messages::channel, outbox_messages::status))
        .select((
            outbox_messages::channel,
            outbox_messages::status,
            count_star(),
        ))
        .load(connection)?;
    let mut messages: BTreeMap<Channel, BTreeMap<Status, i64>> = BTreeMap::new();
    for (channel, status, count) in counted {
        messages.entry(channel).or_default().insert(status, count);
    }
    Ok(messages)
}
