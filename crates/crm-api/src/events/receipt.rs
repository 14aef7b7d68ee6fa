use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::domain::{Channel, EventId, UserId, UtcTimestamp, text_enum};
use shared::notification::Kind;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It was the first.
    Accepted(EventReceipt),
    /// The same event was told before: this is what became of it. Nothing was written.
    Duplicate(EventReceipt),
}

/// What was done with an event. Kept as it is, for those who tell of it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventReceipt {
    /// Which event.
    pub event_id: EventId,
    /// What happened.
    pub kind: Kind,
    /// How many people are told.
    pub recipients: usize,
    /// How many messages go out, by channel.
    pub messages: BTreeMap<Channel, usize>,
    /// Who is not told, and why.
    pub not_served: Vec<NotServed>,
    /// When it is told.
    pub due_at: UtcTimestamp,
    /// When what has not gone out becomes pointless.
    pub expires_at: Option<UtcTimestamp>,
}

/// Somebody who was named and is not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotServed {
    /// The user, if one is known: as it came, or the owner of the customer.
    pub user_id: Option<String>,
    /// The customer whose owner was meant, as it came.
    pub customer_id: Option<String>,
    /// Why.
    pub reason: NotServedReason,
}

text_enum! {
    /// Why somebody is not told.
    pub enum NotServedReason ("reason") {
        /// There is no such user.
        UnknownUser => "unknown_user",
        /// The user was deactivated.
        InactiveUser => "inactive_user",
        /// There is no such customer, or no more.
        UnknownCustomer => "unknown_customer",
        /// The customer belongs to nobody.
        NoOwner => "no_owner",
    }
}

impl NotServedReason {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::UnknownUser => "用户不存在",
            Self::InactiveUser => "用户未激活",
            Self::UnknownCustomer => "客户不存在",
            Self::NoOwner => "客户没有负责人",
        }
    }
}

impl NotServed {
    pub(super) fn user(id: impl Into<String>, reason: NotServedReason) -> Self {
        Self {
            user_id: Some(id.into()),
            customer_id: None,
            reason,
        }
    }

    pub(super) fn customer(
        id: impl Into<String>,
        owner: Option<&UserId>,
        reason: NotServedReason,
    ) -> Self {
        Self {
            user_id: owner.map(|owner| owner.as_str().to_owned()),
            customer_id: Some(id.into()),
            reason,
        }
    }
}
