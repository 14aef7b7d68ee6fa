use std::fmt;
use std::sync::Arc;

use shared::clock::Clock;
use shared::db::{Database, WriteTransaction};
use shared::domain::{RequestId, UserId, UtcTimestamp};
use shared::notification::{Kind, notify_all};

use super::due::{self, Due, Owned};
use super::message;
use super::waits::Waits;
use crate::assignment::Telling;
use crate::schedule::{Job, JobError, Schedule, Timetable, Turn, time_of_day};

/// How many owners are reminded in one transaction.
pub const OWNERS_AT_ONCE: usize = 50;

/// Reminds owners of their customers.
#[derive(Clone)]
pub struct Reminder {
    database: Database,
    clock: Arc<dyn Clock>,
    telling: Telling,
    interval: u32,
}

impl fmt::Debug for Reminder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reminder")
            .field("telling", &self.telling)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Reminder {
    /// On this database, by this clock, after so many days without activity; at least 1.
    pub fn new(database: Database, clock: Arc<dyn Clock>, telling: Telling, interval: u32) -> Self {
        Self {
            database,
            clock,
            telling,
            interval,
        }
    }

    /// The schedule of the reminders: every morning.
    pub fn schedule(&self) -> Schedule {
        let reminder = self.clone();
        let job: Job = Arc::new(move |turn| {
            let reminder = reminder.clone();
            Box::pin(async move { reminder.remind(&turn).await })
        });
        Schedule {
            name: Kind::CustomerFollowUpDue.as_str(),
            timetable: Timetable::Daily {
                at: time_of_day(9, 30),
            },
            job,
        }
    }

    /// Reminds all owners, in batches. The progress of the turn is the last owner reminded, so that
    /// whoever takes over reminds the others and nobody twice.
    async fn remind(&self, turn: &Turn) -> Result<(), JobError> {
        let waits = Waits::at(turn, self.interval, self.telling.time_zone);
        let told_last: Option<UserId> = turn.progress.as_ref().and_then(|id| id.parse().ok());
        let due: Due = self
            .database
            .run(move |connection| due::find(connection, waits, told_last.as_ref()))
            .await?;
        let owners: Vec<Owned> = due.into_iter().collect();
        let request_id = RequestId::generate();
        for owners in owners.chunks(OWNERS_AT_ONCE) {
            let batch = Batch {
                turn: turn.clone(),
                waits,
                owners: owners.to_vec(),
                telling: self.telling,
                request_id: request_id.clone(),
            };
            let clock = Arc::clone(&self.clock);
            self.database
                .write(move |transaction| batch.tell(transaction, clock.now()))
                .await?;
        }
        let (turn, now) = (turn.clone(), self.clock.now());
        self.database
            .write(move |transaction| turn.complete(transaction, now))
            .await?;
        Ok(())
    }
}

/// Some of the owners, who are reminded in one transaction.
struct Batch {
    turn: Turn,
    waits: Waits,
    owners: Vec<Owned>,
    telling: Telling,
    request_id: RequestId,
}

impl Batch {
    fn tell(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<(), JobError> {
        self.turn.confirm(transaction, now)?;
        let time = self.telling.time_text(now);
        let mut notices = Vec::new();
        for (owner, due) in &due::reread(transaction.connection(), &self.owners)? {
            notices.extend(message::notices(
                owner,
                due,
                self.waits,
                &time,
                &self.request_id,
            ));
        }
        notify_all(transaction, &notices, self.telling.channels, now)?;
        if let Some((last, _)) = self.owners.last() {
            self.turn.advance(transaction, last.as_str(), now)?;
        }
        Ok(())
    }
}
