//! One message as the platform that took it keeps it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::Api;

/// A message that a platform accepted, for one recipient.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// 1 for the first since the start or the last reset, without gaps.
    pub seq: u64,
    /// How it came.
    pub api: Api,
    /// From whom to whom.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Kept as text, because a parsed tree takes ten times the memory.
    pub(crate) data: Arc<RawValue>,
    /// Whether the same message was accepted before: for cloud functions the same `messageId`, for
    /// WeCom messages with the duplicate check the same request within its interval, for all others
    /// the same content for the same recipient.
    pub repeat: bool,
    /// Why the recipient was not shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<KeptBack>,
    /// Arrival in sandbox time, milliseconds since the unix epoch.
    pub received_at: u64,
    /// The same in microseconds.
    pub received_at_micros: u64,
}

/// What stands on the outside of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Envelope {
    /// To a user of a mini program.
    MiniProgram {
        /// App it was sent for.
        appid: String,
        /// Recipient.
        openid: String,
        /// Template, for subscribe messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        template_id: Option<String>,
        /// Page that a tap opens.
        #[serde(skip_serializing_if = "Option::is_none")]
        page: Option<String>,
        /// The id in the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        msgid: Option<u64>,
        /// The sender's own id, for cloud functions.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
    },
    /// To a member of a company, from one of its WeCom apps.
    WecomApp {
        /// The company.
        corpid: String,
        /// The app.
        agentid: u32,
        /// Recipient, as the directory writes it.
        userid: String,
        /// Type of the message, such as `textcard`.
        msgtype: String,
        /// The id in the answer.
        msgid: String,
    },
    /// To a group, from its WeCom robot.
    WecomRobot {
        /// Name of the group.
        group: String,
        /// Type of the message, such as `markdown`.
        msgtype: String,
    },
}

impl Envelope {
    /// The openid, the userid, or the name of the group.
    pub fn recipient(&self) -> &str {
        match self {
            Self::MiniProgram { openid, .. } => openid,
            Self::WecomApp { userid, .. } => userid,
            Self::WecomRobot { group, .. } => group,
        }
    }

    /// The template of a subscribe message.
    pub fn template_id(&self) -> Option<&str> {
        match self {
            Self::MiniProgram { template_id, .. } => template_id.as_deref(),
            Self::WecomApp { .. } | Self::WecomRobot { .. } => None,
        }
    }

    /// What tells two messages with the same data apart; the ids do not.
    fn hash_identity(&self, hasher: &mut impl Hasher) {
        match self {
            Self::MiniProgram {
                openid,
                template_id,
                page,
                ..
            } => (openid, template_id, page).hash(hasher),
            Self::WecomApp {
                corpid,
                agentid,
                userid,
                msgtype,
                ..
            } => (corpid, agentid, userid, msgtype).hash(hasher),
            Self::WecomRobot { group, msgtype } => (group, msgtype).hash(hasher),
        }
    }
}

/// Why a message that was accepted is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeptBack {
    /// The recipient has it already.
    Repeat,
    /// The recipient got too many of the app's messages in a short time.
    TooMany,
}

/// Which messages to read; every given condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only those with a greater `seq`.
    pub since: u64,
    /// Only this recipient: an openid, a userid, or the name of a group.
    pub recipient: Option<String>,
    /// Only this template.
    pub template_id: Option<String>,
    /// Only this endpoint.
    pub api: Option<Api>,
}

impl Message {
    /// `data` of a subscribe message, `notificationData` of a cloud function's, and the content of
    /// a WeCom message as its recipient sees it: after the platform has cut it.
    pub fn data(&self) -> Value {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }

    /// Whether the recipient has seen it.
    pub const fn is_shown(&self) -> bool {
        self.kept_back.is_none()
    }
}

impl MessageFilter {
    pub(crate) fn takes(&self, message: &Message) -> bool {
        let envelope = &message.envelope;
        self.recipient
            .as_deref()
            .is_none_or(|recipient| envelope.recipient() == recipient)
            && self
                .template_id
                .as_deref()
                .is_none_or(|id| envelope.template_id() == Some(id))
            && self.api.is_none_or(|api| message.api == api)
    }
}

/// A message before it has a number.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) api: Api,
    pub(crate) envelope: Envelope,
    pub(crate) data: Arc<RawValue>,
    pub(crate) repeat: Repetition,
    pub(crate) kept_back: Option<KeptBack>,
}

impl Delivery {
    /// The same for two messages that a recipient could not tell apart.
    pub(crate) fn content_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.envelope.hash_identity(&mut hasher);
        self.data.get().hash(&mut hasher);
        hasher.finish()
    }
}

/// How it is known whether a message repeats another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    First,
    Repeat,
    /// By comparing its content with everything before.
    ByContent,
}

/// A message's data as it is kept; copies of it share the text.
pub(crate) fn raw(data: &Value) -> Arc<RawValue> {
    serde_json::value::to_raw_value(data)
        .unwrap_or_default()
        .into()
}
