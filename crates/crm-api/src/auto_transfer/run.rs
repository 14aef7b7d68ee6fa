use diesel::prelude::*;
use shared::db::schema::lead_transfer_runs;
use shared::db::{DbConnection, DbError, WriteTransaction, each_backend};
use shared::domain::{RequestId, TransferRuleId, TransferRunId, UserId, UtcTimestamp, text_enum};

text_enum! {
    /// Who started a run.
    pub enum Origin ("run origin") {
        /// The clock.
        Schedule => "schedule",
        /// Somebody.
        Manual => "manual",
    }
}

text_enum! {
    /// How far a run is.
    pub enum RunStatus ("run status") {
        /// Nobody has begun it.
        Waiting => "waiting",
        /// It has been begun. If its process is gone, another one goes on.
        Running => "running",
        /// Everything has moved, and everybody was told.
        Finished => "finished",
        /// It stopped half way; whoever gave or got leads was told.
        Failed => "failed",
    }
}

/// One run of the rules. It is durable before it begins, and ends when everybody was told.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = lead_transfer_runs)]
pub struct Run {
    /// Which run; later ones sort after earlier ones, and are done after them.
    pub id: TransferRunId,
    /// Who started it.
    pub origin: Origin,
    /// The hour it is for.
    pub slot: Option<UtcTimestamp>,
    /// Only this rule.
    pub rule_id: Option<TransferRuleId>,
    /// The most leads of each rule.
    pub leads_max: Option<i32>,
    /// The moment by which conditions and windows are judged.
    pub as_of: UtcTimestamp,
    /// How far it is.
    pub status: RunStatus,
    /// How many leads have moved.
    pub moved: i32,
    /// How many were about to, but had changed meanwhile.
    pub skipped: i32,
    /// Why it failed.
    pub error: Option<String>,
    /// Who started it, if it was somebody.
    pub started_by: Option<UserId>,
    /// Follows it through history, logs and messages.
    pub request_id: RequestId,
    /// When it was ordered.
    pub created_at: UtcTimestamp,
    /// When it last got further.
    pub updated_at: UtcTimestamp,
    /// When everybody was told.
    pub finished_at: Option<UtcTimestamp>,
}

/// A run to be.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The hour it is for; without, somebody starts it, and windows do not count.
    pub slot: Option<UtcTimestamp>,
    /// Only this rule.
    pub rule: Option<TransferRuleId>,
    /// The most leads of each rule.
    pub leads_max: Option<i32>,
    /// Who starts it.
    pub by: Option<UserId>,
    /// The request that starts it.
    pub request_id: RequestId,
}

/// Orders a run. Of an hour that has had one, nothing is ordered again.
///
/// # Errors
/// What the database says.
pub fn enqueue_run(
    transaction: &mut WriteTransaction<'_>,
    new: &NewRun,
    now: UtcTimestamp,
) -> Result<TransferRunId, DbError> {
    let id = TransferRunId::generate();
    let origin = match new.slot {
        Some(_) => Origin::Schedule,
        None => Origin::Manual,
    };
    let row = (
        lead_transfer_runs::id.eq(id.clone()),
        lead_transfer_runs::origin.eq(origin),
        lead_transfer_runs::slot.eq(new.slot),
        lead_transfer_runs::rule_id.eq(new.rule.clone()),
        lead_transfer_runs::leads_max.eq(new.leads_max),
        lead_transfer_runs::as_of.eq(new.slot.unwrap_or(now)),
        lead_transfer_runs::status.eq(RunStatus::Waiting),
        lead_transfer_runs::started_by.eq(new.by.clone()),
        lead_transfer_runs::request_id.eq(new.request_id.clone()),
        lead_transfer_runs::created_at.eq(now),
        lead_transfer_runs::updated_at.eq(now),
    );
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        lead_transfer_runs::table
    )
    .values(row)
    .on_conflict_do_nothing()
    .execute(c))?;
    Ok(id)
}

/// One run, if it exists.
///
/// # Errors
/// What the database says.
pub fn find_run(connection: &mut DbConnection, id: &TransferRunId) -> Result<Option<Run>, DbError> {
    Ok(lead_transfer_runs::table
        .find(id)
        .select(Run::as_select())
        .first(connection)
        .optional()?)
}

/// A page of the runs, newest first, and how many there are in all.
///
/// # Errors
/// What the database says.
pub fn runs(
    connection: &mut DbConnection,
    status: Option<RunStatus>,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Run>, i64), DbError> {
    let matching = || {
        let mut query = lead_transfer_runs::table.into_boxed();
        if let Some(status) = status {
            query = query.filter(lead_transfer_runs::status.eq(status));
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let page = matching()
        .order(lead_transfer_runs::id.desc())
        .offset(offset)
        .limit(limit)
        .select(Run::as_select())
        .load(connection)?;
    Ok((page, total))
}

/// The run whose turn it is.
pub(super) fn oldest_unfinished(connection: &mut DbConnection) -> Result<Option<Run>, DbError> {
    Ok(lead_transfer_runs::table
        .filter(lead_transfer_runs::finished_at.is_null())
        .order(lead_transfer_runs::id)
        .select(Run::as_select())
        .first(connection)
        .optional()?)
}

/// The run has got so much further.
pub(super) fn advance(
    transaction: &mut WriteTransaction<'_>,
    id: &TransferRunId,
    moved: usize,
    skipped: usize,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    diesel::update(lead_transfer_runs::table.find(id))
        .set((
            lead_transfer_runs::status.eq(RunStatus::Running),
            lead_transfer_runs::moved.eq(lead_transfer_runs::moved + count(moved)),
            lead_transfer_runs::skipped.eq(lead_transfer_runs::skipped + count(skipped)),
            lead_transfer_runs::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
    Ok(())
}

/// The run is over.
pub(super) fn end(
    transaction: &mut WriteTransaction<'_>,
    id: &TransferRunId,
    error: Option<&str>,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let status = match error {
        None => RunStatus::Finished,
        Some(_) => RunStatus::Failed,
    };
    diesel::update(lead_transfer_runs::table.find(id))
        .set((
            lead_transfer_runs::status.eq(status),
            lead_transfer_runs::error.eq(error),
            lead_transfer_runs::updated_at.eq(now),
            lead_transfer_runs::finished_at.eq(now),
        ))
        .execute(transaction.connection())?;
    Ok(())
}
