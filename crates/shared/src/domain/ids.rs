use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UtcTimestamp;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}")]
pub struct InvalidId {
    /// Which id was expected.
    pub what: &'static str,
    /// What came instead, cut to 64 characters.
    pub text: String,
}

impl InvalidId {
    fn new(what: &'static str, text: &str) -> Self {
        Self {
            what,
            text: text.chars().take(64).collect(),
        }
    }
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        ///
        /// A UUID of version 7 in its hyphenated lower-case form, so that ids sort by the moment
        /// they were made, alike in memory and on both databases.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow, Serialize)]
        #[diesel(sql_type = Text)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new id; later ones sort after earlier ones.
            pub fn generate() -> Self {
                Self(Uuid::now_v7().hyphenated().to_string())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match Uuid::try_parse(text) {
                    Ok(uuid) => Ok(Self(uuid.hyphenated().to_string())),
                    Err(_) => Err(InvalidId::new($what, text)),
                }
            }
        }

        text_value!($name);
    };
}

/// What every newtype over a text shares: reading it, showing it, storing it.
macro_rules! text_value {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        crate::db::columns::text_column!($name);
    };
}

id!(
    /// A person who works with the CRM.
    UserId,
    "user id"
);
id!(
    /// A customer (lead).
    CustomerId,
    "customer id"
);
id!(
    /// A member.
    MemberId,
    "member id"
);
id!(
    /// One change of a customer's owner.
    AssignmentId,
    "assignment id"
);
id!(
    /// What somebody wrote down about a customer at one time.
    FollowUpId,
    "follow-up id"
);
id!(
    /// A rule by which leads move on.
    TransferRuleId,
    "transfer rule id"
);
id!(
    /// One run of the rules by which leads move on.
    TransferRunId,
    "transfer run id"
);
id!(
    /// One lead that moved on by a rule.
    TransferRecordId,
    "transfer record id"
);
id!(
    /// One entry in somebody's in-app notification centre.
    NotificationId,
    "notification id"
);
impl NotificationId {
    /// The smallest id of this moment: those made from then on are not below it.
    pub fn earliest_at(moment: UtcTimestamp) -> Self {
        let milliseconds = u64::try_from(moment.to_datetime().timestamp_millis()).unwrap_or(0);
        // The moment fills 48 bits; the version is in the four after them, the variant behind.
        let first = (u128::from(milliseconds) << 80) | (0x7 << 76) | (0x2 << 62);
        Self(Uuid::from_u128(first).hyphenated().to_string())
    }

    /// When it was made; `None` for a UUID that does not tell.
    pub fn made_at(&self) -> Option<UtcTimestamp> {
        let id = Uuid::try_parse(&self.0).ok()?;
        let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
        let moment = DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)?;
        Some(moment.into())
    }
}

id!(
    /// One outbox message: to one recipient on one channel.
    OutboxMessageId,
    "outbox message id"
);
id!(
    /// One recorded attempt at delivering an outbox message.
    AttemptId,
    "attempt id"
);
id!(
    /// One repair of outbox messages by an operator: one message or a hundred thousand.
    RepairId,
    "repair id"
);
id!(
    /// The tie between a user and an identity on a platform.
    BindingId,
    "binding id"
);
id!(
    /// One line of the operation log.
    OperationLogId,
    "operation log id"
);
id!(
    /// A token with which another program uses a few endpoints.
    ServiceTokenId,
    "service token id"
);
id!(
    /// Something that another module has told of.
    EventId,
    "event id"
);
id!(
    /// One import of customers from a file.
    ImportId,
    "import id"
);

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal, $characters_max:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow, Serialize)]
        #[diesel(sql_type = Text)]
        #[serde(transparent)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = InvalidId;

            /// Accepts visible characters only, at least one and not too many: these texts end up
            /// in logs and headers.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let length = text.chars().count();
                let visible = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
                if (1..=$characters_max).contains(&length) && visible {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId::new($what, text))
                }
            }
        }

        text_value!($name);
    };
}

name!(
    /// Whom a message is for, as the channel knows people: a user id, or an address such as `@all`
    /// or up to a thousand WeCom user ids joined by `|`.
    RecipientId,
    "recipient id",
    65_536
);
name!(
    /// The name of one run of one relay process. A restart gets a new one, so that a lease can
    /// never be mistaken for the lease of an earlier life.
    RelayName,
    "relay name",
    128
);
name!(
    /// Follows one request through logs, answers and outbox rows (`x-request-id`).
    RequestId,
    "request id",
    128
);

impl From<&UserId> for RecipientId {
    fn from(user: &UserId) -> Self {
        Self(user.as_str().to_owned())
    }
}

impl RelayName {
    /// A name for this run: the host, the process and eight random hex digits.
    pub fn for_this_run(host: &str) -> Self {
        let host: String = host
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(40)
            .collect();
        let host = if host.is_empty() {
            "relay".to_owned()
        } else {
            host
        };
        let run = Uuid::new_v4().simple().to_string();
        Self(format!("{host}-{}-{}", std::process::id(), &run[..8]))
    }
}

impl RequestId {
    /// A fresh one, for requests that came without.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_moment_they_were_made() {
        let ids: Vec<UserId> = (0..1_000).map(|_| UserId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_tells_when_it_was_made() {
        let moment: UtcTimestamp = DateTime::from_timestamp_millis(1_700_000_000_123)
            .unwrap()
            .into();
        let earliest = NotificationId::earliest_at(moment);
        assert_eq!(earliest.made_at(), Some(moment));
        assert_eq!(earliest.as_str(), "018bcfe5-687b-7000-8000-000000000000");
        let (earlier, id) = (earliest, NotificationId::generate());
        assert!(earlier < id);
        let made_at = id.made_at().unwrap();
        assert!(NotificationId::earliest_at(made_at) <= id);
        let random: NotificationId = "7b6d8a3e-3c43-4f5a-9f0e-5d0a4c1b2a3d".parse().unwrap();
        assert_eq!(random.made_at(), None);
    }

    #[test]
    fn an_id_is_stored_in_one_form() {
        let id: UserId = "0193E5A0-6E2B-7C4D-8F10-AABBCCDDEEFF".parse().unwrap();
        assert_eq!(id.as_str(), "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff");
        assert_eq!(
            "nobody".parse::<UserId>().unwrap_err().to_string(),
            "\"nobody\" is not a valid user id"
        );
    }

    #[test]
    fn names_with_blanks_control_characters_or_no_characters_are_refused() {
        for text in ["", " ", "a b", "a\nb", "\u{0}", &"x".repeat(129)] {
            assert!(text.parse::<RequestId>().is_err(), "{text:?}");
        }
        assert!("@all".parse::<RecipientId>().is_ok());
    }

    #[test]
    fn two_runs_of_a_relay_have_two_names() {
        assert_ne!(RelayName::for_this_run("a"), RelayName::for_this_run("a"));
        assert!(
            RelayName::for_this_run("主机")
                .as_str()
                .starts_with("relay-")
        );
    }
}
