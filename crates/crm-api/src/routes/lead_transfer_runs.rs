use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{TransferRuleId, TransferRunId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auto_transfer::{self, LEADS_MAX, NewRun, Origin, Run, RunStatus};
use crate::change::Answer;
use crate::customers;
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, OptionalJsonBody, QueryOf, id_in_path};
use crate::routes::customers::Names;
use crate::routes::lead_transfer_rules::NO_SUCH_RULE;
use crate::state::State;
use crate::validation::{Paging, number_within};

const NO_SUCH_RUN: &str = "流转任务不存在";

/// How many leads of each rule are moved if nothing is said.
pub(crate) const BATCH_SIZE: i32 = 100;

/// A run of the rules, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunView {
    #[schema(value_type = String)]
    id: TransferRunId,
    /// `schedule`, `manual`.
    #[schema(value_type = String)]
    origin: Origin,
    /// The hour it is for.
    #[schema(value_type = Option<String>, format = DateTime)]
    slot: Option<UtcTimestamp>,
    /// Only this rule.
    #[schema(value_type = Option<String>)]
    rule_id: Option<TransferRuleId>,
    /// The most leads of each rule; null: all.
    batch_size: Option<i32>,
    /// The moment by which conditions and windows are judged.
    #[schema(value_type = String, format = DateTime)]
    as_of: UtcTimestamp,
    /// `waiting`, `running`, `finished`, `failed`.
    #[schema(value_type = String)]
    status: RunStatus,
    /// How many leads have moved.
    moved: i32,
    /// How many had changed since they were chosen, and were left alone.
    skipped: i32,
    error: Option<&'static str>,
    #[schema(value_type = Option<String>)]
    started_by: Option<UserId>,
    started_by_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<UtcTimestamp>,
}

impl RunView {
    pub(crate) fn new(run: Run, names: &Names) -> Self {
        Self {
            started_by_name: run
                .started_by
                .as_ref()
                .and_then(|id| names.get(id).cloned()),
            // What the database said is for the log.
            error: run.error.map(|_| "执行失败，请管理员查看服务日志"),
            id: run.id,
            origin: run.origin,
            slot: run.slot,
            rule_id: run.rule_id,
            batch_size: run.leads_max,
            as_of: run.as_of,
            status: run.status,
            moved: run.moved,
            skipped: run.skipped,
            started_by: run.started_by,
            created_at: run.created_at,
            updated_at: run.updated_at,
            finished_at: run.finished_at,
        }
    }
}

/// What to run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExecuteBody {
    /// Only this rule; it must be enabled.
    rule_id: Option<String>,
    /// The most leads of each rule: 1 to 1000; 100 if not given.
    batch_size: Option<i32>,
}

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    /// `waiting`, `running`, `finished`, `failed`.
    #[param(value_type = Option<String>)]
    status: Option<RunStatus>,
}

/// Runs the rules now, also outside their windows. The answer is the run as it begins; how far it is
/// tells `GET /api/lead-transfer/runs/{id}`. Of several runs one is done after the other.
#[utoipa::path(post, path = "/api/lead-transfer/execute-now", tag = "lead transfer",
    request_body = Option<ExecuteBody>,
    responses((status = 200, body = Envelope<RunView>), (status = 404), (status = 409)))]
pub(crate) async fn execute_now(
    state: State,
    caller: Caller,
    OptionalJsonBody(body): OptionalJsonBody<ExecuteBody>,
) -> Result<HttpResponse, ApiError> {
    let rule = body.rule_id.as_deref();
    let rule: Option<TransferRuleId> = rule.map(|id| id_in_path(id, NO_SUCH_RULE)).transpose()?;
    let batch_size = body.batch_size.unwrap_or(BATCH_SIZE);
    let new = NewRun {
        slot: None,
        rule,
        leads_max: Some(number_within("batchSize", batch_size, 1..=LEADS_MAX)?),
        by: Some(caller.user.id.clone()),
        request_id: caller.request_id.clone(),
    };
    let (now, runner) = (state.now(), state.transfer_runner.clone());
    let names = Names::from([(caller.user.id.clone(), caller.user.name.clone())]);
    state
        .change(&caller, move |transaction| {
            if let Some(id) = &new.rule {
                let rule = auto_transfer::find_rule(transaction.connection(), id)?
                    .ok_or_else(|| ApiError::NotFound(NO_SUCH_RULE.to_owned()))?;
                if !rule.enabled {
                    let message = "规则未启用，请先启用后再执行".to_owned();
                    return Err(ApiError::Conflict(message));
                }
            }
            let id = auto_transfer::enqueue_run(transaction, &new, now)?;
            let run = auto_transfer::find_run(transaction.connection(), &id)?
                .ok_or_else(|| ApiError::Internal("the new run is not there".to_owned()))?;
            let answer = Answer::ok("流转任务已开始执行", RunView::new(run, &names))?;
            Ok(answer.once_committed(move || runner.nudge()))
        })
        .await
}

/// The runs, newest first.
#[utoipa::path(get, path = "/api/lead-transfer/runs", tag = "lead transfer", params(RunsQuery),
    responses((status = 200, body = Envelope<Page<RunView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<RunsQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let page = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            let (runs, total) = auto_transfer::runs(connection, query.status, offset, limit)?;
            let people = runs.iter().filter_map(|run| run.started_by.as_ref());
            let names = customers::names_of(connection, people)?;
            let views = runs.into_iter().map(|run| RunView::new(run, &names));
            Ok::<_, ApiError>(Page::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

/// One run, and how far it is.
#[utoipa::path(get, path = "/api/lead-transfer/runs/{id}", tag = "lead transfer",
    params(("id" = String, Path)),
    responses((status = 200, body = Envelope<RunView>), (status = 404)))]
pub(crate) async fn show(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id: TransferRunId = id_in_path(&id, NO_SUCH_RUN)?;
    let view = state
        .database
        .run(move |connection| {
            let run = auto_transfer::find_run(connection, &id)?
                .ok_or_else(|| ApiError::NotFound(NO_SUCH_RUN.to_owned()))?;
            let names = customers::names_of(connection, run.started_by.iter())?;
            Ok::<_, ApiError>(RunView::new(run, &names))
        })
        .await?;
    Ok(envelope::ok("获取成功", view))
}
