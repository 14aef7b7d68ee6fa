use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::db::schema::{lead_transfer_rule_users, lead_transfer_rules, users};
use shared::db::{DbConnection, DbError};
use shared::domain::{TransferRuleId, UserId, UtcTimestamp, text_enum};

use super::window::Window;
use crate::customers::{ContractStatus, LeadSource};

text_enum! {
    /// How leads are spread over those who may get them.
    pub enum Strategy ("transfer strategy") {
        /// Everybody gets as many, within one; who has given more comes first.
        Balanced => "balanced",
        /// One after the other, from where the last run stopped.
        RoundRobin => "round_robin",
    }
}

/// Which leads move on, from whom to whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which rule; rules run in the order of their ids.
    pub id: TransferRuleId,
    /// What it is called; no two have one name.
    pub name: String,
    /// Whether it runs at all.
    pub enabled: bool,
    /// Which leads.
    pub conditions: RuleConditions,
    /// When.
    pub window: Window,
    /// How they are spread.
    pub strategy: Strategy,
    /// Who takes part, or did; in the order in which they were named.
    pub users: Vec<RuleUser>,
    /// How many runs have moved leads by it.
    pub round: i32,
    /// Who was given the last one.
    pub last_receiver: Option<UserId>,
    /// When it was made.
    pub created_at: UtcTimestamp,
    /// When it was last edited.
    pub updated_at: UtcTimestamp,
    /// Raised by every edit.
    pub version: i32,
}

/// Which leads a rule takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleConditions {
    /// Nobody has touched them for so long.
    pub inactive_hours: i32,
    /// They have not been moved by a rule for so long.
    pub cooldown_hours: i32,
    /// They have been moved by rules fewer times than this; 0 for no limit.
    pub transfers_max: i32,
    /// How far the contract is; empty for any.
    pub contract_statuses: Vec<ContractStatus>,
    /// Where they came from; empty for anywhere but a referral.
    pub lead_sources: Vec<LeadSource>,
    /// When they were entered.
    pub created: DayRange,
}

/// Days in the configured zone, both included; open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayRange {
    /// The first day.
    pub from: Option<NaiveDate>,
    /// The last day.
    pub until: Option<NaiveDate>,
}

/// Somebody in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleUser {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Whether they work here still.
    pub active: bool,
    /// Whether their leads move on.
    pub is_source: bool,
    /// Whether they get leads.
    pub is_target: bool,
    /// How many they have given by this rule.
    pub out_count: i32,
    /// How many they have got by it.
    pub in_count: i32,
}

impl RuleUser {
    /// How many more they have given than got.
    pub fn balance(&self) -> i32 {
        self.out_count - self.in_count
    }
}

impl Rule {
    /// Whose leads move on.
    pub fn sources(&self) -> impl Iterator<Item = &RuleUser> {
        self.users.iter().filter(|user| user.is_source)
    }

    /// Who gets leads, if they are active.
    pub fn targets(&self) -> impl Iterator<Item = &RuleUser> {
        self.users.iter().filter(|user| user.is_target)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = lead_transfer_rules)]
struct RuleRow {
    id: TransferRuleId,
    name: String,
    enabled: bool,
    inactive_hours: i32,
    cooldown_hours: i32,
    transfers_max: i32,
    contract_statuses: String,
    lead_sources: String,
    created_from: Option<String>,
    created_until: Option<String>,
    window_enabled: bool,
    window_start: String,
    window_end: String,
    strategy: Strategy,
    round: i32,
    last_receiver_id: Option<UserId>,
    created_at: UtcTimestamp,
    updated_at: UtcTimestamp,
    version: i32,
}

/// All rules, in the order in which they run.
///
/// # Errors
/// What the database says.
pub fn rules(connection: &mut DbConnection) -> Result<Vec<Rule>, DbError> {
    let rows = lead_transfer_rules::table
        .order(lead_transfer_rules::id)
        .select(RuleRow::as_select())
        .load(connection)?;
    with_users(connection, rows)
}

/// One rule, if it exists.
///
/// # Errors
/// What the database says.
pub fn find_rule(
    connection: &mut DbConnection,
    id: &TransferRuleId,
) -> Result<Option<Rule>, DbError> {
    let row: Option<RuleRow> = lead_transfer_rules::table
        .find(id)
        .select(RuleRow::as_select())
        .first(connection)
        .optional()?;
    Ok(with_users(connection, row.into_iter().collect())?.pop())
}

fn with_users(connection: &mut DbConnection, rows: Vec<RuleRow>) -> Result<Vec<Rule>, DbError> {
    type UserRow = (TransferRuleId, UserId, String, bool, bool, bool, i32, i32);
    let ids: Vec<&TransferRuleId> = rows.iter().map(|row| &row.id).collect();
    let members: Vec<UserRow> = lead_transfer_rule_users::table
        .inner_join(users::table.on(users::id.eq(lead_transfer_rule_users::user_id)))
        .filter(lead_transfer_rule_users::rule_id.eq_any(ids))
        .order((
            lead_transfer_rule_users::rule_id,
            lead_transfer_rule_users::position,
            lead_transfer_rule_users::user_id,
        ))
        .select((
            lead_transfer_rule_users::rule_id,
            users::id,
            users::name,
            users::active,
            lead_transfer_rule_users::is_source,
            lead_transfer_rule_users::is_target,
            lead_transfer_rule_users::out_count,
            lead_transfer_rule_users::in_count,
        ))
        .load(connection)?;
    let mut of_rule: HashMap<TransferRuleId, Vec<RuleUser>> = HashMap::new();
    for (rule, id, name, active, is_source, is_target, out_count, in_count) in members {
        of_rule.entry(rule).or_default().push(RuleUser {
            id,
            name,
            active,
            is_source,
            is_target,
            out_count,
            in_count,
        });
    }
    rows.into_iter()
        .map(|row| {
            let users = of_rule.remove(&row.id).unwrap_or_default();
            rule_of(row, users)
        })
        .collect()
}

fn rule_of(row: RuleRow, users: Vec<RuleUser>) -> Result<Rule, DbError> {
    Ok(Rule {
        conditions: RuleConditions {
            inactive_hours: row.inactive_hours,
            cooldown_hours: row.cooldown_hours,
            transfers_max: row.transfers_max,
            contract_statuses: list_from(&row.contract_statuses)?,
            lead_sources: list_from(&row.lead_sources)?,
            created: DayRange {
                from: day_from(row.created_from.as_deref())?,
                until: day_from(row.created_until.as_deref())?,
            },
        },
        window: Window {
            enabled: row.window_enabled,
            start: row.window_start.parse().map_err(unreadable)?,
            end: row.window_end.parse().map_err(unreadable)?,
        },
        id: row.id,
        name: row.name,
        enabled: row.enabled,
        strategy: row.strategy,
        users,
        round: row.round,
        last_receiver: row.last_receiver_id,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    })
}

/// How a list is stored.
pub(super) fn list_text<T: Serialize>(list: &[T]) -> Result<String, DbError> {
    serde_json::to_string(list).map_err(unreadable)
}

fn list_from<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, DbError> {
    serde_json::from_str(text).map_err(unreadable)
}

fn day_from(text: Option<&str>) -> Result<Option<NaiveDate>, DbError> {
    text.map(|text| text.parse().map_err(unreadable))
        .transpose()
}

/// Only these functions write what they read: somebody else has written something else.
fn unreadable(error: impl std::fmt::Display) -> DbError {
    DbError::Constraint(format!("a transfer rule cannot be read: {error}"))
}
