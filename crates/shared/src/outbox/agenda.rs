use super::SILENCE_MAX;
use crate::db::{DbConnection, DbError, dialect};
use crate::domain::{ChannelSet, UtcTimestamp};

/// What there is to do in the outbox, at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agenda {
    /// The channels on which something is due. Perhaps nothing of it can start: the channel is held,
    /// or the recipient has a message under way.
    pub due: ChannelSet,
    /// Whether there are leases to take back.
    pub leases_over: bool,
    /// Whether there are pending messages that have become pointless.
    pub expired: bool,
    /// Whether there are messages whose recipient may be disturbed again: see
    /// [`end_quiet`](super::end_quiet).
    pub quiet_over: bool,
}

/// Looks for everything that relays do by themselves, in one statement that reads a few rows. What is
/// due until `due_until` counts as due.
///
/// # Errors
/// What the database says.
pub fn agenda(
    connection: &mut DbConnection,
    due_until: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<Agenda, DbError> {
    let mut agenda = Agenda::default();
    for matter in dialect::matters(connection, due_until, now, now.before(SILENCE_MAX))? {
        match matter.as_str() {
            "leases" => agenda.leases_over = true,
            "expired" => agenda.expired = true,
            "quiet" => agenda.quiet_over = true,
            channel => {
                if let Ok(channel) = channel.parse() {
                    agenda.due = agenda.due.with(channel);
                }
            }
        }
    }
    Ok(agenda)
}
