use serde::Deserialize;
use shared::domain::{Channel, OutboxMessageId, RecipientId, RequestId, UtcTimestamp};
use shared::outbox::{ListFilter, Status};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::validation::{Lines, optional_text};

/// Which messages are meant; everything left out matches.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MessageFilter {
    /// `pending`, `sending`, `sent`, `failed`, `skipped`, `cancelled`.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
    #[schema(value_type = Option<String>)]
    channel: Option<Channel>,
    kind: Option<String>,
    #[schema(value_type = Option<String>)]
    recipient_id: Option<RecipientId>,
    /// What the platform said last.
    errcode: Option<i64>,
    /// Enqueued before this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_before: Option<UtcTimestamp>,
    /// Enqueued at this moment or after it.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_after: Option<UtcTimestamp>,
    /// In the payload or in the last error.
    text: Option<String>,
    /// Caused by this request.
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    /// About this: `customer:<id>`.
    subject: Option<String>,
    /// Told in this digest.
    #[schema(value_type = Option<String>)]
    digest_id: Option<OutboxMessageId>,
}

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessagesQuery {
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    #[param(value_type = Option<String>)]
    channel: Option<Channel>,
    kind: Option<String>,
    #[param(value_type = Option<String>)]
    recipient_id: Option<RecipientId>,
    /// What the platform said last.
    errcode: Option<i64>,
    /// Enqueued before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    created_before: Option<UtcTimestamp>,
    /// Enqueued at this moment or after it.
    #[param(value_type = Option<String>, format = DateTime)]
    created_after: Option<UtcTimestamp>,
    /// In the payload or in the last error.
    text: Option<String>,
    /// Caused by this request.
    #[param(value_type = Option<String>)]
    request_id: Option<RequestId>,
    /// About this: `customer:<id>`.
    subject: Option<String>,
    /// Told in this digest.
    #[param(value_type = Option<String>)]
    digest_id: Option<OutboxMessageId>,
    /// Only messages made before this one: `nextBefore` of the page before.
    #[param(value_type = Option<String>)]
    before: Option<OutboxMessageId>,
    /// At most 100.
    pub(crate) page_size: Option<u32>,
}

impl MessageFilter {
    /// The filter, its texts checked.
    pub(crate) fn checked(self) -> Result<ListFilter, ApiError> {
        let text = |field, value: Option<String>, characters_max| {
            optional_text(field, value.as_deref(), characters_max, Lines::One)
        };
        Ok(ListFilter {
            status: self.status,
            channel: self.channel,
            kind: text("kind", self.kind, 64)?,
            recipient_id: self.recipient_id,
            errcode: self.errcode,
            created_before: self.created_before,
            created_after: self.created_after,
            text: text("text", self.text, 100)?,
            request_id: self.request_id,
            subject: text("subject", self.subject, 128)?,
            digest_id: self.digest_id,
            before: None,
        })
    }
}

impl MessagesQuery {
    /// The filter, its texts checked.
    pub(crate) fn checked(self) -> Result<ListFilter, ApiError> {
        let before = self.before;
        let filter = MessageFilter {
            status: self.status,
            channel: self.channel,
            kind: self.kind,
            recipient_id: self.recipient_id,
            errcode: self.errcode,
            created_before: self.created_before,
            created_after: self.created_after,
            text: self.text,
            request_id: self.request_id,
            subject: self.subject,
            digest_id: self.digest_id,
        };
        Ok(ListFilter {
            before,
            ..filter.checked()?
        })
    }
}
