use std::str::FromStr;

use serde_json::{Map, Value};

use crate::domain::{RequestId, mask_phones, text_enum};
use crate::operation_log::Actor;
use crate::outbox::{PAYLOAD_BYTES_MAX, Status};

/// The longest reason for a repair, in characters.
pub const REASON_CHARACTERS_MAX: usize = 200;

/// What an operator wants, and on whose word.
#[derive(Debug, Clone)]
pub struct RepairOrder {
    /// What is to be done.
    pub wish: Wish,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub actor: Actor,
    /// The request it is part of.
    pub request_id: Option<RequestId>,
}

/// What is to be done to messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Back to pending, due at once.
    Requeue {
        /// With so many more attempts: at least 1, and at most [`ATTEMPTS_MAX`].
        attempts: i32,
    },
    /// Taken back.
    Cancel,
    /// Back to pending with another payload.
    Edit {
        /// The new data.
        payload: Payload,
        /// As for a requeue.
        attempts: i32,
    },
}

/// Nobody needs more attempts, and the number that counts them has an end.
const ATTEMPTS_MAX: i32 = 1_000_000;

text_enum! {
    /// What was done to messages.
    pub enum RepairAct ("repair act") {
        /// Back to pending.
        Requeue => "requeue",
        /// Taken back.
        Cancel => "cancel",
        /// Back to pending with another payload.
        Edit => "edit",
    }
}

impl RepairAct {
    /// The word for it in the operation log.
    pub fn action(self) -> &'static str {
        match self {
            Self::Requeue => "outbox.requeue",
            Self::Cancel => "outbox.cancel",
            Self::Edit => "outbox.edit",
        }
    }

    /// What messages then are: `requeued`.
    pub fn participle(self) -> &'static str {
        match self {
            Self::Requeue => "requeued",
            Self::Cancel => "cancelled",
            Self::Edit => "edited",
        }
    }

    /// Whether it can be done to messages of this status.
    pub fn allows(self, status: Status) -> bool {
        match self {
            Self::Requeue | Self::Edit => status.can_be_requeued(),
            Self::Cancel => status.can_be_cancelled(),
        }
    }

    /// The statuses it can be done to, in words.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Requeue | Self::Edit => "failed, skipped or cancelled",
            Self::Cancel => "pending or failed",
        }
    }

    pub(super) fn statuses(self) -> Vec<Status> {
        Status::ALL
            .iter()
            .copied()
            .filter(|status| self.allows(*status))
            .collect()
    }

    /// What it makes of a message.
    pub(super) fn status_after(self) -> Status {
        match self {
            Self::Requeue | Self::Edit => Status::Pending,
            Self::Cancel => Status::Cancelled,
        }
    }
}

impl Wish {
    /// What is done.
    pub fn act(&self) -> RepairAct {
        match self {
            Self::Requeue { .. } => RepairAct::Requeue,
            Self::Cancel => RepairAct::Cancel,
            Self::Edit { .. } => RepairAct::Edit,
        }
    }

    pub(super) fn attempts(&self) -> i32 {
        match self {
            Self::Requeue { attempts } | Self::Edit { attempts, .. } => {
                (*attempts).clamp(1, ATTEMPTS_MAX)
            }
            Self::Cancel => 0,
        }
    }
}

/// A payload that an operator wrote: a JSON object of a size that can be sent, without whole phone
/// numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(String);

/// Why a text cannot be a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    /// It is no JSON object.
    #[error("the payload is not a JSON object: {0}")]
    NotAnObject(String),
    /// It is too large.
    #[error("the payload has {bytes} bytes and is over the limit of {PAYLOAD_BYTES_MAX}")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// It shows somebody's number to everybody who reads the message.
    #[error("the payload has a whole phone number in it; mask it like 138****8999")]
    WholePhone,
}

impl Payload {
    /// The JSON, as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&Map<String, Value>> for Payload {
    type Error = InvalidPayload;

    fn try_from(object: &Map<String, Value>) -> Result<Self, InvalidPayload> {
        let text = serde_json::json!(object).to_string();
        if text.len() > PAYLOAD_BYTES_MAX {
            return Err(InvalidPayload::TooLarge { bytes: text.len() });
        }
        if mask_phones(&text) != text {
            return Err(InvalidPayload::WholePhone);
        }
        Ok(Self(text))
    }
}

impl FromStr for Payload {
    type Err = InvalidPayload;

    fn from_str(text: &str) -> Result<Self, InvalidPayload> {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| InvalidPayload::NotAnObject(error.to_string()))?;
        Self::try_from(&object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_an_object_of_bearable_size_without_whole_phone_numbers() {
        let payload: Payload = r#" { "customerName": "王女士", "phone": "138****8999" } "#
            .parse()
            .unwrap();
        assert_eq!(
            payload.as_str(),
            r#"{"customerName":"王女士","phone":"138****8999"}"#
        );
        let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(PAYLOAD_BYTES_MAX));
        for (text, problem) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("\"x\"", "not a JSON object"),
            ("{} {}", "not a JSON object"),
            (large.as_str(), "over the limit of 65536"),
            (r#"{"phone":"13800138999"}"#, "a whole phone number"),
        ] {
            let error = text.parse::<Payload>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn attempts_stay_within_reason() {
        for (attempts, given) in [(i32::MIN, 1), (0, 1), (10, 10), (i32::MAX, ATTEMPTS_MAX)] {
            assert_eq!(Wish::Requeue { attempts }.attempts(), given);
        }
    }
}
