use serde_json::{Map, Value};

use super::inbox;
use super::kind::Kind;
use super::template::{Template, telling};
use crate::db::{DbError, WriteTransaction};
use crate::domain::{
    Channel, ChannelSet, OutboxMessageId, RecipientId, RequestId, UserId, UtcTimestamp,
};
use crate::outbox::{self, NewMessage, RetryPolicy};

/// Something to tell somebody.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What happened.
    pub kind: Kind,
    /// Whom to tell.
    pub recipients: Vec<UserId>,
    /// The values for the texts. Phone numbers masked.
    pub data: Map<String, Value>,
    /// What it is about: `customer:<id>`.
    pub subject: Option<String>,
    /// How far it goes.
    pub reach: Reach,
    /// The request that caused it.
    pub request_id: Option<RequestId>,
}

/// How far a notice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Into the notification centre only.
    InboxOnly,
    /// Also out, on every active route.
    AllChannels,
}

/// Tells somebody something, as part of the business change that `transaction` carries: an entry
/// in each recipient's notification centre, and an outbox message per recipient and active route.
///
/// `configured` are the channels this installation has; routes to others are passed over.
///
/// # Errors
/// What the database says.
pub fn notify(
    transaction: &mut WriteTransaction<'_>,
    notice: &Notice,
    configured: ChannelSet,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    notify_all(transaction, std::slice::from_ref(notice), configured, now)?;
    Ok(())
}

/// A message that was enqueued for a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutwardMessage {
    /// Which message.
    pub id: OutboxMessageId,
    /// How it goes out.
    pub channel: Channel,
    /// To whom.
    pub recipient_id: RecipientId,
}

/// [`notify`] for several notices; answers the messages that go out. It takes as many statements for
/// a thousand as for one.
///
/// # Errors
/// What the database says.
pub fn notify_all(
    transaction: &mut WriteTransaction<'_>,
    notices: &[Notice],
    configured: ChannelSet,
    now: UtcTimestamp,
) -> Result<Vec<OutwardMessage>, DbError> {
    if notices.is_empty() {
        return Ok(Vec::new());
    }
    let telling = telling(transaction.connection(), configured)?;
    inbox::deposit(transaction, notices, |kind| telling.template(kind), now)?;
    let outward: Vec<&Notice> = notices
        .iter()
        .filter(|notice| notice.reach == Reach::AllChannels && !notice.recipients.is_empty())
        .collect();
    if outward.is_empty() {
        return Ok(Vec::new());
    }
    let mut messages = Vec::new();
    for notice in outward {
        let template = telling.template(notice.kind);
        for channel in telling.channels(notice.kind) {
            messages.extend(messages_on(channel, notice, &template, now));
        }
    }
    let told = messages
        .iter()
        .map(|(id, message)| OutwardMessage {
            id: id.clone(),
            channel: message.channel,
            recipient_id: message.recipient_id.clone(),
        })
        .collect();
    outbox::enqueue_as(transaction, messages, now)?;
    Ok(told)
}

/// The messages of a notice on one channel: one per recipient.
fn messages_on(
    channel: Channel,
    notice: &Notice,
    template: &Template,
    now: UtcTimestamp,
) -> impl Iterator<Item = (OutboxMessageId, NewMessage)> {
    let attempts_max = RetryPolicy::default().attempts_max;
    let priority = template.priority.into();
    notice.recipients.iter().map(move |user| {
        let message = NewMessage {
            kind: notice.kind.as_str().to_owned(),
            channel,
            recipient_id: RecipientId::from(user),
            subject: notice.subject.clone(),
            dedup_key: None,
            payload: Value::Object(notice.data.clone()),
            priority,
            attempts_max,
            due_at: now,
            expires_at: None,
            request_id: notice.request_id.clone(),
        };
        (OutboxMessageId::generate(), message)
    })
}
