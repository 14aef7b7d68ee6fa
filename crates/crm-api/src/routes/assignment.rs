use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{CustomerId, UserId, UtcTimestamp};
use utoipa::ToSchema;

use crate::assignment::{
    self, AssignError, AssignOrder, Assigned, AssignedCustomer, CUSTOMERS_MAX, Entrance, Refusal,
    Telling,
};
use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{self, LeadSource, ServiceCategory, Sight};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody, id_in_path};
use crate::routes::customers::{CustomerView, NO_SUCH_CUSTOMER, shown};
use crate::routes::named_customers::{BatchRefusal, NamedCustomers};
use crate::state::State;
use crate::validation::optional_reason;

/// Who gets a customer.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AssignBody {
    assigned_to: String,
    /// At most 200 characters.
    assignment_reason: Option<String>,
}

/// Who gets which customers.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchAssignBody {
    /// 1 to 1000; repeated ones count once.
    customer_ids: Vec<String>,
    assigned_to: String,
    /// At most 200 characters.
    assignment_reason: Option<String>,
}

/// Who gets which customers of the public pool.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PoolAssignBody {
    /// 1 to 1000; repeated ones count once.
    customer_ids: Vec<String>,
    assigned_to: String,
    /// At most 200 characters.
    reason: Option<String>,
    /// Another name for `reason`, which comes first.
    assignment_reason: Option<String>,
}

/// A customer after its assignment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignedView {
    #[serde(flatten)]
    customer: CustomerView,
    /// Null if nothing changed. For old clients; delivery does not depend on it.
    notification_data: Option<NotificationData>,
}

/// What old clients used to send the message themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationData {
    #[schema(value_type = String)]
    assigned_to_id: UserId,
    customer_name: String,
    customer_phone: Option<String>,
    source: String,
    assigner_name: String,
    #[schema(value_type = String)]
    customer_id: CustomerId,
    /// `2026年01月02日 11:04`
    assign_time: String,
    #[schema(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    #[schema(value_type = String)]
    lead_source: LeadSource,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchResult {
    /// How many changed hands.
    success: usize,
    /// How many could not.
    failed: usize,
    /// How many were theirs already.
    unchanged: usize,
    errors: Vec<BatchRefusal>,
    /// Null if nothing changed. For old clients; delivery does not depend on it.
    notification_data: Option<BatchNotificationData>,
}

/// What old clients used to send the summary themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchNotificationData {
    #[schema(value_type = String)]
    assigned_to_id: UserId,
    source: String,
    assigner_name: String,
    assign_time: String,
    customer_count: usize,
    /// Only those that changed hands.
    #[schema(value_type = Vec<String>)]
    customer_ids: Vec<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_public_pool: Option<bool>,
}

/// Gives a customer to somebody. `If-Match` with a version makes it a 409 if the customer has
/// changed since.
#[utoipa::path(patch, path = "/api/customers/{id}/assign", tag = "assignment",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = AssignBody,
    responses((status = 200, body = Envelope<AssignedView>), (status = 404), (status = 409)))]
pub(crate) async fn single(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<AssignBody>,
) -> Result<HttpResponse, ApiError> {
    assign_one(&state, caller, &id, version, body, Entrance::Single).await
}

/// The same, for the mini program.
#[utoipa::path(patch, path = "/api/customers/miniprogram/{id}/assign", tag = "assignment",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = AssignBody,
    responses((status = 200, body = Envelope<AssignedView>), (status = 404), (status = 409)))]
pub(crate) async fn mini_program(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<AssignBody>,
) -> Result<HttpResponse, ApiError> {
    assign_one(&state, caller, &id, version, body, Entrance::MiniProgram).await
}

/// Gives many customers to somebody, who is told once.
#[utoipa::path(post, path = "/api/customers/batch-assign", tag = "assignment",
    request_body = BatchAssignBody, responses((status = 200, body = Envelope<BatchResult>)))]
pub(crate) async fn batch(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<BatchAssignBody>,
) -> Result<HttpResponse, ApiError> {
    let named = NamedCustomers::read(&body.customer_ids, CUSTOMERS_MAX)?;
    let order = AssignOrder {
        customers: named.ids,
        to: target(&body.assigned_to)?,
        reason: reason("assignmentReason", body.assignment_reason.as_deref())?,
        entrance: Entrance::Batch,
        expected_version: None,
        actor: caller.actor(),
        actor_name: caller.user.name.clone(),
        request_id: caller.request_id.clone(),
    };
    assign_many(&state, &caller, order, named.malformed, "批量分配完成").await
}

/// Gives customers of the public pool to somebody, who is told once.
#[utoipa::path(post, path = "/api/customers/public-pool/assign", tag = "assignment",
    request_body = PoolAssignBody, responses((status = 200, body = Envelope<BatchResult>)))]
pub(crate) async fn from_pool(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<PoolAssignBody>,
) -> Result<HttpResponse, ApiError> {
    let named = NamedCustomers::read(&body.customer_ids, CUSTOMERS_MAX)?;
    let assignment_reason = reason("assignmentReason", body.assignment_reason.as_deref())?;
    let order = AssignOrder {
        customers: named.ids,
        to: target(&body.assigned_to)?,
        reason: reason("reason", body.reason.as_deref())?.or(assignment_reason),
        entrance: Entrance::Pool,
        expected_version: None,
        actor: caller.actor(),
        actor_name: caller.user.name.clone(),
        request_id: caller.request_id.clone(),
    };
    assign_many(&state, &caller, order, named.malformed, "分配完成").await
}

/// Who should get customers. A text that cannot be an id is nobody's.
pub(crate) fn target(text: &str) -> Result<UserId, ApiError> {
    text.trim()
        .parse()
        .map_err(|_| AssignError::TargetMissing.into())
}

/// Why customers are given.
pub(crate) fn reason(field: &str, value: Option<&str>) -> Result<Option<String>, ApiError> {
    optional_reason(field, value, "分配原因")
}

async fn assign_one(
    state: &State,
    caller: Caller,
    id: &str,
    ExpectedVersion(expected_version): ExpectedVersion,
    body: AssignBody,
    entrance: Entrance,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(id, NO_SUCH_CUSTOMER)?;
    let order = AssignOrder {
        customers: vec![id.clone()],
        to: target(&body.assigned_to)?,
        reason: reason("assignmentReason", body.assignment_reason.as_deref())?,
        entrance,
        expected_version,
        actor: caller.actor(),
        actor_name: caller.user.name.clone(),
        request_id: caller.request_id.clone(),
    };
    let (telling, now, phone) = (state.telling, state.now(), state.notification_data_phone);
    let counting = state.clone();
    state
        .change(&caller, move |transaction| {
            let outcome = assignment::assign(transaction, &order, telling, now)?;
            if let Some((_, refusal)) = outcome.refused.first() {
                return Err(ApiError::from(*refusal));
            }
            let connection = transaction.connection();
            let customer = customers::find(connection, &id, &Sight::All)?
                .ok_or(ApiError::from(Refusal::Missing))?;
            let customer = CustomerView::read(connection, customer, PhoneDisplay::Full)?;
            let time = telling.time_text(now);
            let told = outcome.assigned.first();
            let view = AssignedView {
                notification_data: told.map(|c| notification_data(&order, c, time, phone)),
                customer,
            };
            let answer = Answer::ok("客户分配成功", view)?;
            Ok(answer
                .once_committed(move || counting.metrics.count_assignments(entrance, &outcome)))
        })
        .await
}

fn notification_data(
    order: &AssignOrder,
    customer: &AssignedCustomer,
    assign_time: String,
    phone: PhoneDisplay,
) -> NotificationData {
    NotificationData {
        assigned_to_id: order.to.clone(),
        customer_name: customer.name.clone(),
        customer_phone: customer.phone.as_ref().map(|number| shown(number, phone)),
        source: assignment::source(order.entrance, order.reason.as_deref()),
        assigner_name: order.actor_name.clone(),
        customer_id: customer.id.clone(),
        assign_time,
        service_category: customer.service_category,
        lead_source: customer.lead_source,
    }
}

async fn assign_many(
    state: &State,
    caller: &Caller,
    order: AssignOrder,
    malformed: Vec<String>,
    done: &'static str,
) -> Result<HttpResponse, ApiError> {
    let (telling, now, counting) = (state.telling, state.now(), state.clone());
    state
        .change(caller, move |transaction| {
            let outcome = assignment::assign(transaction, &order, telling, now)?;
            let result = batch_result(&order, &outcome, malformed, telling, now);
            let message = format!(
                "{done}：成功 {} 个，失败 {} 个",
                result.success, result.failed
            );
            let count = move || {
                counting.metrics.count_assignments(order.entrance, &outcome);
            };
            Ok(Answer::ok(message, result)?.once_committed(count))
        })
        .await
}

fn batch_result(
    order: &AssignOrder,
    outcome: &Assigned,
    malformed: Vec<String>,
    telling: Telling,
    now: UtcTimestamp,
) -> BatchResult {
    let errors = BatchRefusal::all(malformed, &outcome.refused);
    let customer_ids: Vec<CustomerId> = outcome.assigned.iter().map(|c| c.id.clone()).collect();
    BatchResult {
        success: customer_ids.len(),
        failed: errors.len(),
        unchanged: outcome.unchanged.len(),
        errors,
        notification_data: (!customer_ids.is_empty()).then(|| BatchNotificationData {
            assigned_to_id: order.to.clone(),
            source: assignment::source(order.entrance, order.reason.as_deref()),
            assigner_name: order.actor_name.clone(),
            assign_time: telling.time_text(now),
            customer_count: customer_ids.len(),
            customer_ids,
            from_public_pool: (order.entrance == Entrance::Pool).then_some(true),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_two_hundred_characters_at_most() {
        let right = "因".repeat(200);
        assert_eq!(reason("reason", Some(&right)).unwrap(), Some(right.clone()));
        let refused = reason("reason", Some(&format!("{right}因"))).unwrap_err();
        assert_eq!(refused.to_string(), "分配原因不能超过200字");
        assert!(reason("reason", Some("因\n果")).is_err());
        assert_eq!(reason("reason", Some(" ")).unwrap(), None);
    }
}
