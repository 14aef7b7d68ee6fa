use serde_json::{Map, Value};

use super::inbox::{self, NotificationPriority};
use super::kind::Kind;
use super::template::{Template, telling};
use crate::db::{DbError, WriteTransaction};
use crate::domain::{
    Channel, ChannelSet, OutboxMessageId, RecipientId, RequestId, UserId, UtcTimestamp,
};
use crate::outbox::{self, FallbackChannels, NewMessage, RetryPolicy};

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
    /// When, and how urgently, if not as usual.
    pub terms: Terms,
    /// The request that caused it.
    pub request_id: Option<RequestId>,
}

/// What whoever tells something may want otherwise than it usually is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Messages go out from then on, not at once. An entry in a notification centre is written at
    /// once, whatever this says: see [`Reach::ChannelsOnly`].
    pub due_at: Option<UtcTimestamp>,
    /// Messages that have not gone out by then never do.
    pub expires_at: Option<UtcTimestamp>,
    /// How urgent, if not as the template has it.
    pub priority: Option<NotificationPriority>,
}

/// How far a notice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Into the notification centre only.
    InboxOnly,
    /// Also out, on every active route that does not wait for another one to fail.
    AllChannels,
    /// Out only: the entry in the notification centre is written at another time.
    ChannelsOnly,
}

impl Reach {
    /// Whether it goes into the notification centre.
    pub(super) fn has_inbox(self) -> bool {
        match self {
            Self::InboxOnly | Self::AllChannels => true,
            Self::ChannelsOnly => false,
        }
    }

    fn has_channels(self) -> bool {
        match self {
            Self::AllChannels | Self::ChannelsOnly => true,
            Self::InboxOnly => false,
        }
    }
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
    /// The channels on which it goes on if it does not reach them.
    pub fallbacks: Vec<Channel>,
}

/// [`notify`] for several notices; answers the messages that go out. It takes as many round trips for
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
    let kinds = notices.iter().map(|notice| notice.kind);
    let telling = telling(transaction.connection(), kinds, configured)?;
    inbox::deposit(transaction, notices, |kind| telling.template(kind), now)?;
    let outward: Vec<&Notice> = notices
        .iter()
        .filter(|notice| notice.reach.has_channels() && !notice.recipients.is_empty())
        .collect();
    if outward.is_empty() {
        return Ok(Vec::new());
    }
    let mut messages = Vec::new();
    for notice in outward {
        let template = telling.template(notice.kind);
        for (channel, fallbacks) in telling.channels(notice.kind) {
            messages.extend(messages_on(channel, fallbacks, notice, &template, now));
        }
    }
    let told = messages
        .iter()
        .map(|(id, message)| OutwardMessage {
            id: id.clone(),
            channel: message.channel,
            recipient_id: message.recipient_id.clone(),
            fallbacks: message
                .fallbacks
                .iter()
                .flat_map(FallbackChannels::iter)
                .collect(),
        })
        .collect();
    outbox::enqueue_as(transaction, messages, now)?;
    Ok(told)
}

/// The messages of a notice on one channel: one per recipient.
fn messages_on(
    channel: Channel,
    fallbacks: &[Channel],
    notice: &Notice,
    template: &Template,
    now: UtcTimestamp,
) -> impl Iterator<Item = (OutboxMessageId, NewMessage)> {
    let attempts_max = RetryPolicy::default().attempts_max;
    let fallbacks = FallbackChannels::in_order(fallbacks);
    let terms = &notice.terms;
    let priority = terms.priority.unwrap_or(template.priority).into();
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
            due_at: terms.due_at.unwrap_or(now),
            expires_at: terms.expires_at,
            request_id: notice.request_id.clone(),
            fallbacks: fallbacks.clone(),
        };
        (OutboxMessageId::generate(), message)
    })
}
