//! What happened, in which words, to whom, on which channels.
//!
//! [`notify`] is the one way to tell somebody something: it writes the in-app notification and
//! enqueues an outbox message per active route, in the transaction of the business change.

mod catalogue;
mod digest;
mod fallback;
mod feed;
mod inbox;
mod kind;
mod notice;
mod placeholder;
mod preference;
mod quiet_window;
mod retention;
mod route;
mod summary;
mod template;

pub use catalogue::{CatalogueEntry, catalogue_entry, sample_data};
pub use digest::{DIGEST_LINES_MAX, digest_data};
pub use fallback::{FallbackProblem, check_fallback};
pub use feed::{
    CHANGES_KEPT_FOR, COMMIT_DELAY_MAX, FeedCursor, FeedNews, FeedReading, entries_since, feed_end,
    read_feed,
};
pub use inbox::{
    Deletion, InboxFilter, Notification, NotificationPriority, ReadFilter, delete, entries, inbox,
    mark_all_read, mark_read, unread_count, unread_counts,
};
pub use kind::{Audience, Kind};
pub use notice::{Notice, OutwardMessage, Reach, Terms, notify, notify_all};
pub use placeholder::{MISSING_VALUE, MalformedTemplate, missing, placeholders, render};
pub(crate) use preference::read as read_preferences;
pub use preference::{
    HighPriority, PreferenceProblem, Preferences, Wish, preferences, put_preferences,
};
pub use quiet_window::QuietWindow;
pub use retention::{Pruned, prune_inboxes};
pub use route::{MessageFormat, Route, RouteSettings, put_route, routes, routes_on};
pub use summary::{InboxCell, InboxCount, inbox_summary};
pub use template::{
    StoredTemplate, Template, TemplateEdits, edit_template, edited_templates, stored_templates,
};
