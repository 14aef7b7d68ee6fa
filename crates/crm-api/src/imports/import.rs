use std::time::Duration;

use diesel::prelude::*;
use shared::db::schema::imports;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{ImportId, RequestId, UserId, UtcTimestamp, text_enum};

use super::row::RowFault;

text_enum! {
    /// How far an import is.
    pub enum ImportState ("import state") {
        /// Its rows are being checked.
        Validating => "validating",
        /// Its customers are being written, in one transaction.
        Writing => "writing",
        /// They are there.
        Done => "done",
        /// Nothing was written.
        Failed => "failed",
    }
}

text_enum! {
    /// What becomes of a file in which some rows are wrong.
    pub enum InvalidRows ("treatment of invalid rows") {
        /// Nothing of it is entered.
        Refuse => "refuse",
        /// The others are entered.
        Skip => "skip",
    }
}

text_enum! {
    /// Why an import failed.
    pub enum Failure ("import failure") {
        /// Rows are wrong.
        InvalidRows => "invalid_rows",
        /// The process that worked on it is gone.
        Interrupted => "interrupted",
        /// The database was not there, or others were in the way too often.
        Unavailable => "unavailable",
        /// A bug.
        Internal => "internal",
    }
}

impl Failure {
    /// What the user reads: what has happened, and the way out.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::InvalidRows => "文件中有错误，未导入任何客户；请修改后重新上传",
            Self::Interrupted => "导入被中断，未导入任何客户；请重新上传",
            Self::Unavailable => "服务暂时不可用，未导入任何客户；请稍后重新上传",
            Self::Internal => "服务器内部错误，未导入任何客户",
        }
    }
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = imports)]
pub struct Import {
    /// Which import.
    pub id: ImportId,
    /// Who sent the file.
    pub user_id: UserId,
    /// What was to become of wrong rows.
    pub invalid_rows: InvalidRows,
    /// How far it is.
    pub state: ImportState,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// How many rows the file has.
    pub total: i32,
    /// How many of them are customers now.
    pub imported: i32,
    /// How many are wrong.
    pub invalid: i32,
    /// What is wrong with them, JSON: the first [`FAULTS_KEPT_MAX`] by line.
    pub faults: String,
    /// How many faults there are in all.
    pub fault_count: i32,
    /// When it was sent.
    pub created_at: UtcTimestamp,
    /// When the process that works on it was last heard of.
    pub alive_at: UtcTimestamp,
    /// When it was done or failed.
    pub finished_at: Option<UtcTimestamp>,
}

/// How many faults are kept: more than anybody mends before trying again.
pub(super) const FAULTS_KEPT_MAX: usize = 200;

/// For how long imports can be looked at.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// After how long without a sign of life an import counts as interrupted. Its process shows itself
/// before each step; the longest is to wait for others who write (15 s).
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What an import begins with.
#[derive(Debug, Clone)]
pub(crate) struct NewImport {
    pub(crate) id: ImportId,
    pub(crate) user: UserId,
    pub(crate) invalid_rows: InvalidRows,
    pub(crate) total: usize,
    pub(crate) request_id: RequestId,
}

/// Writes down that an import begins, and forgets those of long ago.
///
/// # Errors
/// What the database says.
pub(crate) fn begin(
    transaction: &mut WriteTransaction<'_>,
    new: &NewImport,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let old = imports::table.filter(imports::created_at.le(now.before(KEPT_FOR)));
    diesel::delete(old).execute(transaction.connection())?;
    diesel::insert_into(imports::table)
        .values((
            imports::id.eq(&new.id),
            imports::user_id.eq(&new.user),
            imports::invalid_rows.eq(new.invalid_rows),
            imports::state.eq(ImportState::Validating),
            imports::total.eq(stored(new.total)),
            imports::request_id.eq(&new.request_id),
            imports::created_at.eq(now),
            imports::alive_at.eq(now),
        ))
        .execute(transaction.connection())?;
    Ok(())
}

/// One import.
///
/// # Errors
/// What the database says.
pub(crate) fn find(
    connection: &mut DbConnection,
    id: &ImportId,
) -> Result<Option<Import>, DbError> {
    Ok(imports::table
        .find(id)
        .select(Import::as_select())
        .first(connection)
        .optional()?)
}

/// Whether an import is the worker's to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Ours,
    /// It was given up as interrupted.
    GivenUp,
}

/// Shows a sign of life, on the way into `state`. Within a transaction it keeps others from giving
/// the import up until the transaction ends.
///
/// # Errors
/// What the database says.
pub(super) fn go_on(
    transaction: &mut WriteTransaction<'_>,
    id: &ImportId,
    state: ImportState,
    now: UtcTimestamp,
) -> Result<Turn, DbError> {
    let step = Step {
        state: Some(state),
        alive_at: Some(now),
        ..Step::default()
    };
    step.take(transaction, id)
}

/// What was found and done.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    pub(super) invalid: usize,
    pub(super) faults: Vec<RowFault>,
}

/// Ends an import well.
///
/// # Errors
/// What the database says.
pub(super) fn finish(
    transaction: &mut WriteTransaction<'_>,
    id: &ImportId,
    imported: usize,
    findings: &Findings,
    now: UtcTimestamp,
) -> Result<Turn, DbError> {
    let step = Step {
        state: Some(ImportState::Done),
        imported: Some(stored(imported)),
        alive_at: Some(now),
        finished_at: Some(now),
        ..Step::with(findings)
    };
    step.take(transaction, id)
}

/// Ends an import that has written nothing.
///
/// # Errors
/// What the database says.
pub(super) fn fail(
    transaction: &mut WriteTransaction<'_>,
    id: &ImportId,
    failure: Failure,
    findings: &Findings,
    now: UtcTimestamp,
) -> Result<Turn, DbError> {
    let step = Step {
        state: Some(ImportState::Failed),
        failure: Some(failure),
        finished_at: Some(now),
        ..Step::with(findings)
    };
    step.take(transaction, id)
}

/// Ends an import whose process has not been heard of for too long. If that process is only slow and
/// comes back, it finds the import ended and writes nothing.
///
/// # Errors
/// What the database says.
pub(crate) fn give_up_if_silent(
    transaction: &mut WriteTransaction<'_>,
    id: &ImportId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let silent = imports::table
        .filter(imports::id.eq(id))
        .filter(imports::finished_at.is_null())
        .filter(imports::alive_at.lt(now.before(SILENCE_MAX)));
    diesel::update(silent)
        .set((
            imports::state.eq(ImportState::Failed),
            imports::failure.eq(Failure::Interrupted),
            imports::finished_at.eq(now),
        ))
        .execute(transaction.connection())?;
    Ok(())
}

impl Import {
    /// Whether its process should have been heard of.
    pub(crate) fn is_silent(&self, now: UtcTimestamp) -> bool {
        let running = match self.state {
            ImportState::Validating | ImportState::Writing => true,
            ImportState::Done | ImportState::Failed => false,
        };
        running && self.alive_at < now.before(SILENCE_MAX)
    }
}

impl Findings {
    /// The faults by line, the first of them, as JSON.
    fn kept(&self) -> String {
        let mut faults = self.faults.clone();
        faults.sort();
        faults.truncate(FAULTS_KEPT_MAX);
        serde_json::json!(faults).to_string()
    }
}

/// What a step writes; none leaves what is there.
#[derive(Default, AsChangeset)]
#[diesel(table_name = imports)]
struct Step {
    state: Option<ImportState>,
    failure: Option<Failure>,
    imported: Option<i32>,
    invalid: Option<i32>,
    faults: Option<String>,
    fault_count: Option<i32>,
    alive_at: Option<UtcTimestamp>,
    finished_at: Option<UtcTimestamp>,
}

impl Step {
    fn with(findings: &Findings) -> Self {
        Self {
            invalid: Some(stored(findings.invalid)),
            faults: Some(findings.kept()),
            fault_count: Some(stored(findings.faults.len())),
            ..Self::default()
        }
    }

    /// Takes it, if the import has not ended.
    fn take(self, transaction: &mut WriteTransaction<'_>, id: &ImportId) -> Result<Turn, DbError> {
        let running = imports::table
            .filter(imports::id.eq(id))
            .filter(imports::finished_at.is_null());
        let changed = diesel::update(running)
            .set(self)
            .execute(transaction.connection())?;
        Ok(if changed == 1 {
            Turn::Ours
        } else {
            Turn::GivenUp
        })
    }
}

fn stored(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
