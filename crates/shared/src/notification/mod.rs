//! What happened, in which words, to whom, on which channels.
//!
//! [`notify`] is the one way to tell somebody something: it writes the in-app notification and
//! enqueues an outbox message per active route, in the transaction of the business change.

mod catalogue;
mod inbox;
mod kind;
mod notice;
mod route;
mod template;

pub use catalogue::{CatalogueEntry, catalogue_entry};
pub use inbox::{
    InboxFilter, Notification, NotificationPriority, ReadFilter, inbox, mark_all_read, mark_read,
    unread_count,
};
pub use kind::{Audience, Kind};
pub use notice::{Notice, Reach, notify, notify_all};
pub use route::{MessageFormat, Route, RouteSettings, put_route, routes};
pub use template::{MISSING_VALUE, render};
