use shared::domain::Channel;
use shared::notification::Kind;
use wechat::TooLong;
use wechat::wecom::RECIPIENTS_MAX;

use crate::WECOM_FIELDS;

/// Why a message cannot be put into its channel's form. Each sentence begins with what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrenderable {
    /// A subscribe message needs a template of the platform's.
    #[error("template_id: the route of {kind} on {channel} has none")]
    NoTemplateId {
        /// Of what.
        kind: Kind,
        /// Where.
        channel: Channel,
    },
    /// The route fills a field that no template of the platform's can have.
    #[error("fields: {field:?} of the route of {kind} is not a template field such as thing1")]
    NoTemplateField {
        /// Of what.
        kind: Kind,
        /// Which.
        field: String,
    },
    /// The route fills a field that messages of WeCom do not have.
    #[error("fields: {field:?} of the route of {kind} on {channel} is none of {}", WECOM_FIELDS.join(", "))]
    NoWecomField {
        /// Of what.
        kind: Kind,
        /// Where.
        channel: Channel,
        /// Which.
        field: String,
    },
    /// The link leads nowhere.
    #[error(
        "url: {link:?} is no address: it must begin with https://, or with / for a page of the CRM"
    )]
    NoAddress {
        /// As the route or the template has it.
        link: String,
    },
    /// Nobody is named.
    #[error("recipients: none")]
    NoRecipient,
    /// More are named than one message may name.
    #[error("recipients: {count} user ids, at most {RECIPIENTS_MAX} at once")]
    TooManyRecipients {
        /// How many.
        count: usize,
    },
    /// A text that must not be cut is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}
