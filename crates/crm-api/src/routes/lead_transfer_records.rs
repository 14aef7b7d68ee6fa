use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::{NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use shared::domain::{
    CustomerId, TransferRecordId, TransferRuleId, TransferRunId, UserId, UtcTimestamp,
};
use utoipa::{IntoParams, ToSchema};

use crate::auto_transfer::{
    self, LeadNames, RecordFilter, RuleCount, Statistics, TransferRecord, UserRule, UserStatistics,
};
use crate::customers;
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{QueryOf, id_in_path};
use crate::routes::customers::Names;
use crate::routes::lead_transfer_runs::RunView;
use crate::schedule::{Timetable, first_moment};
use crate::state::State;
use crate::users;
use crate::validation::Paging;

const NO_SUCH_USER: &str = "用户不存在";
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A lead that moved on by a rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordView {
    #[schema(value_type = String)]
    id: TransferRecordId,
    #[schema(value_type = String)]
    run_id: TransferRunId,
    /// The rule may have been deleted since.
    #[schema(value_type = String)]
    rule_id: TransferRuleId,
    rule_name: String,
    #[schema(value_type = String)]
    customer_id: CustomerId,
    customer_name: Option<String>,
    #[schema(value_type = String)]
    from_user_id: UserId,
    from_user_name: Option<String>,
    #[schema(value_type = String)]
    to_user_id: UserId,
    to_user_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

impl RecordView {
    fn new(record: TransferRecord, names: &Names, leads: &LeadNames) -> Self {
        Self {
            customer_name: leads.get(&record.customer_id).cloned(),
            from_user_name: names.get(&record.from_user_id).cloned(),
            to_user_name: names.get(&record.to_user_id).cloned(),
            id: record.id,
            run_id: record.run_id,
            rule_id: record.rule_id,
            rule_name: record.rule_name,
            customer_id: record.customer_id,
            from_user_id: record.from_user_id,
            to_user_id: record.to_user_id,
            created_at: record.created_at,
        }
    }
}

/// Which records to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordsQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    #[param(value_type = Option<String>)]
    run_id: Option<TransferRunId>,
    #[param(value_type = Option<String>)]
    rule_id: Option<TransferRuleId>,
    #[param(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
    #[param(value_type = Option<String>)]
    from_user_id: Option<UserId>,
    #[param(value_type = Option<String>)]
    to_user_id: Option<UserId>,
    /// A day in the configured zone.
    #[param(value_type = Option<String>, format = Date)]
    start_date: Option<NaiveDate>,
    /// The last day, included.
    #[param(value_type = Option<String>, format = Date)]
    end_date: Option<NaiveDate>,
}

/// How the rules have done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatisticsView {
    total_rules: i64,
    enabled_rules: i64,
    total_transfers: i64,
    /// Since midnight in the configured zone.
    today_transfers: i64,
    last_7_days_transfers: i64,
    last_30_days_transfers: i64,
    by_rule: Vec<RuleCountView>,
    /// The last run that is over.
    last_run: Option<RunView>,
    /// When the next hourly run begins.
    #[schema(value_type = String, format = DateTime)]
    next_run_at: UtcTimestamp,
}

/// How many leads one rule has moved.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleCountView {
    #[schema(value_type = String)]
    rule_id: TransferRuleId,
    rule_name: String,
    enabled: bool,
    transfers: i64,
}

impl From<RuleCount> for RuleCountView {
    fn from(count: RuleCount) -> Self {
        Self {
            rule_id: count.rule_id,
            rule_name: count.rule_name,
            enabled: count.enabled,
            transfers: count.moved,
        }
    }
}

/// What somebody has given and got by rules.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserStatisticsView {
    #[schema(value_type = String)]
    user_id: UserId,
    user_name: String,
    out: i64,
    r#in: i64,
    /// `out` − `in`.
    balance: i64,
    /// Since midnight in the configured zone.
    today_out: i64,
    today_in: i64,
    by_rule: Vec<UserRuleView>,
}

/// Somebody in one rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserRuleView {
    #[schema(value_type = String)]
    rule_id: TransferRuleId,
    rule_name: String,
    enabled: bool,
    is_source: bool,
    is_target: bool,
    out: i32,
    r#in: i32,
    balance: i32,
}

impl From<UserRule> for UserRuleView {
    fn from(user: UserRule) -> Self {
        Self {
            rule_id: user.rule_id,
            rule_name: user.rule_name,
            enabled: user.enabled,
            is_source: user.is_source,
            is_target: user.is_target,
            out: user.out_count,
            r#in: user.in_count,
            balance: user.out_count - user.in_count,
        }
    }
}

/// What has moved, newest first.
#[utoipa::path(get, path = "/api/lead-transfer/records", tag = "lead transfer",
    params(RecordsQuery), responses((status = 200, body = Envelope<Page<RecordView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<RecordsQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    if let (Some(start), Some(end)) = (query.start_date, query.end_date)
        && end < start
    {
        return Err(ApiError::invalid("endDate", "结束日期不能早于开始日期"));
    }
    let zone = state.telling.time_zone;
    let start_of = |day: NaiveDate| -> UtcTimestamp {
        first_moment(day.and_time(NaiveTime::MIN), zone)
            .to_utc()
            .into()
    };
    let filter = RecordFilter {
        run: query.run_id,
        rule: query.rule_id,
        customer: query.customer_id,
        from: query.from_user_id,
        to: query.to_user_id,
        since: query.start_date.map(start_of),
        before: query.end_date.and_then(|day| day.succ_opt()).map(start_of),
    };
    let page = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            let (records, total) = auto_transfer::records(connection, &filter, offset, limit)?;
            let people = records
                .iter()
                .flat_map(|r| [&r.from_user_id, &r.to_user_id]);
            let names = customers::names_of(connection, people)?;
            let ids: Vec<&CustomerId> = records.iter().map(|r| &r.customer_id).collect();
            let leads = auto_transfer::lead_names(connection, &ids)?;
            let views = records
                .into_iter()
                .map(|r| RecordView::new(r, &names, &leads));
            Ok::<_, ApiError>(Page::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

/// How the rules have done.
#[utoipa::path(get, path = "/api/lead-transfer/statistics", tag = "lead transfer",
    responses((status = 200, body = Envelope<StatisticsView>)))]
pub(crate) async fn statistics(state: State) -> Result<HttpResponse, ApiError> {
    let (now, zone) = (state.now(), state.telling.time_zone);
    let view = state
        .database
        .run(move |connection| {
            let statistics = auto_transfer::statistics(connection, now, zone)?;
            let starter = statistics
                .last_run
                .iter()
                .filter_map(|run| run.started_by.as_ref());
            let names = customers::names_of(connection, starter)?;
            let last = Timetable::Hourly { minute: 0 }.latest(now, zone);
            Ok::<_, ApiError>(statistics_view(statistics, &names, last.after(HOUR)))
        })
        .await?;
    Ok(envelope::ok("获取成功", view))
}

fn statistics_view(
    statistics: Statistics,
    names: &Names,
    next_run_at: UtcTimestamp,
) -> StatisticsView {
    StatisticsView {
        total_rules: statistics.rules,
        enabled_rules: statistics.rules_enabled,
        total_transfers: statistics.moved,
        today_transfers: statistics.moved_today,
        last_7_days_transfers: statistics.moved_in_7_days,
        last_30_days_transfers: statistics.moved_in_30_days,
        by_rule: statistics.by_rule.into_iter().map(Into::into).collect(),
        last_run: statistics.last_run.map(|run| RunView::new(run, names)),
        next_run_at,
    }
}

/// What somebody has given and got by rules.
#[utoipa::path(get, path = "/api/lead-transfer/user-statistics/{userId}", tag = "lead transfer",
    params(("userId" = String, Path)),
    responses((status = 200, body = Envelope<UserStatisticsView>), (status = 404)))]
pub(crate) async fn user_statistics(
    state: State,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: UserId = id_in_path(&id, NO_SUCH_USER)?;
    let (now, zone) = (state.now(), state.telling.time_zone);
    let view = state
        .database
        .run(move |connection| {
            let user = users::find(connection, &id)?
                .ok_or_else(|| ApiError::NotFound(NO_SUCH_USER.to_owned()))?;
            let statistics = auto_transfer::user_statistics(connection, &id, now, zone)?;
            Ok::<_, ApiError>(user_view(id, user.name, statistics))
        })
        .await?;
    Ok(envelope::ok("获取成功", view))
}

fn user_view(user_id: UserId, user_name: String, statistics: UserStatistics) -> UserStatisticsView {
    UserStatisticsView {
        user_id,
        user_name,
        out: statistics.given,
        r#in: statistics.received,
        balance: statistics.given - statistics.received,
        today_out: statistics.given_today,
        today_in: statistics.received_today,
        by_rule: statistics.by_rule.into_iter().map(Into::into).collect(),
    }
}
