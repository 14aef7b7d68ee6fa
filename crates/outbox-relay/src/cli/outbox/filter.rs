use std::time::Duration;

use clap::Args;
use shared::domain::{Channel, OutboxMessageId, RecipientId, RequestId, UtcTimestamp};
use shared::outbox::{ListFilter, Status};

use super::standing::duration;

/// Which messages are meant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArguments {
    /// Only this status: pending, sending, sent, failed, skipped or cancelled
    #[arg(long)]
    status: Option<Status>,
    /// Only this channel: wechat_subscribe, wechat_cloud, wecom_app or wecom_robot
    #[arg(long)]
    channel: Option<Channel>,
    /// Only this kind, such as customer.assigned
    #[arg(long)]
    kind: Option<String>,
    /// Only this recipient: the id of a user
    #[arg(long)]
    recipient: Option<RecipientId>,
    /// Only those that met this error code last
    #[arg(long, allow_negative_numbers = true)]
    errcode: Option<i64>,
    /// Only those enqueued longer ago than this: 90s, 2h, 3days
    #[arg(long, value_parser = duration)]
    older_than: Option<Duration>,
    /// Only those enqueued within this time
    #[arg(long, value_parser = duration)]
    younger_than: Option<Duration>,
    /// Only those with this text in the payload or in the last error
    #[arg(long)]
    text: Option<String>,
    /// Only those caused by this API request (x-request-id)
    #[arg(long)]
    request_id: Option<RequestId>,
    /// Only those about this, such as customer:<id>
    #[arg(long)]
    subject: Option<String>,
    /// Only those that this digest tells of
    #[arg(long)]
    digest: Option<OutboxMessageId>,
}

impl FilterArguments {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        // Which moment it is makes no difference where no age is given.
        self.older_than.is_none()
            && self.younger_than.is_none()
            && self
                .at(UtcTimestamp::from(chrono::DateTime::UNIX_EPOCH))
                .matches_all()
    }

    /// The filter at this moment: ages become moments.
    pub(super) fn at(&self, now: UtcTimestamp) -> ListFilter {
        ListFilter {
            status: self.status,
            channel: self.channel,
            kind: self.kind.clone(),
            recipient_id: self.recipient.clone(),
            errcode: self.errcode,
            created_before: self.older_than.map(|age| now.before(age)),
            created_after: self.younger_than.map(|age| now.before(age)),
            text: self.text.clone().filter(|text| !text.is_empty()),
            request_id: self.request_id.clone(),
            subject: self.subject.clone(),
            digest_id: self.digest.clone(),
            before: None,
        }
    }
}
