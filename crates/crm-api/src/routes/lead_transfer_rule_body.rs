//! What a request says of a rule by which leads move on, and whether it can be.

use std::collections::HashSet;

use chrono::NaiveDate;
use serde::Deserialize;
use shared::domain::UserId;
use utoipa::ToSchema;

use crate::auto_transfer::{
    DayRange, RuleConditions, RuleDraft, RuleError, Strategy, TimeOfDay, Window,
};
use crate::customers::{ContractStatus, LeadSource};
use crate::error::ApiError;
use crate::extract::given;
use crate::validation::{number_within, required_text};

/// The longest name.
const NAME_CHARACTERS_MAX: usize = 50;
/// The most people on either side of a rule.
const USERS_MAX: usize = 200;
/// A year.
const HOURS_MAX: i32 = 8_760;
/// More often nobody moves a lead.
const TRANSFERS_MAX: i32 = 1_000;

/// A rule to be, or what is to be changed of one; what is not given stays, or is as said here.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleBody {
    /// At most 50 characters; must be given for a new rule; unique.
    name: Option<String>,
    /// True.
    enabled: Option<bool>,
    conditions: Option<ConditionsBody>,
    window: Option<WindowBody>,
    /// `balanced` (if not given): everybody as many, within one a run; `round_robin`: in turn.
    #[schema(value_type = Option<String>)]
    strategy: Option<Strategy>,
    /// 1 to 200; must be given for a new rule.
    source_user_ids: Option<Vec<String>>,
    /// 1 to 200 active users; must be given for a new rule.
    target_user_ids: Option<Vec<String>>,
}

/// Which leads a rule is to take.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConditionsBody {
    /// 1 to 8760; 48.
    inactive_hours: Option<i32>,
    /// 0 to 8760; 24.
    transfer_cooldown_hours: Option<i32>,
    /// 0 (no limit) to 1000; 0.
    max_transfer_count: Option<i32>,
    /// Empty: any.
    #[schema(value_type = Option<Vec<String>>)]
    contract_statuses: Option<Vec<ContractStatus>>,
    /// Empty: any but 转介绍.
    #[schema(value_type = Option<Vec<String>>)]
    lead_sources: Option<Vec<LeadSource>>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<DayRangeBody>)]
    created_date_range: Option<Option<DayRangeBody>>,
}

/// Days in the configured zone, both included; one may be missing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DayRangeBody {
    #[schema(value_type = Option<String>, format = Date)]
    start: Option<NaiveDate>,
    #[schema(value_type = Option<String>, format = Date)]
    end: Option<NaiveDate>,
}

/// When a rule is to run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WindowBody {
    /// True.
    enabled: Option<bool>,
    /// 09:30.
    #[schema(value_type = Option<String>)]
    start: Option<TimeOfDay>,
    /// 18:30.
    #[schema(value_type = Option<String>)]
    end: Option<TimeOfDay>,
}

/// What a new rule is where nothing is said.
pub(crate) fn blank() -> Result<RuleDraft, ApiError> {
    let time = |text: &str| {
        text.parse::<TimeOfDay>()
            .map_err(|error| ApiError::Internal(error.to_string()))
    };
    Ok(RuleDraft {
        name: String::new(),
        enabled: true,
        conditions: RuleConditions {
            inactive_hours: 48,
            cooldown_hours: 24,
            transfers_max: 0,
            contract_statuses: Vec::new(),
            lead_sources: Vec::new(),
            created: DayRange::default(),
        },
        window: Window {
            enabled: true,
            start: time("09:30")?,
            end: time("18:30")?,
        },
        strategy: Strategy::Balanced,
        sources: Vec::new(),
        targets: Vec::new(),
    })
}

/// The draft with what the body says, all of it checked.
pub(crate) fn edited(mut draft: RuleDraft, body: RuleBody) -> Result<RuleDraft, ApiError> {
    if let Some(name) = body.name {
        draft.name = name;
    }
    draft.name = required_text("name", &draft.name, NAME_CHARACTERS_MAX)?;
    draft.enabled = body.enabled.unwrap_or(draft.enabled);
    draft.strategy = body.strategy.unwrap_or(draft.strategy);
    if let Some(conditions) = body.conditions {
        draft.conditions = edited_conditions(draft.conditions, conditions)?;
    }
    if let Some(window) = body.window {
        draft.window = Window {
            enabled: window.enabled.unwrap_or(draft.window.enabled),
            start: window.start.unwrap_or(draft.window.start),
            end: window.end.unwrap_or(draft.window.end),
        };
    }
    if draft.window.start == draft.window.end {
        return Err(ApiError::invalid(
            "window",
            "执行时间段的开始和结束不能相同",
        ));
    }
    if let Some(ids) = body.source_user_ids {
        draft.sources = people("sourceUserIds", &ids)?;
    }
    if draft.sources.is_empty() {
        return Err(ApiError::invalid("sourceUserIds", "请至少选择一个流出用户"));
    }
    if let Some(ids) = body.target_user_ids {
        draft.targets = people("targetUserIds", &ids)?;
    }
    if draft.targets.is_empty() {
        return Err(ApiError::invalid("targetUserIds", "请至少选择一个流入用户"));
    }
    Ok(draft)
}

fn edited_conditions(
    before: RuleConditions,
    body: ConditionsBody,
) -> Result<RuleConditions, ApiError> {
    let number = |field, given: Option<i32>, before, bounds| {
        number_within(field, given.unwrap_or(before), bounds)
    };
    let created = match body.created_date_range {
        None => before.created,
        Some(None) => DayRange::default(),
        Some(Some(range)) => DayRange {
            from: range.start,
            until: range.end,
        },
    };
    if let (Some(from), Some(until)) = (created.from, created.until)
        && until < from
    {
        return Err(ApiError::invalid(
            "conditions.createdDateRange",
            "创建日期范围的结束日期不能早于开始日期",
        ));
    }
    Ok(RuleConditions {
        inactive_hours: number(
            "conditions.inactiveHours",
            body.inactive_hours,
            before.inactive_hours,
            1..=HOURS_MAX,
        )?,
        cooldown_hours: number(
            "conditions.transferCooldownHours",
            body.transfer_cooldown_hours,
            before.cooldown_hours,
            0..=HOURS_MAX,
        )?,
        transfers_max: number(
            "conditions.maxTransferCount",
            body.max_transfer_count,
            before.transfers_max,
            0..=TRANSFERS_MAX,
        )?,
        contract_statuses: body
            .contract_statuses
            .map_or(before.contract_statuses, unique),
        lead_sources: body.lead_sources.map_or(before.lead_sources, unique),
        created,
    })
}

/// Each value once, in its order.
fn unique<T: PartialEq>(values: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

/// The people a list names, each once.
fn people(field: &'static str, texts: &[String]) -> Result<Vec<UserId>, ApiError> {
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for text in texts {
        let id: UserId = text.trim().parse().map_err(|_| {
            let id = text.chars().take(64).collect();
            ApiError::from(RuleError::UserMissing { field, id })
        })?;
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    if ids.len() > USERS_MAX {
        return Err(ApiError::invalid(
            field,
            format!("{field} 最多包含 {USERS_MAX} 个用户"),
        ));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: serde_json::Value) -> RuleBody {
        serde_json::from_value(json).unwrap()
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|_| UserId::generate().to_string()).collect()
    }

    fn made(json: serde_json::Value) -> Result<RuleDraft, String> {
        edited(blank().unwrap(), body(json)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_new_rule_has_the_agreed_defaults() {
        let [source, target] = [ids(1), ids(1)];
        let draft = made(serde_json::json!({
            "name": " 规则 ", "sourceUserIds": source, "targetUserIds": [target[0], target[0]],
        }));
        let draft = draft.unwrap();
        assert_eq!(draft.name, "规则");
        assert_eq!(draft.targets.len(), 1);
        assert!(draft.enabled && draft.window.enabled);
        assert_eq!(draft.window.to_string(), "09:30–18:30");
        let conditions = draft.conditions;
        let numbers = [
            conditions.inactive_hours,
            conditions.cooldown_hours,
            conditions.transfers_max,
        ];
        assert_eq!(numbers, [48, 24, 0]);
        assert_eq!(draft.strategy, Strategy::Balanced);
    }

    #[test]
    fn lists_of_people_have_bounds() {
        let with = |sources: usize, targets: usize| {
            made(serde_json::json!({
                "name": "规则", "sourceUserIds": ids(sources), "targetUserIds": ids(targets),
            }))
        };
        assert!(with(1, 1).is_ok() && with(200, 200).is_ok());
        assert_eq!(with(0, 1).unwrap_err(), "请至少选择一个流出用户");
        assert_eq!(with(1, 0).unwrap_err(), "请至少选择一个流入用户");
        assert_eq!(
            with(201, 1).unwrap_err(),
            "sourceUserIds 最多包含 200 个用户"
        );
        assert_eq!(
            with(1, 201).unwrap_err(),
            "targetUserIds 最多包含 200 个用户"
        );
    }
}
