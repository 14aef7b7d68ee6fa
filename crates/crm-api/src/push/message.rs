use serde::{Deserialize, Serialize};
use shared::domain::{NotificationId, UtcTimestamp};
use shared::notification::{Kind, Notification, NotificationPriority};
use utoipa::ToSchema;

/// An entry in the caller's notification centre.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationView {
    #[schema(value_type = String)]
    id: NotificationId,
    #[schema(value_type = String)]
    kind: Kind,
    title: String,
    content: String,
    #[schema(value_type = String)]
    priority: NotificationPriority,
    link: Option<String>,
    /// The values behind the text.
    data: serde_json::Value,
    read: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<UtcTimestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

impl From<Notification> for NotificationView {
    fn from(entry: Notification) -> Self {
        Self {
            id: entry.id,
            kind: entry.kind,
            title: entry.title,
            content: entry.content,
            priority: entry.priority,
            link: entry.link,
            data: serde_json::from_str(&entry.data).unwrap_or_default(),
            read: entry.read_at.is_some(),
            read_at: entry.read_at,
            created_at: entry.created_at,
        }
    }
}

/// What the server says on a socket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum ServerMessage {
    /// How many entries are unread now.
    UnreadCount {
        /// So many.
        count: i64,
    },
    /// An entry that is new, or was missed.
    Notification(NotificationView),
    /// The list is to be loaded anew.
    Refresh {
        /// Why.
        reason: RefreshReason,
    },
    /// A message of the client could not be understood, or done.
    Error {
        /// A word for programs.
        code: &'static str,
        /// What to show.
        message: &'static str,
    },
}

impl ServerMessage {
    /// As it goes over the wire.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| {
            log::error!("a message for sockets is no JSON: {error}");
            r#"{"type":"refresh","reason":"changed"}"#.to_owned()
        })
    }
}

/// Why a list is to be loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RefreshReason {
    /// Entries were read or deleted, here or elsewhere.
    Changed,
    /// More came than is sent one by one.
    TooMany,
}

/// What a client may say on a socket.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(super) enum ClientMessage {
    /// Asks for the number of unread entries.
    GetUnreadCount {},
    /// Asks for what came after the last entry it has seen.
    Since {
        /// That entry.
        id: NotificationId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<ClientMessage> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn clients_may_say_two_things() {
        let id = NotificationId::generate();
        assert_eq!(
            read(r#"{"type":"getUnreadCount"}"#),
            Some(ClientMessage::GetUnreadCount {})
        );
        assert_eq!(
            read(&format!(r#"{{"type":"since","id":"{id}"}}"#)),
            Some(ClientMessage::Since { id })
        );
        for garbage in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"type":"since"}"#,
            r#"{"type":"since","id":"x"}"#,
            r#"{"type":"since","id":7}"#,
            r#"{"type":"getUnreadCount","user":"x"}"#,
            r#"{"type":"drop"}"#,
        ] {
            assert_eq!(read(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn what_is_said_names_its_type() {
        for (message, text) in [
            (
                ServerMessage::UnreadCount { count: 3 },
                r#"{"type":"unreadCount","count":3}"#,
            ),
            (
                ServerMessage::Refresh {
                    reason: RefreshReason::TooMany,
                },
                r#"{"type":"refresh","reason":"tooMany"}"#,
            ),
        ] {
            assert_eq!(message.to_text(), text);
        }
    }
}
