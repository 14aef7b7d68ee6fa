use actix_web::{HttpResponse, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use shared::domain::{TransferRuleId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auto_transfer::{self, DayRange, Rule, RuleUser, Strategy, TimeOfDay};
use crate::change::Answer;
use crate::customers::{ContractStatus, LeadSource};
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, OptionalJsonBody, QueryOf, id_in_path};
use crate::routes::lead_transfer_rule_body::{RuleBody, blank, edited};
use crate::state::State;
use crate::validation::Paging;

pub(crate) const NO_SUCH_RULE: &str = "流转规则不存在";

/// A rule by which leads move on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleView {
    #[schema(value_type = String)]
    id: TransferRuleId,
    name: String,
    enabled: bool,
    conditions: ConditionsView,
    window: WindowView,
    /// `balanced`, `round_robin`.
    #[schema(value_type = String)]
    strategy: Strategy,
    #[schema(value_type = Vec<String>)]
    source_user_ids: Vec<UserId>,
    #[schema(value_type = Vec<String>)]
    target_user_ids: Vec<UserId>,
    /// Everybody who is in it or has been.
    users: Vec<RuleUserView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
    version: i32,
}

/// Which leads a rule takes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConditionsView {
    inactive_hours: i32,
    transfer_cooldown_hours: i32,
    /// 0: no limit.
    max_transfer_count: i32,
    /// Empty: any.
    #[schema(value_type = Vec<String>)]
    contract_statuses: Vec<ContractStatus>,
    /// Empty: any but 转介绍.
    #[schema(value_type = Vec<String>)]
    lead_sources: Vec<LeadSource>,
    created_date_range: Option<DayRangeView>,
}

/// Days in the configured zone, both included.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DayRangeView {
    #[schema(value_type = Option<String>, format = Date)]
    start: Option<NaiveDate>,
    #[schema(value_type = Option<String>, format = Date)]
    end: Option<NaiveDate>,
}

/// When a rule runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WindowView {
    enabled: bool,
    /// `09:30`
    #[schema(value_type = String)]
    start: TimeOfDay,
    /// `18:30`, not included; before the start, the window goes on across midnight.
    #[schema(value_type = String)]
    end: TimeOfDay,
}

/// Somebody in a rule, and what they have given and got by it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleUserView {
    #[schema(value_type = String)]
    user_id: UserId,
    name: String,
    active: bool,
    is_source: bool,
    is_target: bool,
    out: i32,
    r#in: i32,
    /// `out` − `in`.
    balance: i32,
}

impl From<RuleUser> for RuleUserView {
    fn from(user: RuleUser) -> Self {
        Self {
            balance: user.balance(),
            user_id: user.id,
            name: user.name,
            active: user.active,
            is_source: user.is_source,
            is_target: user.is_target,
            out: user.out_count,
            r#in: user.in_count,
        }
    }
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        let source_user_ids = rule.sources().map(|user| user.id.clone()).collect();
        let target_user_ids = rule.targets().map(|user| user.id.clone()).collect();
        let created = rule.conditions.created;
        let has_range = created != DayRange::default();
        Self {
            source_user_ids,
            target_user_ids,
            conditions: ConditionsView {
                inactive_hours: rule.conditions.inactive_hours,
                transfer_cooldown_hours: rule.conditions.cooldown_hours,
                max_transfer_count: rule.conditions.transfers_max,
                contract_statuses: rule.conditions.contract_statuses,
                lead_sources: rule.conditions.lead_sources,
                created_date_range: has_range.then_some(DayRangeView {
                    start: created.from,
                    end: created.until,
                }),
            },
            window: WindowView {
                enabled: rule.window.enabled,
                start: rule.window.start,
                end: rule.window.end,
            },
            id: rule.id,
            name: rule.name,
            enabled: rule.enabled,
            strategy: rule.strategy,
            users: rule.users.into_iter().map(Into::into).collect(),
            created_at: rule.created_at,
            updated_at: rule.updated_at,
            version: rule.version,
        }
    }
}

/// Whether a rule is to run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ToggleBody {
    /// Not given: the opposite of what it is.
    enabled: Option<bool>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RulesQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
}

/// The rules, in the order in which they run.
#[utoipa::path(get, path = "/api/lead-transfer/rules", tag = "lead transfer", params(RulesQuery),
    responses((status = 200, body = Envelope<Page<RuleView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<RulesQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let rules = state.database.run(auto_transfer::rules).await?;
    let total = i64::try_from(rules.len()).unwrap_or(i64::MAX);
    // There are few.
    let offset = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let page = rules
        .into_iter()
        .skip(offset)
        .take(paging.page_size() as usize);
    let views = page.map(RuleView::from).collect();
    Ok(envelope::ok("获取成功", Page::new(views, total, paging)))
}

/// Makes a rule.
#[utoipa::path(post, path = "/api/lead-transfer/rules", tag = "lead transfer",
    request_body = RuleBody,
    responses((status = 201, body = Envelope<RuleView>), (status = 409)))]
pub(crate) async fn create(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<RuleBody>,
) -> Result<HttpResponse, ApiError> {
    let draft = edited(blank()?, body)?;
    let (by, request_id, now) = (
        caller.user.id.clone(),
        caller.request_id.clone(),
        state.now(),
    );
    state
        .change(&caller, move |transaction| {
            let rule = auto_transfer::create_rule(transaction, &draft, &by, &request_id, now)?;
            Answer::created("规则创建成功", RuleView::from(rule))
        })
        .await
}

/// One rule.
#[utoipa::path(get, path = "/api/lead-transfer/rules/{id}", tag = "lead transfer",
    params(("id" = String, Path)),
    responses((status = 200, body = Envelope<RuleView>), (status = 404)))]
pub(crate) async fn show(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id: TransferRuleId = id_in_path(&id, NO_SUCH_RULE)?;
    let rule = state
        .database
        .run(move |connection| auto_transfer::find_rule(connection, &id))
        .await?;
    let rule = rule.ok_or_else(|| ApiError::NotFound(NO_SUCH_RULE.to_owned()))?;
    Ok(envelope::ok("获取成功", RuleView::from(rule)))
}

/// Changes a rule. Counters are kept, whoever comes and goes; a run that is at it stops.
#[utoipa::path(patch, path = "/api/lead-transfer/rules/{id}", tag = "lead transfer",
    params(("id" = String, Path)), request_body = RuleBody,
    responses((status = 200, body = Envelope<RuleView>), (status = 404), (status = 409)))]
pub(crate) async fn change(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    JsonBody(body): JsonBody<RuleBody>,
) -> Result<HttpResponse, ApiError> {
    let id: TransferRuleId = id_in_path(&id, NO_SUCH_RULE)?;
    let (by, request_id, now) = (
        caller.user.id.clone(),
        caller.request_id.clone(),
        state.now(),
    );
    state
        .change(&caller, move |transaction| {
            let edit = |draft| edited(draft, body);
            let rule = auto_transfer::replace_rule(transaction, &id, edit, &by, &request_id, now)?;
            Answer::ok("规则更新成功", RuleView::from(rule))
        })
        .await
}

/// Switches a rule on or off. A run that is at it stops.
#[utoipa::path(patch, path = "/api/lead-transfer/rules/{id}/toggle", tag = "lead transfer",
    params(("id" = String, Path)), request_body = Option<ToggleBody>,
    responses((status = 200, body = Envelope<RuleView>), (status = 404)))]
pub(crate) async fn toggle(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<ToggleBody>,
) -> Result<HttpResponse, ApiError> {
    let id: TransferRuleId = id_in_path(&id, NO_SUCH_RULE)?;
    let (by, request_id, now) = (
        caller.user.id.clone(),
        caller.request_id.clone(),
        state.now(),
    );
    state
        .change(&caller, move |transaction| {
            let wish = body.enabled;
            let rule = auto_transfer::set_enabled(transaction, &id, wish, &by, &request_id, now)?;
            let message = if rule.enabled {
                "规则已启用"
            } else {
                "规则已停用"
            };
            Answer::ok(message, RuleView::from(rule))
        })
        .await
}

/// Removes a rule with its counters. What it has moved stays in the records.
#[utoipa::path(delete, path = "/api/lead-transfer/rules/{id}", tag = "lead transfer",
    params(("id" = String, Path)),
    responses((status = 200, body = Envelope<Option<bool>>), (status = 404)))]
pub(crate) async fn remove(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: TransferRuleId = id_in_path(&id, NO_SUCH_RULE)?;
    let (by, request_id, now) = (
        caller.user.id.clone(),
        caller.request_id.clone(),
        state.now(),
    );
    state
        .change(&caller, move |transaction| {
            auto_transfer::delete_rule(transaction, &id, &by, &request_id, now)?;
            Answer::ok("规则已删除", None::<bool>)
        })
        .await
}
