//! What other modules tell staff: contracts, résumés, announcements.
//!
//! ```text
//! EventOrder ─► accept ─┬─ known already: the receipt of the first time
//!                       ├─ wording: are all names of the template given, and no others?
//!                       ├─ recipients: who is there, and who is not
//!                       ├─ outbox messages, due when the event is
//!                       └─ notification centres: at once, or kept until it is due ─► waiting
//! ```

mod accept;
mod error;
mod order;
mod receipt;
mod recipients;
mod standing;
mod waiting;
mod wording;

pub use accept::{CLOCK_SKEW_MAX, DUE_AHEAD_MAX, KEPT_FOR, RECIPIENTS_MAX, accept};
pub use error::EventError;
pub use order::{EventOrder, NamedRecipients, Sender};
pub use receipt::{Acceptance, EventReceipt, NotServed, NotServedReason};
pub use standing::{EventStanding, standing};
pub(crate) use waiting::deposit_for_ever;
pub use waiting::deposit_next;
pub use wording::{SENDABLE_KINDS, is_sendable};
