//! The outbox: messages that wait for delivery, and every verb that moves one.
//!
//! ```text
//!             enqueue                  claim (attempt + 1, fence + 1, lease)        settle: accepted
//!  (nothing) ─────────► pending ──────────────────────────────────────► sending ──────────────────► sent
//!                        ▲ ▲ ▲ ▲                                         │ │ │ │ │
//!                        │ │ │ └── settle: retry at a later moment ──────┘ │ │ │ │
//!                        │ │ └──── settle: released, attempt - 1 ──────────┘ │ │ │
//!                        │ └────── reclaim: lease over, attempts left ───────┘ │ └─ settle: pointless ─► skipped
//!                        └──────── requeue (operator) ◄── failed, skipped,     └─ settle: refused, or no
//!                                                         cancelled               attempt left ─► failed
//!                  pending, failed ──► cancelled (operator, expired, or superseded)
//!                  pending ──► skipped: told in a digest (see `digest`)
//! ```
//!
//! One row is one message to one recipient on one channel. One that does not reach its recipient there
//! and has channels left makes another one in the transaction that ends it: `fallback`. Every verb takes `now`; those that
//! change something take a transaction. Nothing here calls a platform.

mod agenda;
mod attempt;
mod audit;
mod cause;
mod channel_settings;
mod claim;
mod digest;
mod enqueue;
mod errcode_override;
mod explain;
mod facts;
mod failures;
mod fallback;
mod fallback_channels;
mod filter;
mod hold;
mod inspect;
mod message;
mod priority;
mod recipient_limit;
mod reclaim;
mod refused_recipients;
mod relay_registry;
mod repair;
mod retention;
mod retry_policy;
mod settle;
mod status;
mod stuck;
mod supersede;
mod test_send;

pub use agenda::{Agenda, agenda};
pub use attempt::{Attempt, DO_NOT_DISTURB, attempts_of};
pub use audit::{AuditReport, Expected, Finding, audit};
pub use cause::{AHEAD_MAX, Cause};
pub use channel_settings::{ChannelSettings, UnknownOutcomePolicy, channel_settings, set_channel};
pub use claim::{ClaimOrder, claim_due, give_back_claim};
pub use digest::{
    AfterQuiet, DIGEST, DigestMember, MembersTold, QuietEnded, QuietMessage, end_quiet,
    lock_quiet_over, look_again_at_quiet, members_to_tell,
};
pub use enqueue::{Enqueued, enqueue, enqueue_as};
pub use errcode_override::{ErrcodeOverride, errcode_overrides, reset_errcode, set_errcode};
pub use explain::{Explanation, LinkedMessage, decide, explain};
pub use facts::Facts;
pub use failures::{FailureLine, failures};
pub use fallback::{Fallback, FallbackCause};
pub use fallback_channels::{FallbackChannels, fallback_chains};
pub use filter::ListFilter;
pub use hold::{
    Hold, HoldCause, HoldOrder, hold_by_operator, hold_channel, holds, lift_by_operator, lift_hold,
};
pub use inspect::{Backlog, BacklogLine, backlog, find, list};
pub use message::{ClaimedMessage, Message, NewMessage, PAYLOAD_BYTES_MAX};
pub use priority::Priority;
pub use recipient_limit::{RecipientLimit, SentMessage, sent_since};
pub use reclaim::{RESCUES_MAX, Reclaimed, SILENCE_MAX, cancel_expired, reclaim_over};
pub use refused_recipients::RefusedRecipients;
pub use relay_registry::{
    Life, Relay, RelayLoad, deregister_relay, heartbeat, register_relay, relay_loads, relays,
};
pub use repair::{
    InvalidPayload, MatchingRepair, Payload, REASON_CHARACTERS_MAX, REPAIR_BATCH, Repair,
    RepairAct, RepairError, RepairOrder, Repaired, Rest, UNDO_WINDOW, Undone, Wish,
    count_repairable, find_repair, repair, undo_next,
};
pub use retention::{Retention, prune};
pub use retry_policy::RetryPolicy;
pub use settle::{AttemptReport, Outcome, Settled, Settlement, Verdict, settle};
pub use status::Status;
pub use stuck::{StuckGroup, stuck};
pub use supersede::{PendingKinds, Superseded, cancel_pending, name_successors, supersede};
pub use test_send::{TEST_SEND, is_test, mark_as_test};
