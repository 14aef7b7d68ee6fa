use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use shared::clock::Clock;
use shared::db::{Database, DbError, WriteTransaction};
use shared::domain::UtcTimestamp;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, LeaseError};
use super::slot_book::{self, Standing};
use super::timetable::Timetable;

/// How often to look whether a slot has come, or its holder is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a job has failed.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// What a job answers, later.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// What is done at a slot. It may be begun again, by another process, if this one dies.
pub type Job = Arc<dyn Fn(Turn) -> JobFuture + Send + Sync>;

/// Something that is done at fixed times.
#[derive(Clone)]
pub struct Schedule {
    /// What it is called, for ever: what was done is kept under it.
    pub name: &'static str,
    /// When.
    pub timetable: Timetable,
    /// What.
    pub job: Job,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("timetable", &self.timetable)
            .finish_non_exhaustive()
    }
}

/// Why a slot was not seen to. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Somebody else does it by now.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// One slot, in the hands of one process.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The moment it is for: later than that if it is made up for.
    pub slot: UtcTimestamp,
    /// The slot that was done before it; those between the two were missed.
    pub previous: UtcTimestamp,
    /// How far another process got with it, by [`Turn::advance`]; nothing if it has not been begun.
    pub progress: Option<String>,
    name: &'static str,
    lease: Lease,
}

impl Turn {
    /// Makes sure that nobody else has taken over. First in every transaction of a job.
    ///
    /// # Errors
    /// [`LeaseError::Lost`]: the job ends.
    pub fn confirm(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<(), LeaseError> {
        self.lease.confirm(transaction, now)
    }

    /// The slot is so far if this transaction commits: what else it writes is written once, and whoever
    /// takes over is given `progress`.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if somebody else has taken over; else what the database says.
    pub fn advance(
        &self,
        transaction: &mut WriteTransaction<'_>,
        progress: &str,
        now: UtcTimestamp,
    ) -> Result<(), LeaseError> {
        self.confirm(transaction, now)?;
        slot_book::advance(transaction, self.name, self.slot, progress, now)?;
        Ok(())
    }

    /// The slot is done if this transaction commits: what else it writes is written once.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if somebody else has taken over; else what the database says.
    pub fn complete(
        &self,
        transaction: &mut WriteTransaction<'_>,
        now: UtcTimestamp,
    ) -> Result<(), LeaseError> {
        self.confirm(transaction, now)?;
        slot_book::complete(transaction, self.name, self.slot, now)?;
        Ok(())
    }
}

/// What a look has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// The schedule is new and begins with its next slot.
    Begun,
    /// The slot is done.
    UpToDate,
    /// Another process is at it.
    Elsewhere,
    /// This process has done the slot.
    Done,
}

/// Does what is due.
#[derive(Clone)]
pub struct Scheduler {
    database: Database,
    clock: Arc<dyn Clock>,
    zone: Tz,
}

impl Scheduler {
    /// By this clock, in the time of this zone.
    pub fn new(database: Database, clock: Arc<dyn Clock>, zone: Tz) -> Self {
        Self {
            database,
            clock,
            zone,
        }
    }

    /// Sees to these schedules until told to stop. A job that is under way is left where it stands,
    /// and begun again by another process.
    pub async fn serve(self, schedules: Vec<Schedule>, stop: CancellationToken) {
        let mut serving = JoinSet::new();
        for schedule in schedules {
            let scheduler = self.clone();
            serving.spawn(async move { scheduler.serve_one(&schedule).await });
        }
        stop.cancelled().await;
        serving.shutdown().await;
    }

    async fn serve_one(&self, schedule: &Schedule) {
        let mut done = None;
        loop {
            let began_at = Instant::now();
            let slot = self.latest(schedule);
            // Nothing is asked of the database until a slot has come.
            let looked = if done == Some(slot) {
                Ok(Looked::UpToDate)
            } else {
                self.see_to(schedule, slot).await
            };
            let mut pause = LOOK_EVERY;
            match looked {
                Ok(Looked::Done) => {
                    let milliseconds = began_at.elapsed().as_millis();
                    log::info!(
                        schedule = schedule.name, slot:%, duration_ms:? = milliseconds;
                        "{} of {slot} done in {milliseconds} ms", schedule.name
                    );
                    done = Some(slot);
                }
                Ok(Looked::UpToDate | Looked::Begun) => done = Some(slot),
                Ok(Looked::Elsewhere) => {}
                Err(error) => {
                    log::warn!(schedule = schedule.name; "{} is tried again: {error}", schedule.name);
                    pause = RETRY_DELAY;
                }
            }
            sleep(pause).await;
        }
    }

    fn latest(&self, schedule: &Schedule) -> UtcTimestamp {
        schedule.timetable.latest(self.clock.now(), self.zone)
    }

    /// Does the last slot of a schedule if it has come, is not done, and nobody else is at it.
    ///
    /// # Errors
    /// [`JobError`]; the slot is not done then.
    pub async fn look(&self, schedule: &Schedule) -> Result<Looked, JobError> {
        self.see_to(schedule, self.latest(schedule)).await
    }

    async fn see_to(&self, schedule: &Schedule, slot: UtcTimestamp) -> Result<Looked, JobError> {
        let name = schedule.name;
        match self.standing(name).await? {
            None => {
                let now = self.clock.now();
                self.database
                    .write(move |transaction| slot_book::begin(transaction, name, slot, now))
                    .await?;
                return Ok(Looked::Begun);
            }
            Some(standing) if standing.last_slot >= slot => return Ok(Looked::UpToDate),
            Some(_) => {}
        }
        let lease = Lease::acquire(&self.database, &self.clock, &lease_name(name)).await?;
        let Some(lease) = lease else {
            return Ok(Looked::Elsewhere);
        };
        let work = self.take_turn(schedule, slot, lease.clone());
        let looked = lease.while_working(&self.database, &self.clock, work).await;
        lease.release(&self.database).await?;
        looked
    }

    async fn take_turn(
        &self,
        schedule: &Schedule,
        slot: UtcTimestamp,
        lease: Lease,
    ) -> Result<Looked, JobError> {
        // Somebody may have done it between the look and the lease.
        let standing = match self.standing(schedule.name).await? {
            Some(standing) if standing.last_slot < slot => standing,
            Some(_) | None => return Ok(Looked::UpToDate),
        };
        let turn = Turn {
            slot,
            previous: standing.last_slot,
            progress: standing.progress_of(slot),
            name: schedule.name,
            lease,
        };
        (schedule.job)(turn.clone()).await?;
        let now = self.clock.now();
        self.database
            .write(move |transaction| turn.complete(transaction, now))
            .await?;
        Ok(Looked::Done)
    }

    async fn standing(&self, name: &'static str) -> Result<Option<Standing>, DbError> {
        self.database
            .run(move |connection| slot_book::standing(connection, name))
            .await
    }
}

/// What the lease of whoever is at a schedule is called.
pub(super) fn lease_name(schedule: &str) -> String {
    format!("schedule:{schedule}")
}
