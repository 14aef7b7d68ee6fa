//! Digests: what waited for the end of somebody's do-not-disturb on one channel goes out as one message.
//!
//! ```text
//!  settle: postponed by        the window ends: end_quiet, in one transaction
//!  do-not-disturb
//!  ─────────► pending, quiet ──┬─► alone: pending, and is claimed like any other
//!                              ├─► the window lasts longer: pending, quiet
//!                              └─► several: skipped, told in ──► a digest, pending like any other
//!                                     ▲                             │
//!              supersede: cancelled ◄─┤                             │ refused, or pointless
//!                             pending ◄─────────── dissolved ◄──────┘
//! ```
//!
//! A digest is an outbox message with a kind of its own. What it tells of is chosen once, when it is
//! made, and nothing comes to it later; what it says is made of its members when it is claimed. What
//! becomes of the members follows from what becomes of the digest, so there is nothing to be written
//! down for them when it is settled, taken back, given up, cancelled, or requeued.

mod members;
mod quiet;

pub(super) use members::{
    DISSOLVED, delete_members, dissolve, is_dissolved, of_message, open_among,
};
pub use members::{DigestMember, MembersTold, members_to_tell};
pub(super) use quiet::remember_quiet;
pub use quiet::{
    AfterQuiet, QuietEnded, QuietMessage, end_quiet, lock_quiet_over, look_again_at_quiet,
};

/// The kind of digests.
pub const DIGEST: &str = "system.digest";

/// As many rows as fit well into one statement.
const CHUNK: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::Kind;

    #[test]
    fn the_kind_of_digests_is_one_of_the_catalogue() {
        assert_eq!(Kind::SystemDigest.as_str(), DIGEST);
    }
}
