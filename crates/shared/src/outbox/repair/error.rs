use std::time::Duration;

use super::RepairAct;
use super::record::UNDO_WINDOW;
use crate::db::DbError;
use crate::domain::{OutboxMessageId, RepairId};
use crate::outbox::Status;

/// Why an operator's wish cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is no such message.
    #[error("there is no outbox message {0}")]
    NoSuchMessage(OutboxMessageId),
    /// Its status does not allow it.
    #[error("message {id} is {status}; only {} ones can be {}", .act.allowed(), .act.participle())]
    WrongStatus {
        /// Which message.
        id: OutboxMessageId,
        /// What it is.
        status: Status,
        /// What was wanted.
        act: RepairAct,
    },
    /// A digest tells of it.
    #[error("message {id} is told in digest {digest}; only the digest can be {}", .act.participle())]
    InDigest {
        /// Which message.
        id: OutboxMessageId,
        /// Which digest.
        digest: OutboxMessageId,
        /// What was wanted.
        act: RepairAct,
    },
    /// What a digest says is made of its messages at every attempt.
    #[error(
        "message {0} is a digest: what it says is made of its messages and cannot be edited; requeue it as it is"
    )]
    EditOfDigest(OutboxMessageId),
    /// Somebody else is changing it at this moment.
    #[error("message {0} is being changed by somebody else at this moment; try again")]
    Busy(OutboxMessageId),
    /// There is no such repair.
    #[error("there is no repair {0}")]
    NoSuchRepair(RepairId),
    /// It was undone before.
    #[error("repair {0} is undone already")]
    AlreadyUndone(RepairId),
    /// It is too late.
    #[error("repair {id} was made {} ago and can be undone for {} only", whole_seconds(.age), humantime(UNDO_WINDOW))]
    TooLate {
        /// Which repair.
        id: RepairId,
        /// How long ago it was made.
        age: Duration,
    },
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for RepairError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

fn whole_seconds(age: &Duration) -> String {
    humantime(Duration::from_secs(age.as_secs()))
}

fn humantime(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    match (minutes, seconds) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
