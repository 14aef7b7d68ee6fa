use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::CustomerId;
use utoipa::ToSchema;

use super::customers::{CustomerView, NO_SUCH_CUSTOMER};
use super::named_customers::{BatchRefusal, NamedCustomers};
use crate::assignment::{
    self, CUSTOMERS_MAX, ReleaseOrder, ReleaseReach, ReleaseRefusal, Released,
};
use crate::auth::policy::Act;
use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{self, Sight};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody, id_in_path};
use crate::state::State;
use crate::validation::required_reason;

/// Why a customer goes into the public pool.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseBody {
    /// Must be given; at most 200 characters.
    reason: Option<String>,
}

/// Which customers go into the public pool, and why.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchReleaseBody {
    /// 1 to 1000; repeated ones count once.
    customer_ids: Vec<String>,
    /// Must be given; at most 200 characters.
    reason: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchReleaseResult {
    /// How many are in the public pool now.
    success: usize,
    /// How many could not be released.
    failed: usize,
    errors: Vec<BatchRefusal>,
}

/// Puts a customer into the public pool. `If-Match` with a version makes it a 409 if the customer
/// has changed since.
#[utoipa::path(post, path = "/api/customers/{id}/release-to-pool", tag = "public pool",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ReleaseBody,
    responses((status = 200, body = Envelope<CustomerView>), (status = 403), (status = 404), (status = 409)))]
pub(crate) async fn single(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<ReleaseBody>,
) -> Result<HttpResponse, ApiError> {
    release_one(&state, &caller, &id, version, &body).await
}

/// The same, for the mini program.
#[utoipa::path(post, path = "/api/customers/miniprogram/{id}/release-to-pool", tag = "public pool",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ReleaseBody,
    responses((status = 200, body = Envelope<CustomerView>), (status = 403), (status = 404), (status = 409)))]
pub(crate) async fn mini_program(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<ReleaseBody>,
) -> Result<HttpResponse, ApiError> {
    release_one(&state, &caller, &id, version, &body).await
}

/// Puts many customers into the public pool; each owner is told once.
#[utoipa::path(post, path = "/api/customers/batch-release-to-pool", tag = "public pool",
    request_body = BatchReleaseBody, responses((status = 200, body = Envelope<BatchReleaseResult>)))]
pub(crate) async fn batch(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<BatchReleaseBody>,
) -> Result<HttpResponse, ApiError> {
    let named = NamedCustomers::read(&body.customer_ids, CUSTOMERS_MAX)?;
    let reason = required_reason("reason", body.reason.as_deref(), "释放原因")?;
    let order = order(&caller, named.ids, reason, ExpectedVersion(None));
    let (telling, now, counting) = (state.telling, state.now(), state.clone());
    state
        .change(&caller, move |transaction| {
            let outcome = assignment::release(transaction, &order, telling, now)?;
            let errors = BatchRefusal::all(named.malformed, &outcome.refused);
            let result = BatchReleaseResult {
                success: outcome.released.len(),
                failed: errors.len(),
                errors,
            };
            let message = format!(
                "批量释放完成：成功 {} 个，失败 {} 个",
                result.success, result.failed
            );
            let count = move || counting.metrics.count_releases(&outcome);
            Ok(Answer::ok(message, result)?.once_committed(count))
        })
        .await
}

async fn release_one(
    state: &State,
    caller: &Caller,
    id: &str,
    version: ExpectedVersion,
    body: &ReleaseBody,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(id, NO_SUCH_CUSTOMER)?;
    let reason = required_reason("reason", body.reason.as_deref(), "释放原因")?;
    let order = order(caller, vec![id.clone()], reason, version);
    let (telling, now, counting) = (state.telling, state.now(), state.clone());
    state
        .change(caller, move |transaction| {
            let outcome: Released = assignment::release(transaction, &order, telling, now)?;
            if let Some((_, refusal)) = outcome.refused.first() {
                return Err(ApiError::from(*refusal));
            }
            let connection = transaction.connection();
            let customer = customers::find(connection, &id, &Sight::All)?
                .ok_or(ApiError::from(ReleaseRefusal::Missing))?;
            // It is in the pool now, where numbers are masked.
            let view = CustomerView::read(connection, customer, PhoneDisplay::Masked)?;
            let count = move || counting.metrics.count_releases(&outcome);
            Ok(Answer::ok("客户释放成功", view)?.once_committed(count))
        })
        .await
}

fn order(
    caller: &Caller,
    customers: Vec<CustomerId>,
    reason: String,
    ExpectedVersion(expected_version): ExpectedVersion,
) -> ReleaseOrder {
    let reach = if caller.user.may(Act::ReleaseAnyCustomer) {
        ReleaseReach::Anybodys
    } else {
        ReleaseReach::Own(caller.user.id.clone())
    };
    ReleaseOrder {
        customers,
        reach,
        reason,
        expected_version,
        actor: caller.actor(),
        actor_name: caller.user.name.clone(),
        request_id: caller.request_id.clone(),
    }
}
