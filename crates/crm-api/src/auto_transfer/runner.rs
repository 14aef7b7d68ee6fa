use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use shared::clock::Clock;
use shared::db::{Database, DbError, WriteTransaction};
use shared::domain::{CustomerId, RequestId, UtcTimestamp};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::{self, BATCH, Batch, BatchOutcome};
use super::plan::Planner;
use super::record;
use super::rule::{Rule, find_rule, rules};
use super::run::{self, NewRun, Origin, Run, enqueue_run};
use super::summary;
use crate::assignment::{Assigned, Telling};
use crate::schedule::{Job, JobError, Lease, LeaseError, Schedule, Timetable};

/// The lease of whoever does the runs.
const LEASE: &str = "lead_transfer";
/// How often to look for runs that nobody does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after the database has failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Why a run got no further.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another process does it by now.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for RunError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Told of every assignment that a run has made.
type Counter = Arc<dyn Fn(&Assigned) + Send + Sync>;

/// Does the runs that were ordered, one after the other, in one of all processes.
#[derive(Clone)]
pub struct Runner {
    database: Database,
    clock: Arc<dyn Clock>,
    telling: Telling,
    count: Counter,
    ordered: Arc<Notify>,
    stop: CancellationToken,
}

/// Whether a process looks by itself for runs that nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Also what other processes have ordered or left.
    All,
    /// Only when something was ordered here.
    OwnOrders,
}

impl Runner {
    /// On this database, by this clock.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        telling: Telling,
        count: impl Fn(&Assigned) + Send + Sync + 'static,
    ) -> Self {
        Self {
            database,
            clock,
            telling,
            count: Arc::new(count),
            ordered: Arc::new(Notify::new()),
            stop: CancellationToken::new(),
        }
    }

    /// A run was ordered and committed.
    pub(crate) fn nudge(&self) {
        self.ordered.notify_one();
    }

    /// Ends [`Runner::serve`] after the batch that is under way.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Does what is ordered, until stopped.
    pub(crate) async fn serve(self, watch: Watch) {
        while !self.stop.is_cancelled() {
            let pause = match self.work_off().await {
                Ok(()) => LOOK_EVERY,
                Err(error) => {
                    log::warn!(
                        "lead transfer goes on in {} s: {error}",
                        RETRY_DELAY.as_secs()
                    );
                    self.pause(RETRY_DELAY).await;
                    continue;
                }
            };
            let ordered = self.ordered.notified();
            let or_looked = async {
                match watch {
                    Watch::All => drop(timeout(pause, ordered).await),
                    Watch::OwnOrders => ordered.await,
                }
            };
            tokio::select! {
                () = or_looked => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = sleep(duration) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Does all runs that are not finished. Those that another process is at are waited for, and
    /// taken over if it dies.
    ///
    /// # Errors
    /// [`RunError`]; the runs stay to be done.
    pub async fn work_off(&self) -> Result<(), RunError> {
        while !self.stop.is_cancelled() {
            if self.database.run(run::oldest_unfinished).await?.is_none() {
                return Ok(());
            }
            match Lease::acquire(&self.database, &self.clock, LEASE).await? {
                Some(lease) => {
                    let work = self.do_all(&lease);
                    let done = lease.while_working(&self.database, &self.clock, work).await;
                    lease.release(&self.database).await?;
                    done?;
                }
                None => self.pause(LOOK_EVERY).await,
            }
        }
        Ok(())
    }

    async fn do_all(&self, lease: &Lease) -> Result<(), RunError> {
        while let Some(run) = self.database.run(run::oldest_unfinished).await? {
            let began_at = Instant::now();
            match self.move_leads(lease, &run).await {
                Ok(Moved::All) => self.finish(lease, &run, None, began_at).await?,
                Ok(Moved::Interrupted) => return Ok(()),
                // It goes on when the database is there again, or elsewhere.
                Err(error @ RunError::Lease(_))
                | Err(error @ RunError::Database(DbError::Unavailable(_))) => return Err(error),
                Err(RunError::Database(error)) => {
                    let error = error.to_string();
                    log::error!(run:% = run.id; "lead transfer run {} has failed: {error}", run.id);
                    self.finish(lease, &run, Some(error), began_at).await?;
                }
            }
        }
        Ok(())
    }

    async fn move_leads(&self, lease: &Lease, run: &Run) -> Result<Moved, RunError> {
        let zone = self.telling.time_zone;
        let (as_of, origin) = (run.as_of, run.origin);
        let due: Vec<Rule> = match run.rule_id.clone() {
            Some(id) => self
                .database
                .run(move |c| find_rule(c, &id))
                .await?
                .into_iter()
                .collect(),
            None => self.database.run(rules).await?,
        };
        let due = due.into_iter().filter(|rule| {
            // Whoever starts a run means now.
            let is_time = origin == Origin::Manual || rule.window.is_open_at(as_of, zone);
            rule.enabled && is_time
        });
        let mut taken = HashSet::new();
        for rule in due {
            if let Moved::Interrupted = self.move_by(lease, run, rule, &mut taken).await? {
                return Ok(Moved::Interrupted);
            }
        }
        Ok(Moved::All)
    }

    async fn move_by(
        &self,
        lease: &Lease,
        run: &Run,
        rule: Rule,
        taken: &mut HashSet<CustomerId>,
    ) -> Result<Moved, RunError> {
        let (run_id, rule_id) = (run.id.clone(), rule.id.clone());
        let tally = self
            .database
            .run(move |connection| record::tally(connection, &run_id, &rule_id))
            .await?;
        let leads_max = run.leads_max.and_then(|most| usize::try_from(most).ok());
        let zone = self.telling.time_zone;
        let mut planner = Planner::new(&rule, &tally, leads_max, run.as_of, zone);
        let mut total = (0, 0);
        loop {
            if self.stop.is_cancelled() {
                return Ok(Moved::Interrupted);
            }
            let mut known = std::mem::take(taken);
            let (planned, planner_back, known) = self
                .database
                .run(move |connection| {
                    let planned = planner.next_batch(connection, &mut known, BATCH)?;
                    Ok::<_, DbError>((planned, planner, known))
                })
                .await?;
            planner = planner_back;
            *taken = known;
            let Some(moves) = planned else { break };
            let batch = Batch {
                lease: lease.clone(),
                run: run.clone(),
                rule: rule.clone(),
                criteria: planner.criteria().clone(),
                moves,
            };
            match self.write(batch).await? {
                BatchOutcome::Moved {
                    assigned,
                    moved,
                    skipped,
                } => {
                    assigned.iter().for_each(|outcome| (self.count)(outcome));
                    total = (total.0 + moved, total.1 + skipped);
                    log::debug!(
                        run:% = run.id, rule:% = rule.id, moved, skipped;
                        "lead transfer by {}: {} moved, {} skipped so far", rule.name, total.0, total.1
                    );
                }
                BatchOutcome::RuleChanged => {
                    log::info!(
                        run:% = run.id, rule:% = rule.id;
                        "lead transfer by {} stops: the rule was changed meanwhile", rule.name
                    );
                    break;
                }
            }
        }
        if total != (0, 0) {
            log::info!(
                run:% = run.id, rule:% = rule.id, moved = total.0, skipped = total.1;
                "lead transfer by {}: {} moved, {} skipped", rule.name, total.0, total.1
            );
        }
        Ok(Moved::All)
    }

    async fn write(&self, batch: Batch) -> Result<BatchOutcome, RunError> {
        let clock = Arc::clone(&self.clock);
        self.database
            .write(move |transaction| batch::carry_out(transaction, &batch, clock.now()))
            .await
    }

    async fn finish(
        &self,
        lease: &Lease,
        run: &Run,
        error: Option<String>,
        began_at: Instant,
    ) -> Result<(), RunError> {
        let (telling, now) = (self.telling, self.clock.now());
        let (lease, ended) = (lease.clone(), run.clone());
        self.database
            .write(move |transaction| {
                let error = error.as_deref();
                summary::finish(transaction, &lease, &ended, error, telling, now)
            })
            .await?;
        let milliseconds = began_at.elapsed().as_millis();
        log::info!(
            run:% = run.id, duration_ms:? = milliseconds;
            "lead transfer run {} is over after {milliseconds} ms", run.id
        );
        Ok(())
    }
}

/// How moving the leads of a run ended.
enum Moved {
    All,
    /// The process stops; another one goes on.
    Interrupted,
}

/// The schedule of the rules: every hour in which one is due a run is ordered, and the runner told.
pub fn schedule(runner: &Runner) -> Schedule {
    let runner = runner.clone();
    let job: Job = Arc::new(move |turn| {
        let runner = runner.clone();
        Box::pin(async move {
            let (now, zone) = (runner.clock.now(), runner.telling.time_zone);
            runner
                .database
                .write(move |transaction| {
                    turn.complete(transaction, now)?;
                    order_hourly(transaction, turn.slot, zone, now)
                })
                .await?;
            runner.nudge();
            Ok(())
        })
    });
    Schedule {
        name: "lead_transfer",
        timetable: Timetable::Hourly { minute: 0 },
        job,
    }
}

/// Nothing is ordered where no rule is due: the list of runs would be full of nothing.
fn order_hourly(
    transaction: &mut WriteTransaction<'_>,
    slot: UtcTimestamp,
    zone: Tz,
    now: UtcTimestamp,
) -> Result<(), JobError> {
    let is_due = |rule: &Rule| rule.enabled && rule.window.is_open_at(slot, zone);
    if rules(transaction.connection())?.iter().any(is_due) {
        let order = NewRun {
            slot: Some(slot),
            rule: None,
            leads_max: None,
            by: None,
            request_id: RequestId::generate(),
        };
        enqueue_run(transaction, &order, now)?;
    }
    Ok(())
}
