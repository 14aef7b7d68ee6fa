use actix_web::{HttpResponse, web};
use serde::Deserialize;
use shared::db::WriteTransaction;
use utoipa::ToSchema;

use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{self, Customer};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody};
use crate::routes::customer_change::act;
use crate::routes::customers::CustomerView;
use crate::state::State;
use crate::validation::required_reason;

/// Why a customer is to be frozen.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FreezeBody {
    /// Must be given; at most 200 characters.
    reason: Option<String>,
}

/// Keeps a customer from being released or moved by rule. `If-Match` as for a change.
#[utoipa::path(patch, path = "/api/customers/{id}/freeze", tag = "customers",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = FreezeBody,
    responses((status = 200, body = Envelope<CustomerView>), (status = 404), (status = 409)))]
pub(crate) async fn freeze(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<FreezeBody>,
) -> Result<HttpResponse, ApiError> {
    let act = act(&caller, &id, version)?;
    let reason = required_reason("reason", body.reason.as_deref(), "冻结原因")?;
    let now = state.now();
    state
        .change(&caller, move |transaction| {
            let customer = customers::freeze(transaction, &act, &reason, now)?;
            answer(transaction, "线索冻结成功", customer)
        })
        .await
}

/// Lets a frozen customer go again. It needs no body.
#[utoipa::path(patch, path = "/api/customers/{id}/unfreeze", tag = "customers",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Envelope<CustomerView>), (status = 404), (status = 409)))]
pub(crate) async fn unfreeze(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
) -> Result<HttpResponse, ApiError> {
    let act = act(&caller, &id, version)?;
    let now = state.now();
    state
        .change(&caller, move |transaction| {
            let customer = customers::unfreeze(transaction, &act, now)?;
            answer(transaction, "线索解冻成功", customer)
        })
        .await
}

fn answer(
    transaction: &mut WriteTransaction<'_>,
    message: &str,
    customer: Customer,
) -> Result<Answer, ApiError> {
    let view = CustomerView::read(transaction.connection(), customer, PhoneDisplay::Full)?;
    Answer::ok(message, view)
}
