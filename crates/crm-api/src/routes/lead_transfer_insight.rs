use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{CustomerId, TransferRuleId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auto_transfer::{
    self, Clause, ClauseKind, LEADS_MAX, Order, PlannedMove, Prediction, Rule, RuleExplanation,
    Scope,
};
use crate::customers;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{QueryOf, id_in_path};
use crate::routes::customers::{NO_SUCH_CUSTOMER, Names};
use crate::routes::lead_transfer_rules::NO_SUCH_RULE;
use crate::routes::lead_transfer_runs::BATCH_SIZE;
use crate::state::State;
use crate::validation::number_within;

/// The most leads that a prediction lists; it counts all.
const ITEMS_MAX: usize = 1_000;

/// What a rule would do now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PredictionView {
    #[schema(value_type = String)]
    rule_id: TransferRuleId,
    rule_name: String,
    /// `rule`: as `execute-now` with this rule would; `run`: as the hourly run would.
    #[schema(value_type = String)]
    scope: Scope,
    /// The most leads of each rule; null: all.
    batch_size: Option<i32>,
    #[schema(value_type = String, format = DateTime)]
    as_of: UtcTimestamp,
    /// Whether the hourly run would run it at this moment: enabled, and within its window.
    is_due: bool,
    /// How many leads would move.
    total: usize,
    by_source: Vec<ShareView>,
    by_target: Vec<ShareView>,
    /// The first 1000 of them.
    items: Vec<MoveView>,
}

/// How many leads are somebody's part.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShareView {
    #[schema(value_type = String)]
    user_id: UserId,
    user_name: Option<String>,
    count: usize,
}

/// One lead that would move.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MoveView {
    #[schema(value_type = String)]
    customer_id: CustomerId,
    customer_name: Option<String>,
    #[schema(value_type = String)]
    from_user_id: UserId,
    from_user_name: Option<String>,
    #[schema(value_type = String)]
    to_user_id: UserId,
    to_user_name: Option<String>,
}

/// What to predict.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PredictQuery {
    /// The most leads of each rule: 1 to 1000. Not given: 100, as `execute-now`, and all with
    /// `scope=run`.
    batch_size: Option<i32>,
    /// `rule` (if not given), `run`.
    #[param(value_type = Option<String>)]
    scope: Option<Scope>,
}

/// Why every rule would move a lead now, or would not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplanationView {
    #[schema(value_type = String)]
    customer_id: CustomerId,
    #[schema(value_type = String, format = DateTime)]
    as_of: UtcTimestamp,
    rules: Vec<RuleExplanationView>,
}

/// What one rule says of a lead.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleExplanationView {
    #[schema(value_type = String)]
    rule_id: TransferRuleId,
    rule_name: String,
    /// Whether all conditions have passed.
    would_move: bool,
    conditions: Vec<ClauseView>,
}

/// One condition.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClauseView {
    /// `ruleEnabled`, `window`, `owner`, `notPooled`, `autoTransferEnabled`, `notFrozen`,
    /// `contractStatus`, `leadSource`, `inactive`, `cooldown`, `transferCount`, `createdDate`,
    /// `receivers`.
    #[schema(value_type = String)]
    condition: ClauseKind,
    label: &'static str,
    passed: bool,
    /// What the rule wants.
    expected: String,
    /// What is.
    actual: String,
}

impl From<Clause> for ClauseView {
    fn from(clause: Clause) -> Self {
        Self {
            condition: clause.kind,
            label: clause.kind.label(),
            passed: clause.passed,
            expected: clause.expected,
            actual: clause.actual,
        }
    }
}

impl From<RuleExplanation> for RuleExplanationView {
    fn from(explanation: RuleExplanation) -> Self {
        Self {
            rule_id: explanation.rule_id,
            rule_name: explanation.rule_name,
            would_move: explanation.would_move,
            conditions: explanation.clauses.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a rule would do now. It comes true if nothing changes.
#[utoipa::path(get, path = "/api/lead-transfer/rules/{id}/predict", tag = "lead transfer",
    params(("id" = String, Path), PredictQuery),
    responses((status = 200, body = Envelope<PredictionView>), (status = 404)))]
pub(crate) async fn predict(
    state: State,
    id: web::Path<String>,
    QueryOf(query): QueryOf<PredictQuery>,
) -> Result<HttpResponse, ApiError> {
    let id: TransferRuleId = id_in_path(&id, NO_SUCH_RULE)?;
    let scope = query.scope.unwrap_or(Scope::Rule);
    let batch_size = match (query.batch_size, scope) {
        (Some(size), _) => Some(number_within("batchSize", size, 1..=LEADS_MAX)?),
        (None, Scope::Rule) => Some(BATCH_SIZE),
        (None, Scope::Run) => None,
    };
    let order = Order {
        scope,
        leads_max: batch_size.and_then(|size| usize::try_from(size).ok()),
        as_of: state.now(),
        zone: state.telling.time_zone,
    };
    let view = state
        .database
        .run(move |connection| {
            let rule = auto_transfer::find_rule(connection, &id)?
                .ok_or_else(|| ApiError::NotFound(NO_SUCH_RULE.to_owned()))?;
            let prediction = auto_transfer::predict(connection, &rule, order)?;
            let moves = &prediction.moves;
            let people = moves
                .iter()
                .flat_map(|planned| [&planned.from, &planned.to]);
            let names = customers::names_of(connection, people)?;
            let shown: Vec<&CustomerId> = moves
                .iter()
                .take(ITEMS_MAX)
                .map(|planned| &planned.customer)
                .collect();
            let leads = auto_transfer::lead_names(connection, &shown)?;
            let view = prediction_view(rule, &prediction, order, batch_size, &names, &leads);
            Ok::<_, ApiError>(view)
        })
        .await?;
    Ok(envelope::ok("获取成功", view))
}

fn prediction_view(
    rule: Rule,
    prediction: &Prediction,
    order: Order,
    batch_size: Option<i32>,
    names: &Names,
    leads: &auto_transfer::LeadNames,
) -> PredictionView {
    let moves = &prediction.moves;
    let name = |user: &UserId| names.get(user).cloned();
    let item = |planned: &PlannedMove| MoveView {
        customer_name: leads.get(&planned.customer).cloned(),
        from_user_name: name(&planned.from),
        to_user_name: name(&planned.to),
        customer_id: planned.customer.clone(),
        from_user_id: planned.from.clone(),
        to_user_id: planned.to.clone(),
    };
    PredictionView {
        rule_id: rule.id,
        rule_name: rule.name,
        scope: order.scope,
        batch_size,
        as_of: order.as_of,
        is_due: prediction.is_due,
        total: moves.len(),
        by_source: shares(moves.iter().map(|planned| &planned.from), names),
        by_target: shares(moves.iter().map(|planned| &planned.to), names),
        items: moves.iter().take(ITEMS_MAX).map(item).collect(),
    }
}

fn shares<'a>(users: impl Iterator<Item = &'a UserId>, names: &Names) -> Vec<ShareView> {
    let mut counts: BTreeMap<&UserId, usize> = BTreeMap::new();
    for user in users {
        *counts.entry(user).or_default() += 1;
    }
    let shares = counts.into_iter().map(|(user, count)| ShareView {
        user_id: user.clone(),
        user_name: names.get(user).cloned(),
        count,
    });
    shares.collect()
}

/// Why a lead was not moved, or why it will be: every rule with all its conditions.
#[utoipa::path(get, path = "/api/lead-transfer/explain/{customerId}", tag = "lead transfer",
    params(("customerId" = String, Path)),
    responses((status = 200, body = Envelope<ExplanationView>), (status = 404)))]
pub(crate) async fn explain(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let customer_id: CustomerId = id_in_path(&id, NO_SUCH_CUSTOMER)?;
    let (now, zone, asked) = (state.now(), state.telling.time_zone, customer_id.clone());
    let rules = state
        .database
        .run(move |connection| auto_transfer::explain(connection, &asked, now, zone))
        .await?
        .ok_or_else(|| ApiError::NotFound(NO_SUCH_CUSTOMER.to_owned()))?;
    let view = ExplanationView {
        customer_id,
        as_of: now,
        rules: rules.into_iter().map(Into::into).collect(),
    };
    Ok(envelope::ok("获取成功", view))
}
