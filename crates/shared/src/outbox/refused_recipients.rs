use diesel::prelude::*;

use super::attempt::{self, Attempt};
use super::settle::{Settlement, Verdict, storable};
use super::{Priority, Status};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, each_backend};
use crate::domain::{
    AttemptId, Channel, OutboxMessageId, RecipientId, RelayName, RequestId, UtcTimestamp,
};

/// Those of a message's recipients for whom the platform did not take it, while it did for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecipients {
    /// Who, as the recipient of a message of their own.
    pub recipient_id: RecipientId,
    /// Why, for a person.
    pub error: String,
}

#[derive(Insertable)]
#[diesel(table_name = outbox_messages, treat_none_as_default_value = false)]
struct Row {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: RecipientId,
    subject: Option<String>,
    dedup_key: String,
    payload: String,
    status: Status,
    priority: Priority,
    attempt: i32,
    attempts_max: i32,
    fence: i64,
    due_at: UtcTimestamp,
    last_error: String,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
    finished_at: UtcTimestamp,
}

/// The one attempt that such a message has behind it: the one it was refused in.
const REFUSED_ATTEMPT: i32 = 1;

/// Gives the refused recipients of accepted messages a failed message of their own, so that they are
/// seen, counted, and can be told by a requeue that tells nobody else again.
///
/// A message has one at most, however often this is called for it: the second is recognised by its
/// `dedup_key`.
pub(super) fn give_messages_of_their_own(
    connection: &mut DbConnection,
    relay: &RelayName,
    settlements: &[&Settlement],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    for settlement in settlements {
        if let (Verdict::Accepted { .. }, Some(refused)) =
            (&settlement.verdict, &settlement.refused_recipients)
        {
            give_message(connection, relay, settlement, refused, now)?;
        }
    }
    Ok(())
}

fn give_message(
    connection: &mut DbConnection,
    relay: &RelayName,
    settlement: &Settlement,
    refused: &RefusedRecipients,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let message = &settlement.message;
    let subject: Option<String> = outbox_messages::table
        .find(&message.id)
        .select(outbox_messages::subject)
        .first(connection)?;
    let row = Row {
        id: OutboxMessageId::generate(),
        kind: message.kind.clone(),
        channel: message.channel,
        recipient_id: refused.recipient_id.clone(),
        subject,
        dedup_key: format!("refused:{}", message.id),
        payload: message.payload.clone(),
        status: Status::Failed,
        priority: message.priority,
        attempt: REFUSED_ATTEMPT,
        attempts_max: message.attempts_max,
        fence: i64::from(REFUSED_ATTEMPT),
        due_at: now,
        last_error: storable(&refused.error),
        request_id: message.request_id.clone(),
        created_at: now,
        finished_at: now,
    };
    let inserted = each_backend!(connection, |c| diesel::insert_into(outbox_messages::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 0 {
        return Ok(());
    }
    let attempt = Attempt {
        id: AttemptId::generate(),
        message_id: row.id,
        attempt: row.attempt,
        fence: row.fence,
        relay: relay.clone(),
        started_at: settlement.report.started_at,
        duration_ms: settlement.report.duration_ms(),
        verdict: Verdict::Refused.as_str().to_owned(),
        rule: settlement.report.rule.clone(),
        http_status: settlement.report.http_status.map(i32::from),
        errcode: settlement.report.errcode,
        errmsg: Some(row.last_error),
    };
    attempt::record(connection, &[attempt])
}
