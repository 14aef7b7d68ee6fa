use serde_json::{Map, Value};
use shared::domain::{RequestId, Role, ServiceTokenId, UserId, UtcTimestamp};
use shared::notification::{Kind, NotificationPriority};

/// What somebody wants staff to be told.
#[derive(Debug, Clone)]
pub struct EventOrder {
    /// What happened.
    pub kind: Kind,
    /// Whom to tell.
    pub recipients: NamedRecipients,
    /// The values for the texts: texts and numbers.
    pub data: Map<String, Value>,
    /// Another event of this kind with the same key is the same event.
    pub dedup_key: Option<String>,
    /// Not before; `None` for at once.
    pub due_at: Option<UtcTimestamp>,
    /// Pointless after.
    pub expires_at: Option<UtcTimestamp>,
    /// How urgent, if not as the template has it.
    pub priority: Option<NotificationPriority>,
    /// Who says so.
    pub sender: Sender,
    /// In which request.
    pub request_id: RequestId,
}

/// People, by name, by what they are, or by what is theirs. Who is named twice is told once.
#[derive(Debug, Clone, Default)]
pub struct NamedRecipients {
    /// Ids of users, as they came.
    pub user_ids: Vec<String>,
    /// All active users of these roles.
    pub roles: Vec<Role>,
    /// Ids or numbers of customers, as they came, whose owners are to be told.
    pub owner_of: Vec<String>,
}

/// Who tells of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A user.
    User(UserId),
    /// Another program.
    Service(ServiceTokenId),
}

impl Sender {
    pub(super) fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Service(_) => None,
        }
    }

    pub(super) fn service(&self) -> Option<&ServiceTokenId> {
        match self {
            Self::User(_) => None,
            Self::Service(id) => Some(id),
        }
    }
}
