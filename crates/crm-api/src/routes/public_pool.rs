use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{AssignmentId, CustomerId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use super::assignment_history::PageQuery;
use super::customers::{CustomerView, NO_SUCH_CUSTOMER, Names, people};
use super::named_customers::{BatchRefusal, NamedCustomers};
use crate::assignment::{self, CLAIMED_MAX, ClaimOrder, Entrance};
use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{
    self, ContractStatus, CustomerFilter, LeadLevel, LeadSource, ServiceCategory, Sight, SortBy,
    SortOrder,
};
use crate::envelope::{self, Envelope, LongPage, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf, id_in_path};
use crate::pool::{self, Direction, Movement, PoolStatistics};
use crate::state::State;
use crate::validation::{Lines, Paging, optional_text};

/// Which customers of the public pool to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PoolQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    /// A part of the name, the phone number, the WeChat id or the customer number.
    search: Option<String>,
    #[param(value_type = Option<String>)]
    lead_source: Option<LeadSource>,
    #[param(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    #[param(value_type = Option<String>)]
    lead_level: Option<LeadLevel>,
    #[param(value_type = Option<String>)]
    contract_status: Option<ContractStatus>,
    /// By the time of entry: `asc`, or `desc` (if not given).
    #[param(value_type = Option<String>)]
    sort_order: Option<SortOrder>,
}

/// Lists the public pool, by the time of entry; phone numbers masked.
#[utoipa::path(get, path = "/api/customers/public-pool", tag = "public pool", params(PoolQuery),
    responses((status = 200, body = Envelope<LongPage<CustomerView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<PoolQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let filter = CustomerFilter {
        search: optional_text("search", query.search.as_deref(), 64, Lines::One)?,
        lead_source: query.lead_source,
        service_category: query.service_category,
        lead_level: query.lead_level,
        contract_status: query.contract_status,
        in_public_pool: Some(true),
        ..CustomerFilter::default()
    };
    let sort = (
        SortBy::PublicPoolEntryTime,
        query.sort_order.unwrap_or(SortOrder::Descending),
    );
    let page = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            let (found, total) =
                customers::search(connection, &Sight::All, &filter, sort, offset, limit)?;
            let names = customers::names_of(connection, found.iter().flat_map(people))?;
            let views = found
                .into_iter()
                .map(|customer| CustomerView::new(customer, &names, PhoneDisplay::Masked));
            Ok::<_, ApiError>(LongPage::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

/// How much is in the public pool, and how much has moved today.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatisticsView {
    total: i64,
    /// How often a customer has gone in since midnight.
    today_entered: i64,
    /// How often a customer has gone out since midnight, claimed or assigned.
    today_claimed: i64,
    /// Lead source → how many are in the pool.
    by_lead_source: std::collections::BTreeMap<&'static str, i64>,
    /// Lead level → how many are in the pool; `未分级` for those without.
    by_lead_level: std::collections::BTreeMap<&'static str, i64>,
}

impl From<PoolStatistics> for StatisticsView {
    fn from(found: PoolStatistics) -> Self {
        Self {
            total: found.total,
            today_entered: found.today_entered,
            today_claimed: found.today_claimed,
            by_lead_source: found.by_lead_source,
            by_lead_level: found.by_lead_level,
        }
    }
}

/// How much is in the public pool, and how much has moved today.
#[utoipa::path(get, path = "/api/customers/public-pool/statistics", tag = "public pool",
    responses((status = 200, body = Envelope<StatisticsView>)))]
pub(crate) async fn statistics(state: State) -> Result<HttpResponse, ApiError> {
    let today = pool::start_of_day(state.now(), state.telling.time_zone);
    let found = state
        .database
        .run(move |connection| pool::statistics(connection, today))
        .await?;
    Ok(envelope::ok("获取成功", StatisticsView::from(found)))
}

/// Which customers one wants.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClaimBody {
    /// 1 to 50; repeated ones count once.
    customer_ids: Vec<String>,
}

/// What became of a claim.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimResult {
    /// How many are the caller's now.
    success: usize,
    /// How many could not be had.
    failed: usize,
    /// How many were the caller's already.
    unchanged: usize,
    errors: Vec<BatchRefusal>,
}

/// Takes customers out of the public pool for oneself. 409 if one would have more than one may.
#[utoipa::path(post, path = "/api/customers/public-pool/claim", tag = "public pool",
    request_body = ClaimBody,
    responses((status = 200, body = Envelope<ClaimResult>), (status = 409)))]
pub(crate) async fn claim(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<ClaimBody>,
) -> Result<HttpResponse, ApiError> {
    let named = NamedCustomers::read(&body.customer_ids, CLAIMED_MAX)?;
    let order = ClaimOrder {
        customers: named.ids,
        claimant: caller.user.id.clone(),
        claimant_name: caller.user.name.clone(),
        per_person_max: state.customers_per_person_max,
        request_id: caller.request_id.clone(),
    };
    let (telling, now, counting) = (state.telling, state.now(), state.clone());
    state
        .change(&caller, move |transaction| {
            let outcome = assignment::claim(transaction, &order, telling, now)?;
            let errors = BatchRefusal::all(named.malformed, &outcome.refused);
            let result = ClaimResult {
                success: outcome.assigned.len(),
                failed: errors.len(),
                unchanged: outcome.unchanged.len(),
                errors,
            };
            let message = format!(
                "领取完成：成功 {} 个，失败 {} 个",
                result.success, result.failed
            );
            let count = move || {
                counting
                    .metrics
                    .count_assignments(Entrance::Claim, &outcome);
            };
            Ok(Answer::ok(message, result)?.once_committed(count))
        })
        .await
}

/// How many customers one has, and may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountView {
    count: i64,
    /// Nobody may claim beyond it.
    limit: u32,
}

/// How many customers the caller has, and may have.
#[utoipa::path(get, path = "/api/customers/my-customer-count", tag = "public pool",
    responses((status = 200, body = Envelope<CountView>)))]
pub(crate) async fn my_count(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let limit = state.customers_per_person_max;
    let count = state
        .database
        .run(move |connection| assignment::customer_count(connection, &caller.user.id))
        .await?;
    Ok(envelope::ok("获取成功", CountView { count, limit }))
}

/// A customer went into the public pool, or out of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MovementView {
    #[schema(value_type = String)]
    id: AssignmentId,
    /// `entered` or `left`.
    #[schema(value_type = String)]
    action: Direction,
    /// Whose it was before it entered.
    #[schema(value_type = Option<String>)]
    previous_owner: Option<UserId>,
    previous_owner_name: Option<String>,
    /// Who has got it, if it left.
    #[schema(value_type = Option<String>)]
    new_owner: Option<UserId>,
    new_owner_name: Option<String>,
    /// On whose word; nobody's if the system did it.
    #[schema(value_type = Option<String>)]
    operator: Option<UserId>,
    operator_name: Option<String>,
    /// `release`, `claim`, `pool`, or how else it left.
    entrance: String,
    reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

/// When a customer went into the public pool and out of it, newest first. For whoever sees the
/// customer; all see what is in the pool.
#[utoipa::path(get, path = "/api/customers/{id}/public-pool-logs", tag = "public pool",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Envelope<Page<MovementView>>), (status = 404)))]
pub(crate) async fn logs(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(&id, NO_SUCH_CUSTOMER)?;
    let paging = Paging::new(query.page, query.page_size)?;
    let sight = Sight::of(&caller.user);
    let page = state
        .database
        .run(move |connection| {
            let pooled = customers::find(connection, &id, &Sight::All)?
                .is_some_and(|customer| customer.in_public_pool);
            if !pooled && customers::find(connection, &id, &sight)?.is_none() {
                return Err(ApiError::NotFound(NO_SUCH_CUSTOMER.to_owned()));
            }
            let (found, total) = pool::movements(connection, &id, paging.offset(), paging.limit())?;
            let people = found.iter().flat_map(|movement| {
                [
                    &movement.from_user_id,
                    &movement.to_user_id,
                    &movement.operator_id,
                ]
                .into_iter()
                .flatten()
            });
            let names = customers::names_of(connection, people)?;
            let views = found
                .into_iter()
                .map(|movement| MovementView::new(movement, &names));
            Ok(Page::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

impl MovementView {
    fn new(movement: Movement, names: &Names) -> Self {
        let name_of = |user: &Option<UserId>| user.as_ref().and_then(|id| names.get(id).cloned());
        Self {
            previous_owner_name: name_of(&movement.from_user_id),
            new_owner_name: name_of(&movement.to_user_id),
            operator_name: name_of(&movement.operator_id),
            id: movement.id,
            action: movement.direction,
            previous_owner: movement.from_user_id,
            new_owner: movement.to_user_id,
            operator: movement.operator_id,
            entrance: movement.entrance,
            reason: movement.reason,
            created_at: movement.at,
        }
    }
}
