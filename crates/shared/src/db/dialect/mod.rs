//! The only place where the two databases are asked differently, but for [`load_locked!`] and
//! [`insert_rows!`]: a file for each thing they are asked about, and the statements that are too long for
//! a line of code beside it.
//!
//! [`load_locked!`]: super::load_locked
//! [`insert_rows!`]: super::insert_rows
//!
//! - [`session`] sets connections up, begins and commits what writes, and tells the database's time
//! - [`migration`] and [`mod@signal`] serve [`migrations`](super::migrations) and [`wake`](super::wake)
//! - [`claim`], [`settle`], [`lease`], [`agenda`] and [`channel`] keep two relays off one row
//! - [`message`], [`quiet`] and [`status`] find messages of the outbox, and lock them
//! - [`mod@among`] finds any rows by a list of texts
//! - [`customer`], [`user`], [`member`], [`inbox`], [`event`] and [`request`] are the CRM's

mod agenda;
mod among;
mod channel;
mod claim;
mod customer;
mod event;
mod inbox;
mod lease;
mod member;
mod message;
mod migration;
mod quiet;
mod request;
mod session;
mod settle;
mod signal;
mod status;
mod user;

pub(crate) use agenda::matters;
pub use among::{Among, among};
pub(crate) use channel::{lock_probe, lock_routes};
pub(crate) use claim::{ClaimParameters, HoldCheck, claim_messages};
pub use customer::{CustomerCondition, CustomerLookup, has_customer_terms, lock_customers};
pub use event::{lock_due_event, lock_old_events};
pub(crate) use inbox::{
    InboxChangeRow, InboxCursor, inbox_changes_after, inbox_cursor, try_to_prune_inboxes,
};
pub(crate) use lease::{OverLease, lock_over_leases};
pub(crate) use member::{active_member_triggers, member_card};
pub use member::{lock_member, lock_member_contacts};
pub(crate) use message::{
    lock_finished, lock_messages, lock_sending_with_fallbacks, lock_waiting_about, name_fallbacks,
};
pub(super) use migration::{applied_migrations, lock_migrations};
pub(crate) use quiet::{lock_members, lock_quiet, lock_quiet_of};
pub use request::{lock_old_idempotency_keys, lock_website_lead_requests};
pub use session::database_time;
pub(super) use session::{
    begin_write, commit_write, is_somebody_else_writing, ping, refuse_to_wait_for_writers,
    set_up_session,
};
pub(crate) use settle::{SettledRow, settle_rows};
pub(super) use signal::{
    CommitCount, commit_count, let_commit_show, signal, signal_name, start_signalling,
};
pub use status::{IndexedCondition, has_status, is_waiting};
pub(crate) use status::{is_pending, is_quiet};
pub use user::{KeptUser, keep_user, lock_logins, lock_user};
