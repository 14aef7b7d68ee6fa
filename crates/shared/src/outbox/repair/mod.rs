//! What operators do to messages: requeue, cancel, edit, for one, a list, or all that match a
//! filter. Every repair is recorded with who and why, and can be undone for [`UNDO_WINDOW`].

mod change;
mod chosen;
mod error;
mod matching;
mod order;
mod record;
mod undo;

pub use chosen::{Repaired, repair};
pub use error::RepairError;
pub use matching::{MatchingRepair, REPAIR_BATCH, count_repairable};
pub use order::{InvalidPayload, Payload, REASON_CHARACTERS_MAX, RepairAct, RepairOrder, Wish};
pub use record::{Repair, UNDO_WINDOW, find_repair};
pub use undo::{Rest, Undone, undo_next};
