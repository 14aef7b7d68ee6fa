use std::collections::HashMap;

use diesel::dsl::count_star;
use diesel::prelude::*;
use shared::db::schema::lead_transfer_records;
use shared::db::{DbConnection, DbError, WriteTransaction, insert_rows};
use shared::domain::{
    CustomerId, TransferRecordId, TransferRuleId, TransferRunId, UserId, UtcTimestamp,
};

/// A lead that moved on by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = lead_transfer_records)]
pub struct TransferRecord {
    /// Which move; later ones sort after earlier ones.
    pub id: TransferRecordId,
    /// In which run.
    pub run_id: TransferRunId,
    /// By which rule, which may have been deleted since.
    pub rule_id: TransferRuleId,
    /// What the rule was called.
    pub rule_name: String,
    /// Which lead.
    pub customer_id: CustomerId,
    /// Whose it was.
    pub from_user_id: UserId,
    /// Whose it became.
    pub to_user_id: UserId,
    /// When.
    pub created_at: UtcTimestamp,
}

/// Which records to list; everything not given matches.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// Of this run.
    pub run: Option<TransferRunId>,
    /// By this rule.
    pub rule: Option<TransferRuleId>,
    /// Of this lead.
    pub customer: Option<CustomerId>,
    /// From this person.
    pub from: Option<UserId>,
    /// To this person.
    pub to: Option<UserId>,
    /// Then or later.
    pub since: Option<UtcTimestamp>,
    /// Before then.
    pub before: Option<UtcTimestamp>,
}

/// A page of what has moved, newest first, and how much there is in all.
///
/// # Errors
/// What the database says.
pub fn records(
    connection: &mut DbConnection,
    filter: &RecordFilter,
    offset: i64,
    limit: i64,
) -> Result<(Vec<TransferRecord>, i64), DbError> {
    use lead_transfer_records as records;

    let matching = || {
        let mut query = records::table.into_boxed();
        if let Some(run) = filter.run.clone() {
            query = query.filter(records::run_id.eq(run));
        }
        if let Some(rule) = filter.rule.clone() {
            query = query.filter(records::rule_id.eq(rule));
        }
        if let Some(customer) = filter.customer.clone() {
            query = query.filter(records::customer_id.eq(customer));
        }
        if let Some(from) = filter.from.clone() {
            query = query.filter(records::from_user_id.eq(from));
        }
        if let Some(to) = filter.to.clone() {
            query = query.filter(records::to_user_id.eq(to));
        }
        if let Some(since) = filter.since {
            query = query.filter(records::created_at.ge(since));
        }
        if let Some(before) = filter.before {
            query = query.filter(records::created_at.lt(before));
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let page = matching()
        .order(records::id.desc())
        .offset(offset)
        .limit(limit)
        .select(TransferRecord::as_select())
        .load(connection)?;
    Ok((page, total))
}

/// Writes down what has moved.
pub(super) fn append(
    transaction: &mut WriteTransaction<'_>,
    moved: &[TransferRecord],
) -> Result<(), DbError> {
    // PostgreSQL takes 65,535 values in a statement.
    for chunk in moved.chunks(1_000) {
        insert_rows!(
            transaction.connection(),
            lead_transfer_records::table,
            chunk
        )?;
    }
    Ok(())
}

/// How many leads each person has given and got by one rule in one run.
#[derive(Debug, Clone, Default)]
pub struct RuleTally(HashMap<UserId, (i32, i32)>);

impl RuleTally {
    /// Given and got by somebody.
    pub(super) fn of(&self, user: &UserId) -> (i32, i32) {
        self.0.get(user).copied().unwrap_or_default()
    }

    /// How many leads have moved.
    pub(super) fn moved(&self) -> usize {
        let given: i32 = self.0.values().map(|(given, _)| given).sum();
        usize::try_from(given).unwrap_or_default()
    }
}

/// What a run has moved so far by a rule.
pub(super) fn tally(
    connection: &mut DbConnection,
    run: &TransferRunId,
    rule: &TransferRuleId,
) -> Result<RuleTally, DbError> {
    use lead_transfer_records as records;

    let pairs: Vec<(UserId, UserId, i64)> = records::table
        .filter(records::run_id.eq(run))
        .filter(records::rule_id.eq(rule))
        .group_by((records::from_user_id, records::to_user_id))
        .select((records::from_user_id, records::to_user_id, count_star()))
        .load(connection)?;
    let mut tally = RuleTally::default();
    for (from, to, count) in pairs {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        tally.0.entry(from).or_default().0 += count;
        tally.0.entry(to).or_default().1 += count;
    }
    Ok(tally)
}
