use std::time::Duration;

use chrono::NaiveTime;
use chrono_tz::Tz;
use diesel::dsl::count_star;
use diesel::prelude::*;
use shared::db::schema::{
    lead_transfer_records, lead_transfer_rule_users, lead_transfer_rules, lead_transfer_runs,
};
use shared::db::{DbConnection, DbError};
use shared::domain::{TransferRuleId, UserId, UtcTimestamp};

use super::run::Run;
use crate::schedule::first_moment;

/// How the rules have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// How many rules there are.
    pub rules: i64,
    /// How many of them are enabled.
    pub rules_enabled: i64,
    /// How many leads have moved, ever.
    pub moved: i64,
    /// Since midnight in the configured zone.
    pub moved_today: i64,
    /// In the last seven times 24 hours.
    pub moved_in_7_days: i64,
    /// In the last thirty times 24 hours.
    pub moved_in_30_days: i64,
    /// By each rule that there is.
    pub by_rule: Vec<RuleCount>,
    /// The last run that is over.
    pub last_run: Option<Run>,
}

/// How many leads one rule has moved.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct RuleCount {
    /// Which rule.
    pub rule_id: TransferRuleId,
    /// What it is called.
    pub rule_name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// How many.
    pub moved: i64,
}

/// How all rules have done.
///
/// # Errors
/// What the database says.
pub fn statistics(
    connection: &mut DbConnection,
    now: UtcTimestamp,
    zone: Tz,
) -> Result<Statistics, DbError> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let all: Vec<(TransferRuleId, String, bool)> = lead_transfer_rules::table
        .order(lead_transfer_rules::id)
        .select((
            lead_transfer_rules::id,
            lead_transfer_rules::name,
            lead_transfer_rules::enabled,
        ))
        .load(connection)?;
    let mut by_rule = Vec::with_capacity(all.len());
    for (rule_id, rule_name, enabled) in all {
        let moved = lead_transfer_records::table
            .filter(lead_transfer_records::rule_id.eq(&rule_id))
            .count()
            .get_result(connection)?;
        by_rule.push(RuleCount {
            rule_id,
            rule_name,
            enabled,
            moved,
        });
    }
    let rules = i64::try_from(by_rule.len()).unwrap_or(i64::MAX);
    let enabled = by_rule.iter().filter(|rule| rule.enabled).count();
    let last_run = lead_transfer_runs::table
        .filter(lead_transfer_runs::finished_at.is_not_null())
        .order(lead_transfer_runs::id.desc())
        .select(Run::as_select())
        .first(connection)
        .optional()?;
    Ok(Statistics {
        rules,
        rules_enabled: i64::try_from(enabled).unwrap_or(i64::MAX),
        moved: lead_transfer_records::table
            .count()
            .get_result(connection)?,
        moved_today: moved_since(connection, midnight(now, zone))?,
        moved_in_7_days: moved_since(connection, now.before(DAY * 7))?,
        moved_in_30_days: moved_since(connection, now.before(DAY * 30))?,
        by_rule,
        last_run,
    })
}

fn moved_since(connection: &mut DbConnection, since: UtcTimestamp) -> Result<i64, DbError> {
    Ok(lead_transfer_records::table
        .filter(lead_transfer_records::created_at.ge(since))
        .count()
        .get_result(connection)?)
}

fn midnight(now: UtcTimestamp, zone: Tz) -> UtcTimestamp {
    let today = now.to_datetime().with_timezone(&zone).date_naive();
    first_moment(today.and_time(NaiveTime::MIN), zone)
        .to_utc()
        .into()
}

/// What somebody has given and got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatistics {
    /// Given, by all rules that ever were.
    pub given: i64,
    /// Got, by all rules that ever were.
    pub received: i64,
    /// Given since midnight.
    pub given_today: i64,
    /// Got since midnight.
    pub received_today: i64,
    /// In each rule that they are in or have been in.
    pub by_rule: Vec<UserRule>,
}

/// Somebody in one rule.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct UserRule {
    /// Which rule.
    pub rule_id: TransferRuleId,
    /// What it is called.
    pub rule_name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Whether their leads move on.
    pub is_source: bool,
    /// Whether they get leads.
    pub is_target: bool,
    /// How many they have given by it.
    pub out_count: i32,
    /// How many they have got by it.
    pub in_count: i32,
}

/// What somebody has given and got by rules.
///
/// # Errors
/// What the database says.
pub fn user_statistics(
    connection: &mut DbConnection,
    user: &UserId,
    now: UtcTimestamp,
    zone: Tz,
) -> Result<UserStatistics, DbError> {
    use lead_transfer_records as records;

    let since = midnight(now, zone);
    let given = records::table.filter(records::from_user_id.eq(user));
    let received = records::table.filter(records::to_user_id.eq(user));
    let by_rule = lead_transfer_rule_users::table
        .inner_join(
            lead_transfer_rules::table
                .on(lead_transfer_rules::id.eq(lead_transfer_rule_users::rule_id)),
        )
        .filter(lead_transfer_rule_users::user_id.eq(user))
        .order(lead_transfer_rules::id)
        .select((
            lead_transfer_rules::id,
            lead_transfer_rules::name,
            lead_transfer_rules::enabled,
            lead_transfer_rule_users::is_source,
            lead_transfer_rule_users::is_target,
            lead_transfer_rule_users::out_count,
            lead_transfer_rule_users::in_count,
        ))
        .load(connection)?;
    Ok(UserStatistics {
        given: given.select(count_star()).first(connection)?,
        received: received.select(count_star()).first(connection)?,
        given_today: given
            .filter(records::created_at.ge(since))
            .select(count_star())
            .first(connection)?,
        received_today: received
            .filter(records::created_at.ge(since))
            .select(count_star())
            .first(connection)?,
        by_rule,
    })
}
