use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::db::{Database, DbError};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::entry::{self, Occasion};
use super::import::{self, Failure, Findings, ImportState, InvalidRows, NewImport, Turn};
use super::row::{self, Row, RowFault};
use super::survey::{OwnedRow, survey};
use super::table::Table;
use crate::assignment::{AssignError, Assigned, Telling};
use crate::auth::session::CurrentUser;
use crate::customers::CreateError;

/// How often an import is tried when others enter the same customers at the same moment.
const TRIES_MAX: usize = 3;

/// Where imports run: not with the request that brought the file, which is answered long before.
pub(crate) struct ImportRunner {
    runtime: Handle,
    running: TaskTracker,
}

impl ImportRunner {
    /// On this runtime.
    pub(crate) fn on(runtime: Handle) -> Self {
        Self {
            runtime,
            running: TaskTracker::new(),
        }
    }

    /// Begins to work on a file.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn_on(work, &self.runtime);
    }

    /// Waits for the imports that are running, but not for ever.
    pub(crate) async fn finish(&self, wait_max: Duration) {
        self.running.close();
        if timeout(wait_max, self.running.wait()).await.is_err() {
            log::warn!("an import was interrupted; nothing of it was entered");
        }
    }
}

/// A file to be imported, and all that it takes.
pub(crate) struct Job {
    pub(crate) new: NewImport,
    pub(crate) importer: CurrentUser,
    pub(crate) table: Table,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) telling: Telling,
}

/// Why a try came to nothing.
#[derive(Debug)]
enum Setback {
    /// The import was given up by others.
    GivenUp,
    /// What was checked is no longer so: it may be tried again.
    Overtaken,
    Failed(Failure, String),
}

impl Job {
    /// Does the work; hands what was assigned to `count`. Whatever happens is written down.
    pub(crate) async fn run(self, count: impl FnOnce(Vec<Assigned>) + Send) {
        let Self {
            new,
            importer,
            table,
            database,
            clock,
            telling,
        } = self;
        let work = Work {
            occasion: Occasion {
                import: new.id,
                importer,
                request_id: new.request_id,
            },
            invalid_rows: new.invalid_rows,
            database,
            clock,
            telling,
        };
        let checked = tokio::task::spawn_blocking(move || row::check(&table)).await;
        let Ok((rows, faults)) = checked else {
            let reason = "the check of the rows panicked".to_owned();
            return work
                .give_up(Failure::Internal, &reason, Findings::default())
                .await;
        };
        work.enter(rows, faults, count).await;
    }
}

struct Work {
    occasion: Occasion,
    invalid_rows: InvalidRows,
    database: Database,
    clock: Arc<dyn Clock>,
    telling: Telling,
}

impl Work {
    async fn enter(
        &self,
        rows: Vec<Row>,
        faults: Vec<RowFault>,
        count: impl FnOnce(Vec<Assigned>) + Send,
    ) {
        let mut setback = Setback::Overtaken;
        for _ in 0..TRIES_MAX {
            let surveyed = match self.survey(rows.clone()).await {
                Ok(surveyed) => surveyed,
                Err(error) => {
                    setback = Setback::from(CreateError::from(error));
                    break;
                }
            };
            let (good, more) = surveyed;
            let findings = Findings::of(faults.iter().cloned().chain(more).collect());
            if self.invalid_rows == InvalidRows::Refuse && !findings.faults.is_empty() {
                return self.give_up(Failure::InvalidRows, "", findings).await;
            }
            match self.write(good, findings).await {
                Ok(outcomes) => return count(outcomes),
                Err(Setback::Overtaken) => {}
                Err(other) => {
                    setback = other;
                    break;
                }
            }
        }
        match setback {
            Setback::GivenUp => {}
            Setback::Overtaken => {
                let reason = "others entered the same customers again and again";
                let findings = Findings::of(faults);
                self.give_up(Failure::Unavailable, reason, findings).await;
            }
            Setback::Failed(failure, reason) => {
                self.give_up(failure, &reason, Findings::of(faults)).await;
            }
        }
    }

    async fn survey(&self, rows: Vec<Row>) -> Result<(Vec<OwnedRow>, Vec<RowFault>), DbError> {
        let importer = self.occasion.importer.id.clone();
        self.database
            .run(move |connection| survey(connection, rows, &importer))
            .await
    }

    async fn write(
        &self,
        rows: Vec<OwnedRow>,
        findings: Findings,
    ) -> Result<Vec<Assigned>, Setback> {
        let (id, now) = (self.occasion.import.clone(), self.clock.now());
        let turn = self
            .database
            .write(move |transaction| import::go_on(transaction, &id, ImportState::Writing, now))
            .await
            .map_err(CreateError::from)?;
        if turn == Turn::GivenUp {
            return Err(Setback::GivenUp);
        }
        let (occasion, telling, now) = (self.occasion.clone(), self.telling, self.clock.now());
        self.database
            .write(move |transaction| {
                let id = &occasion.import;
                // Holds the row: as long as this transaction lives, nobody gives the import up.
                let turn = import::go_on(transaction, id, ImportState::Writing, now)?;
                if turn == Turn::GivenUp {
                    return Err(Setback::GivenUp);
                }
                let outcomes = entry::enter(transaction, &rows, &occasion, telling, now)?;
                import::finish(transaction, id, rows.len(), &findings, now)?;
                Ok(outcomes)
            })
            .await
    }

    async fn give_up(&self, failure: Failure, reason: &str, findings: Findings) {
        let id = &self.occasion.import;
        match failure {
            Failure::InvalidRows | Failure::Interrupted => {}
            Failure::Unavailable => {
                log::warn!(import:% = id; "an import failed: {reason}");
            }
            Failure::Internal => log::error!(import:% = id; "an import failed: {reason}"),
        }
        let (id, now) = (id.clone(), self.clock.now());
        let told = self
            .database
            .write(move |transaction| import::fail(transaction, &id, failure, &findings, now))
            .await;
        if let Err(error) = told {
            // It shows as interrupted after a while.
            log::warn!("a failed import could not be marked as such: {error}");
        }
    }
}

impl Findings {
    fn of(faults: Vec<RowFault>) -> Self {
        let lines: BTreeSet<u64> = faults.iter().map(|fault| fault.line).collect();
        Self {
            invalid: lines.len(),
            faults,
        }
    }
}

impl From<DbError> for Setback {
    fn from(error: DbError) -> Self {
        CreateError::from(error).into()
    }
}

impl From<CreateError> for Setback {
    fn from(error: CreateError) -> Self {
        let reason = error.to_string();
        match error {
            CreateError::PhoneTaken | CreateError::WechatIdTaken | CreateError::NumberTaken => {
                Self::Overtaken
            }
            CreateError::Owner(AssignError::TargetMissing | AssignError::TargetInactive) => {
                Self::Overtaken
            }
            CreateError::Owner(AssignError::Database(error)) | CreateError::Database(error) => {
                match error {
                    DbError::Unavailable(_) => Self::Failed(Failure::Unavailable, reason),
                    DbError::Duplicate { .. }
                    | DbError::Reference(_)
                    | DbError::Constraint(_)
                    | DbError::NotFound
                    | DbError::Panicked
                    | DbError::Query(_) => Self::Failed(Failure::Internal, reason),
                }
            }
        }
    }
}
