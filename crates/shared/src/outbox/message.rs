use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::{FallbackChannels, Priority, Status};
use crate::db::schema::outbox_messages;
use crate::domain::{Channel, OutboxMessageId, RecipientId, RelayName, RequestId, UtcTimestamp};

/// The largest payload, in bytes of JSON. The largest thing any platform takes is 4 KiB of text;
/// what is bigger is a mistake, and better refused where it is made than when it is sent.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// A message to be put into the outbox.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// What happened: `customer.assigned`.
    pub kind: String,
    /// How it goes out.
    pub channel: Channel,
    /// To whom.
    pub recipient_id: RecipientId,
    /// What it is about: `customer:<id>`.
    pub subject: Option<String>,
    /// A second message with the same key is not enqueued.
    pub dedup_key: Option<String>,
    /// The data the channel renders; at most [`PAYLOAD_BYTES_MAX`].
    pub payload: Value,
    /// Which are taken first.
    pub priority: Priority,
    /// How many attempts it gets.
    pub attempts_max: i32,
    /// Not before.
    pub due_at: UtcTimestamp,
    /// Pointless after.
    pub expires_at: Option<UtcTimestamp>,
    /// The request that caused it.
    pub request_id: Option<RequestId>,
    /// The channels on which it goes on, one after the other, if the recipient cannot be reached on
    /// its own; none for a message that stays where it is.
    pub fallbacks: Option<FallbackChannels>,
}

/// A whole row, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = outbox_messages)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the columns are described in docs/OUTBOX.md")]
pub struct Message {
    pub id: OutboxMessageId,
    pub kind: String,
    pub channel: Channel,
    pub recipient_id: RecipientId,
    pub subject: Option<String>,
    pub dedup_key: Option<String>,
    pub payload: String,
    pub status: Status,
    pub priority: Priority,
    pub attempt: i32,
    pub attempts_max: i32,
    pub fence: i64,
    pub rescues: i32,
    pub due_at: UtcTimestamp,
    pub expires_at: Option<UtcTimestamp>,
    pub claimed_by: Option<RelayName>,
    pub lease_expires_at: Option<UtcTimestamp>,
    pub outcome_unknown: bool,
    pub last_errcode: Option<i64>,
    pub last_error: Option<String>,
    pub provider_message_id: Option<String>,
    pub request_id: Option<RequestId>,
    pub created_at: UtcTimestamp,
    pub sent_at: Option<UtcTimestamp>,
    pub finished_at: Option<UtcTimestamp>,
    pub delivered_at: Option<UtcTimestamp>,
    pub delivery_error: Option<String>,
    pub superseded_by: Option<OutboxMessageId>,
    pub fallbacks: Option<FallbackChannels>,
    pub fallback_of: Option<OutboxMessageId>,
    pub fell_back_to: Option<OutboxMessageId>,
    pub quiet_until: Option<UtcTimestamp>,
    pub digest_id: Option<OutboxMessageId>,
}

/// A message that a relay has leased: what it needs to deliver and settle it.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = outbox_messages)]
pub struct ClaimedMessage {
    /// Which message.
    pub id: OutboxMessageId,
    /// What happened.
    pub kind: String,
    /// How it goes out.
    pub channel: Channel,
    /// To whom.
    pub recipient_id: RecipientId,
    /// The data to render, JSON.
    pub payload: String,
    /// How urgent it is.
    pub priority: Priority,
    /// The number of this attempt; the first is 1.
    pub attempt: i32,
    /// The last attempt there may be.
    pub attempts_max: i32,
    /// Names this lease: a settlement with another number does not match.
    pub fence: i64,
    /// Whether an earlier attempt may have been delivered.
    pub outcome_unknown: bool,
    /// When the lease ends.
    pub lease_expires_at: Option<UtcTimestamp>,
    /// When it became due.
    pub due_at: UtcTimestamp,
    /// When it was enqueued.
    pub created_at: UtcTimestamp,
    /// The request that caused it.
    pub request_id: Option<RequestId>,
    /// Whether it was let through on a held channel, to see whether it works again.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub is_probe: bool,
}
