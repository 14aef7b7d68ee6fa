use std::collections::HashSet;

use chrono_tz::Tz;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UtcTimestamp, text_enum};

use super::batch::BATCH;
use super::plan::{PlannedMove, Planner};
use super::record::RuleTally;
use super::rule::{Rule, rules};

text_enum! {
    /// Which run a prediction is of.
    pub enum Scope ("prediction scope") {
        /// Of this rule alone, as somebody starts it.
        Rule => "rule",
        /// Of all that are enabled and within their window, as the schedule starts it: those that
        /// come first take their leads first. The rule in question is in it in any case.
        Run => "run",
    }
}

/// What is to be predicted.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Of which run.
    pub scope: Scope,
    /// The most leads of each rule; without, all.
    pub leads_max: Option<usize>,
    /// At which moment.
    pub as_of: UtcTimestamp,
    /// The zone of days and windows.
    pub zone: Tz,
}

/// What a rule would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Whether the schedule would run it at that moment.
    pub is_due: bool,
    /// Which leads would move, in their order.
    pub moves: Vec<PlannedMove>,
}

/// What would move by a rule: planned as a run plans it, so that it comes true if nothing changes.
///
/// # Errors
/// What the database says.
pub fn predict(
    connection: &mut DbConnection,
    rule: &Rule,
    order: Order,
) -> Result<Prediction, DbError> {
    let is_due = is_due(rule, order);
    let mut taken = HashSet::new();
    let others = match order.scope {
        Scope::Rule => Vec::new(),
        Scope::Run => rules(connection)?,
    };
    let before = others
        .iter()
        .filter(|other| other.id < rule.id && self::is_due(other, order));
    for other in before {
        moves_of(connection, other, order, &mut taken)?;
    }
    let moves = moves_of(connection, rule, order, &mut taken)?;
    Ok(Prediction { is_due, moves })
}

fn is_due(rule: &Rule, order: Order) -> bool {
    rule.enabled && rule.window.is_open_at(order.as_of, order.zone)
}

fn moves_of(
    connection: &mut DbConnection,
    rule: &Rule,
    order: Order,
    taken: &mut HashSet<CustomerId>,
) -> Result<Vec<PlannedMove>, DbError> {
    let nothing_yet = RuleTally::default();
    let mut planner = Planner::new(rule, &nothing_yet, order.leads_max, order.as_of, order.zone);
    let mut moves = Vec::new();
    while let Some(batch) = planner.next_batch(connection, taken, BATCH)? {
        moves.extend(batch);
    }
    Ok(moves)
}
