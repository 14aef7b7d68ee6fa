use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;
use serde::Serialize;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, TransferRuleId, UserId, UtcTimestamp};

use super::condition::{Condition, Criteria, wanted_sources};
use super::lead::{self, Lead};
use super::plan::owners_of;
use super::rule::{DayRange, Rule, RuleUser, rules};
use crate::customers::names_of;

/// What one rule says of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplanation {
    /// Which rule.
    pub rule_id: TransferRuleId,
    /// What it is called.
    pub rule_name: String,
    /// Whether the rule would move it now: whether every clause has passed.
    pub would_move: bool,
    /// Everything that must hold, in the order in which one asks.
    pub clauses: Vec<Clause>,
}

/// Something that must hold, whether it does, and the values, as staff read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What.
    pub kind: ClauseKind,
    /// Whether it holds.
    pub passed: bool,
    /// What the rule wants.
    pub expected: String,
    /// What is.
    pub actual: String,
}

/// What must hold for a rule to move a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClauseKind {
    /// The rule is enabled.
    RuleEnabled,
    /// The moment is within its window.
    Window,
    /// The lead meets a condition.
    Condition(Condition),
    /// There is somebody active who has never had it.
    Receivers,
}

impl ClauseKind {
    /// A word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RuleEnabled => "ruleEnabled",
            Self::Window => "window",
            Self::Condition(condition) => condition.as_str(),
            Self::Receivers => "receivers",
        }
    }

    /// What staff read.
    pub fn label(self) -> &'static str {
        match self {
            Self::RuleEnabled => "规则已启用",
            Self::Window => "在执行时间段内",
            Self::Condition(Condition::Owner) => "负责人在流出用户中",
            Self::Condition(Condition::NotPooled) => "不在公海中",
            Self::Condition(Condition::AutoTransferEnabled) => "允许自动流转",
            Self::Condition(Condition::NotFrozen) => "未被冻结",
            Self::Condition(Condition::ContractStatus) => "签约状态符合",
            Self::Condition(Condition::LeadSource) => "线索来源符合",
            Self::Condition(Condition::Inactive) => "无活动时间足够长",
            Self::Condition(Condition::Cooldown) => "距上次流转时间足够长",
            Self::Condition(Condition::TransferCount) => "流转次数未达上限",
            Self::Condition(Condition::CreatedDate) => "创建日期在范围内",
            Self::Receivers => "有可流入的用户",
        }
    }
}

impl Serialize for ClauseKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why every rule would move a lead now, or would not; none if there is no such lead.
///
/// # Errors
/// What the database says.
pub fn explain(
    connection: &mut DbConnection,
    customer: &CustomerId,
    now: UtcTimestamp,
    zone: Tz,
) -> Result<Option<Vec<RuleExplanation>>, DbError> {
    let Some(lead) = lead::load(connection, std::slice::from_ref(customer))?.pop() else {
        return Ok(None);
    };
    let owners = owners_of(connection, &[customer])?
        .remove(customer)
        .unwrap_or_default();
    let names = names_of(connection, lead.assigned_to.iter())?;
    let asked = Asked {
        lead,
        owners,
        names,
        now,
        zone,
    };
    let rules = rules(connection)?;
    Ok(Some(rules.iter().map(|rule| asked.of(rule)).collect()))
}

struct Asked {
    lead: Lead,
    /// Whose it has ever been.
    owners: HashSet<UserId>,
    names: HashMap<UserId, String>,
    now: UtcTimestamp,
    zone: Tz,
}

impl Asked {
    fn of(&self, rule: &Rule) -> RuleExplanation {
        let criteria = Criteria::of(rule, self.now, self.zone);
        let mut clauses = vec![self.rule_enabled(rule), self.window(rule)];
        clauses.extend(Condition::ALL.iter().map(|&condition| Clause {
            kind: ClauseKind::Condition(condition),
            passed: criteria.meets(condition, &self.lead),
            expected: self.expected(condition, rule),
            actual: self.actual(condition),
        }));
        clauses.push(self.receivers(rule));
        RuleExplanation {
            rule_id: rule.id.clone(),
            rule_name: rule.name.clone(),
            would_move: clauses.iter().all(|clause| clause.passed),
            clauses,
        }
    }

    fn rule_enabled(&self, rule: &Rule) -> Clause {
        Clause {
            kind: ClauseKind::RuleEnabled,
            passed: rule.enabled,
            expected: "启用".to_owned(),
            actual: if rule.enabled { "启用" } else { "停用" }.to_owned(),
        }
    }

    fn window(&self, rule: &Rule) -> Clause {
        let local = self.now.to_datetime().with_timezone(&self.zone);
        Clause {
            kind: ClauseKind::Window,
            passed: rule.window.is_open_at(self.now, self.zone),
            expected: rule.window.to_string(),
            actual: local.format("%H:%M").to_string(),
        }
    }

    fn expected(&self, condition: Condition, rule: &Rule) -> String {
        let conditions = &rule.conditions;
        match condition {
            Condition::Owner => names(rule.sources()),
            Condition::NotPooled => "不在公海".to_owned(),
            Condition::AutoTransferEnabled => "允许".to_owned(),
            Condition::NotFrozen => "未冻结".to_owned(),
            Condition::ContractStatus if conditions.contract_statuses.is_empty() => {
                "不限".to_owned()
            }
            Condition::ContractStatus => list(
                conditions
                    .contract_statuses
                    .iter()
                    .map(|status| status.as_str()),
            ),
            Condition::LeadSource if conditions.lead_sources.is_empty() => "除转介绍外".to_owned(),
            Condition::LeadSource => {
                let wanted = wanted_sources(&conditions.lead_sources);
                list(wanted.iter().map(|source| source.as_str()))
            }
            Condition::Inactive => format!("至少 {} 小时", conditions.inactive_hours),
            Condition::Cooldown => format!("至少 {} 小时", conditions.cooldown_hours),
            Condition::TransferCount if conditions.transfers_max == 0 => "不限".to_owned(),
            Condition::TransferCount => format!("少于 {} 次", conditions.transfers_max),
            Condition::CreatedDate => days(conditions.created),
        }
    }

    fn actual(&self, condition: Condition) -> String {
        let lead = &self.lead;
        match condition {
            Condition::Owner => {
                let name = lead
                    .assigned_to
                    .as_ref()
                    .and_then(|owner| self.names.get(owner));
                name.map_or("无负责人", String::as_str).to_owned()
            }
            Condition::NotPooled if lead.in_public_pool => "在公海".to_owned(),
            Condition::NotPooled => "不在公海".to_owned(),
            Condition::AutoTransferEnabled if lead.auto_transfer_enabled => "允许".to_owned(),
            Condition::AutoTransferEnabled => "不允许".to_owned(),
            Condition::NotFrozen if lead.frozen => "已冻结".to_owned(),
            Condition::NotFrozen => "未冻结".to_owned(),
            Condition::ContractStatus => lead.contract_status.to_string(),
            Condition::LeadSource => lead.lead_source.to_string(),
            Condition::Inactive => self.ago(lead.last_activity_at),
            Condition::Cooldown => {
                let moved_at = lead.last_transferred_at;
                moved_at.map_or_else(|| "从未流转".to_owned(), |moment| self.ago(moment))
            }
            Condition::TransferCount => format!("{} 次", lead.transfer_count),
            Condition::CreatedDate => {
                let local = lead.created_at.to_datetime().with_timezone(&self.zone);
                local.format("%Y-%m-%d").to_string()
            }
        }
    }

    fn receivers(&self, rule: &Rule) -> Clause {
        let owner = self.lead.assigned_to.as_ref();
        let able: Vec<&RuleUser> = rule
            .targets()
            .filter(|user| {
                user.active && !self.owners.contains(&user.id) && Some(&user.id) != owner
            })
            .collect();
        let actual = if able.is_empty() {
            "无：流入用户都已停用或曾经负责过该客户".to_owned()
        } else {
            names(able.iter().copied())
        };
        Clause {
            kind: ClauseKind::Receivers,
            passed: !able.is_empty(),
            expected: format!("{} 中未曾负责过该客户的在职用户", names(rule.targets())),
            actual,
        }
    }

    /// How long ago something was, in whole hours and minutes.
    fn ago(&self, moment: UtcTimestamp) -> String {
        let minutes = self.now.since(moment).as_secs() / 60;
        format!("{} 小时 {} 分钟", minutes / 60, minutes % 60)
    }
}

fn names<'a>(users: impl Iterator<Item = &'a RuleUser>) -> String {
    list(users.map(|user| user.name.as_str()))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join("、")
}

fn days(range: DayRange) -> String {
    match (range.from, range.until) {
        (None, None) => "不限".to_owned(),
        (Some(from), None) => format!("{from} 起"),
        (None, Some(until)) => format!("{until} 止"),
        (Some(from), Some(until)) => format!("{from} 至 {until}"),
    }
}
