use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::{lead_transfer_rule_users, lead_transfer_rules, users};
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{RequestId, TransferRuleId, UserId, UtcTimestamp};
use shared::operation_log::{self, Actor, Operation};

use super::rule::{Rule, RuleConditions, Strategy, find_rule, list_text};
use super::rule_error::RuleError;
use super::window::Window;

/// A rule as somebody wants it. The values are checked; whether the people exist is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// What it is called.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Which leads.
    pub conditions: RuleConditions,
    /// When.
    pub window: Window,
    /// How they are spread.
    pub strategy: Strategy,
    /// Whose leads; each once, at least one.
    pub sources: Vec<UserId>,
    /// Who gets them; each once, at least one, in turn.
    pub targets: Vec<UserId>,
}

impl RuleDraft {
    /// What a rule is now.
    pub fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name.clone(),
            enabled: rule.enabled,
            conditions: rule.conditions.clone(),
            window: rule.window,
            strategy: rule.strategy,
            sources: rule.sources().map(|user| user.id.clone()).collect(),
            targets: rule.targets().map(|user| user.id.clone()).collect(),
        }
    }
}

/// Makes a rule.
///
/// # Errors
/// [`RuleError`]; then nothing was written.
pub fn create_rule(
    transaction: &mut WriteTransaction<'_>,
    draft: &RuleDraft,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Rule, RuleError> {
    check_people(transaction.connection(), draft, &[])?;
    let id = TransferRuleId::generate();
    let connection = transaction.connection();
    diesel::insert_into(lead_transfer_rules::table)
        .values((
            lead_transfer_rules::id.eq(&id),
            columns(draft)?,
            lead_transfer_rules::created_by.eq(by),
            lead_transfer_rules::created_at.eq(now),
            lead_transfer_rules::updated_at.eq(now),
        ))
        .execute(connection)?;
    save_people(connection, &id, draft)?;
    log(
        transaction,
        "lead_transfer.create_rule",
        &id,
        draft,
        by,
        request_id,
        now,
    )?;
    read_back(transaction.connection(), &id)
}

/// Changes a rule by what `edit` makes of it. Counters are kept, also of people who leave it and
/// come back.
///
/// # Errors
/// [`RuleError`], or what `edit` answers; then nothing was written.
pub fn replace_rule<E: From<RuleError>>(
    transaction: &mut WriteTransaction<'_>,
    id: &TransferRuleId,
    edit: impl FnOnce(RuleDraft) -> Result<RuleDraft, E>,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Rule, E> {
    lock(transaction.connection(), id, now)?;
    let rule = read_back(transaction.connection(), id)?;
    let draft = edit(RuleDraft::of(&rule))?;
    save(transaction, &rule, &draft, by, request_id, now).map_err(E::from)
}

fn save(
    transaction: &mut WriteTransaction<'_>,
    rule: &Rule,
    draft: &RuleDraft,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Rule, RuleError> {
    // Whoever is in it already may stay, also if they were deactivated meanwhile.
    let known: Vec<&UserId> = rule.targets().map(|user| &user.id).collect();
    check_people(transaction.connection(), draft, &known)?;
    let connection = transaction.connection();
    diesel::update(lead_transfer_rules::table.find(&rule.id))
        .set(columns(draft)?)
        .execute(connection)?;
    save_people(connection, &rule.id, draft)?;
    log(
        transaction,
        "lead_transfer.change_rule",
        &rule.id,
        draft,
        by,
        request_id,
        now,
    )?;
    read_back(transaction.connection(), &rule.id)
}

/// Switches a rule on or off; without a wish, to what it is not. A run that is at it stops with its
/// batch.
///
/// # Errors
/// [`RuleError::NotFound`], or what the database says.
pub fn set_enabled(
    transaction: &mut WriteTransaction<'_>,
    id: &TransferRuleId,
    enabled: Option<bool>,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<Rule, RuleError> {
    replace_rule(
        transaction,
        id,
        |draft| {
            let enabled = enabled.unwrap_or(!draft.enabled);
            Ok(RuleDraft { enabled, ..draft })
        },
        by,
        request_id,
        now,
    )
}

/// Removes a rule with its counters. What it has moved stays recorded.
///
/// # Errors
/// [`RuleError::NotFound`], or what the database says.
pub fn delete_rule(
    transaction: &mut WriteTransaction<'_>,
    id: &TransferRuleId,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), RuleError> {
    let rule = find_rule(transaction.connection(), id)?.ok_or(RuleError::NotFound)?;
    diesel::delete(lead_transfer_rules::table.find(id)).execute(transaction.connection())?;
    let draft = RuleDraft::of(&rule);
    log(
        transaction,
        "lead_transfer.delete_rule",
        id,
        &draft,
        by,
        request_id,
        now,
    )
}

/// Nobody else changes it until the transaction ends, and a run that is at it notices.
fn lock(
    connection: &mut DbConnection,
    id: &TransferRuleId,
    now: UtcTimestamp,
) -> Result<(), RuleError> {
    let locked = diesel::update(lead_transfer_rules::table.find(id))
        .set((
            lead_transfer_rules::version.eq(lead_transfer_rules::version + 1),
            lead_transfer_rules::updated_at.eq(now),
        ))
        .execute(connection)?;
    if locked == 1 {
        Ok(())
    } else {
        Err(RuleError::NotFound)
    }
}

fn read_back(connection: &mut DbConnection, id: &TransferRuleId) -> Result<Rule, RuleError> {
    find_rule(connection, id)?.ok_or(RuleError::NotFound)
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = lead_transfer_rules, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Columns<'a> {
    name: &'a str,
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
}

fn columns(draft: &RuleDraft) -> Result<Columns<'_>, DbError> {
    let conditions = &draft.conditions;
    Ok(Columns {
        name: &draft.name,
        enabled: draft.enabled,
        inactive_hours: conditions.inactive_hours,
        cooldown_hours: conditions.cooldown_hours,
        transfers_max: conditions.transfers_max,
        contract_statuses: list_text(&conditions.contract_statuses)?,
        lead_sources: list_text(&conditions.lead_sources)?,
        created_from: conditions.created.from.map(|day| day.to_string()),
        created_until: conditions.created.until.map(|day| day.to_string()),
        window_enabled: draft.window.enabled,
        window_start: draft.window.start.to_string(),
        window_end: draft.window.end.to_string(),
        strategy: draft.strategy,
    })
}

/// Everybody exists, whoever is new as a target is active, and everybody's leads can go to somebody.
fn check_people(
    connection: &mut DbConnection,
    draft: &RuleDraft,
    targets_before: &[&UserId],
) -> Result<(), RuleError> {
    let named = draft.sources.iter().chain(&draft.targets);
    let rows: Vec<(UserId, (String, bool))> = users::table
        .filter(users::id.eq_any(named))
        .select((users::id, (users::name, users::active)))
        .load(connection)?;
    let known: HashMap<UserId, (String, bool)> = rows.into_iter().collect();
    let find = |field, id: &UserId| {
        known.get(id).ok_or_else(|| RuleError::UserMissing {
            field,
            id: id.to_string(),
        })
    };
    for target in &draft.targets {
        let (name, active) = find("targetUserIds", target)?;
        if !active && !targets_before.contains(&target) {
            return Err(RuleError::UserInactive { name: name.clone() });
        }
    }
    for source in &draft.sources {
        let (name, _) = find("sourceUserIds", source)?;
        if draft.targets.iter().all(|target| target == source) {
            return Err(RuleError::NobodyToReceive { name: name.clone() });
        }
    }
    Ok(())
}

/// Writes who takes part. The rows of those who do not any more stay, for their counters.
fn save_people(
    connection: &mut DbConnection,
    id: &TransferRuleId,
    draft: &RuleDraft,
) -> Result<(), RuleError> {
    use lead_transfer_rule_users as members;

    diesel::update(members::table.filter(members::rule_id.eq(id)))
        .set((members::is_source.eq(false), members::is_target.eq(false)))
        .execute(connection)?;
    let mut place = 0;
    let mut seen: Vec<&UserId> = Vec::new();
    // Targets first: round robin goes in their order.
    for user in draft.targets.iter().chain(&draft.sources) {
        if seen.contains(&user) {
            continue;
        }
        seen.push(user);
        place += 1;
        let state = (
            members::is_source.eq(draft.sources.contains(user)),
            members::is_target.eq(draft.targets.contains(user)),
            members::position.eq(place),
        );
        let changed = diesel::update(members::table.find((id, user)))
            .set(state)
            .execute(connection)?;
        if changed == 0 {
            diesel::insert_into(members::table)
                .values((members::rule_id.eq(id), members::user_id.eq(user), state))
                .execute(connection)?;
        }
    }
    Ok(())
}

fn log(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    id: &TransferRuleId,
    draft: &RuleDraft,
    by: &UserId,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), RuleError> {
    let conditions = &draft.conditions;
    let operation = Operation {
        action,
        entity: "lead_transfer_rule",
        entity_id: id.as_str().to_owned(),
        detail: json!({
            "name": draft.name,
            "enabled": draft.enabled,
            "inactiveHours": conditions.inactive_hours,
            "transferCooldownHours": conditions.cooldown_hours,
            "maxTransferCount": conditions.transfers_max,
            "contractStatuses": conditions.contract_statuses,
            "leadSources": conditions.lead_sources,
            "window": draft.window.to_string(),
            "strategy": draft.strategy,
            "sourceUserIds": draft.sources,
            "targetUserIds": draft.targets,
        }),
        request_id: Some(request_id.clone()),
    };
    operation_log::record(transaction, &Actor::User(by.clone()), vec![operation], now)?;
    Ok(())
}
