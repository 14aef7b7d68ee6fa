//! Values with rules of their own. Nothing here knows a database, a server or the environment.

mod channel;
mod ids;
mod phone;
mod role;
mod text_enum;
mod timestamp;

pub use channel::{App, Channel, ChannelSet};
pub use ids::{
    AssignmentId, AttemptId, BindingId, CustomerId, EventId, FollowUpId, ImportId, InvalidId,
    MemberId, NotificationId, OperationLogId, OutboxMessageId, RecipientId, RelayName, RepairId,
    RequestId, ServiceTokenId, TransferRecordId, TransferRuleId, TransferRunId, UserId,
};
pub use phone::{InvalidPhone, Phone, mask_phone, mask_phones};
pub use role::Role;
pub use text_enum::{UnknownText, text_enum, write_text as write_enum_text};
pub use timestamp::UtcTimestamp;
