use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::prelude::*;
use shared::db::schema::{lead_transfer_rule_users, lead_transfer_rules};
use shared::db::{DbConnection, DbError, WriteTransaction, dialect};
use shared::domain::{CustomerId, TransferRecordId, UserId, UtcTimestamp};
use shared::operation_log::Actor;

use super::condition::Criteria;
use super::lead;
use super::plan::PlannedMove;
use super::record::{self, TransferRecord};
use super::rule::Rule;
use super::run::{self, Run};
use super::runner::RunError;
use crate::assignment::{self, AssignError, AssignOrder, Assigned, Entrance};
use crate::schedule::Lease;

/// How many leads are moved in one transaction: their rows are locked for about a tenth of a second.
pub(super) const BATCH: usize = 500;

/// What the history calls the system.
pub(super) const ACTOR_NAME: &str = "系统";

/// Everything a batch is part of.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) lease: Lease,
    pub(super) run: Run,
    pub(super) rule: Rule,
    pub(super) criteria: Criteria,
    pub(super) moves: Vec<PlannedMove>,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum BatchOutcome {
    /// These assignments were made, and so many leads left alone.
    Moved {
        assigned: Vec<Assigned>,
        moved: usize,
        skipped: usize,
    },
    /// Somebody has edited, switched off or deleted the rule: nothing more of it in this run.
    RuleChanged,
}

/// Moves the leads of a batch, in one transaction: the rows, history, operation log, records,
/// counters and the progress of the run. A lead that has changed since it was planned is left alone.
pub(super) fn carry_out(
    transaction: &mut WriteTransaction<'_>,
    batch: &Batch,
    now: UtcTimestamp,
) -> Result<BatchOutcome, RunError> {
    batch.lease.confirm(transaction, now)?;
    // The rule first, then customers: as everybody who locks both.
    if !keep_rule(transaction.connection(), &batch.rule)? {
        return Ok(BatchOutcome::RuleChanged);
    }
    keep_receivers(transaction.connection(), &batch.moves)?;
    let fit = still_fit(transaction.connection(), batch)?;
    let mut assigned = Vec::new();
    for (to, customers) in by_receiver(&batch.moves, &fit) {
        let order = AssignOrder {
            customers,
            to: to.clone(),
            reason: Some(format!("自动流转：{}", batch.rule.name)),
            entrance: Entrance::AutoTransfer,
            expected_version: None,
            actor: Actor::System,
            actor_name: ACTOR_NAME.to_owned(),
            request_id: batch.run.request_id.clone(),
        };
        match assignment::assign_untold(transaction, &order, now) {
            Ok(outcome) => assigned.push(outcome),
            // Deactivated since the run began: they get nothing.
            Err(AssignError::TargetInactive | AssignError::TargetMissing) => {}
            Err(AssignError::Database(error)) => return Err(error.into()),
        }
    }
    let ids = assigned.iter().flat_map(|outcome| &outcome.assigned);
    let gone: HashSet<&CustomerId> = ids.map(|customer| &customer.id).collect();
    let moved: Vec<&PlannedMove> = batch
        .moves
        .iter()
        .filter(|planned| gone.contains(&planned.customer))
        .collect();
    let (moved_count, skipped) = (moved.len(), batch.moves.len() - moved.len());
    if let Some(last) = moved.last() {
        record::append(transaction, &records(batch, &moved, now))?;
        count(transaction.connection(), &batch.rule, &moved)?;
        diesel::update(lead_transfer_rules::table.find(&batch.rule.id))
            .set(lead_transfer_rules::last_receiver_id.eq(&last.to))
            .execute(transaction.connection())?;
    }
    run::advance(transaction, &batch.run.id, moved_count, skipped, now)?;
    Ok(BatchOutcome::Moved {
        assigned,
        moved: moved_count,
        skipped,
    })
}

/// Whether the rule is still what was planned by, and stays so until the transaction ends.
fn keep_rule(connection: &mut DbConnection, rule: &Rule) -> Result<bool, DbError> {
    let unchanged = lead_transfer_rules::table
        .filter(lead_transfer_rules::id.eq(&rule.id))
        .filter(lead_transfer_rules::version.eq(rule.version));
    let kept = diesel::update(unchanged)
        .set(lead_transfer_rules::version.eq(rule.version))
        .execute(connection)?;
    Ok(kept == 1)
}

/// Keeps those who are to get leads as they are, in the order of their ids and before any customer is
/// locked: somebody who claims has locked themselves while they wait for a customer.
fn keep_receivers(connection: &mut DbConnection, moves: &[PlannedMove]) -> Result<(), DbError> {
    let receivers: BTreeSet<&UserId> = moves.iter().map(|planned| &planned.to).collect();
    receivers
        .into_iter()
        .try_for_each(|receiver| dialect::keep_user(connection, receiver).map(drop))
}

/// The leads that are still as they were when they were planned; locked, so that they stay so.
fn still_fit(
    connection: &mut DbConnection,
    batch: &Batch,
) -> Result<HashMap<CustomerId, UserId>, DbError> {
    let ids: Vec<CustomerId> = batch.moves.iter().map(|m| m.customer.clone()).collect();
    dialect::lock_customers(connection, &ids)?;
    let leads = lead::load(connection, &ids)?;
    Ok(leads
        .into_iter()
        .filter(|lead| batch.criteria.meets_all(lead))
        .filter_map(|lead| Some((lead.id, lead.assigned_to?)))
        .collect())
}

/// What everybody gets, in the order of the people's ids.
fn by_receiver<'a>(
    moves: &'a [PlannedMove],
    fit: &HashMap<CustomerId, UserId>,
) -> BTreeMap<&'a UserId, Vec<CustomerId>> {
    let mut shares: BTreeMap<&UserId, Vec<CustomerId>> = BTreeMap::new();
    for planned in moves {
        if fit.get(&planned.customer) == Some(&planned.from) {
            shares
                .entry(&planned.to)
                .or_default()
                .push(planned.customer.clone());
        }
    }
    shares
}

fn records(batch: &Batch, moved: &[&PlannedMove], now: UtcTimestamp) -> Vec<TransferRecord> {
    moved
        .iter()
        .map(|planned| TransferRecord {
            id: TransferRecordId::generate(),
            run_id: batch.run.id.clone(),
            rule_id: batch.rule.id.clone(),
            rule_name: batch.rule.name.clone(),
            customer_id: planned.customer.clone(),
            from_user_id: planned.from.clone(),
            to_user_id: planned.to.clone(),
            created_at: now,
        })
        .collect()
}

/// Raises the counters of those who gave and got.
fn count(
    connection: &mut DbConnection,
    rule: &Rule,
    moved: &[&PlannedMove],
) -> Result<(), DbError> {
    use lead_transfer_rule_users as members;

    let mut changes: BTreeMap<&UserId, (i32, i32)> = BTreeMap::new();
    for planned in moved {
        changes.entry(&planned.from).or_default().0 += 1;
        changes.entry(&planned.to).or_default().1 += 1;
    }
    for (user, (given, received)) in changes {
        diesel::update(members::table.find((&rule.id, user)))
            .set((
                members::out_count.eq(members::out_count + given),
                members::in_count.eq(members::in_count + received),
            ))
            .execute(connection)?;
    }
    Ok(())
}
