use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{CustomerId, UserId, UtcTimestamp};
use utoipa::ToSchema;

use crate::assignment::{
    self, AssignError, AssignOrder, Assigned, AssignedCustomer, CUSTOMERS_MAX, Entrance, Refusal,
};
use crate::config::PhoneDisplay;
use crate::customers::{self, LeadSource, ServiceCategory, Sight};
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody, id_in_path};
use crate::routes::customers::{CustomerView, NO_SUCH_CUSTOMER, people, shown};
use crate::state::State;
use crate::validation::{Lines, optional_text};

/// The longest reason.
const REASON_CHARACTERS_MAX: usize = 200;

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

/// Why one customer of a batch was left alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchRefusal {
    /// As it came.
    customer_id: String,
    error: String,
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
    let named = NamedCustomers::read(&body.customer_ids)?;
    let order = AssignOrder {
        customers: named.ids,
        to: target(&body.assigned_to)?,
        reason: reason("assignmentReason", body.assignment_reason.as_deref())?,
        entrance: Entrance::Batch,
        expected_version: None,
        actor: caller.user,
        request_id: caller.request_id,
    };
    let result = assign_many(&state, order, named.malformed).await?;
    let message = format!(
        "批量分配完成：成功 {} 个，失败 {} 个",
        result.success, result.failed
    );
    Ok(envelope::ok(message, result))
}

/// Gives customers of the public pool to somebody, who is told once.
#[utoipa::path(post, path = "/api/customers/public-pool/assign", tag = "assignment",
    request_body = PoolAssignBody, responses((status = 200, body = Envelope<BatchResult>)))]
pub(crate) async fn from_pool(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<PoolAssignBody>,
) -> Result<HttpResponse, ApiError> {
    let named = NamedCustomers::read(&body.customer_ids)?;
    let assignment_reason = reason("assignmentReason", body.assignment_reason.as_deref())?;
    let order = AssignOrder {
        customers: named.ids,
        to: target(&body.assigned_to)?,
        reason: reason("reason", body.reason.as_deref())?.or(assignment_reason),
        entrance: Entrance::Pool,
        expected_version: None,
        actor: caller.user,
        request_id: caller.request_id,
    };
    let result = assign_many(&state, order, named.malformed).await?;
    let message = format!(
        "分配完成：成功 {} 个，失败 {} 个",
        result.success, result.failed
    );
    Ok(envelope::ok(message, result))
}

/// The customers that a request names, each once.
#[derive(Debug, PartialEq)]
struct NamedCustomers {
    ids: Vec<CustomerId>,
    /// Texts that cannot be ids: of customers that do not exist.
    malformed: Vec<String>,
}

impl NamedCustomers {
    fn read(texts: &[String]) -> Result<Self, ApiError> {
        let mut seen = HashSet::new();
        let mut named = Self {
            ids: Vec::new(),
            malformed: Vec::new(),
        };
        for text in texts {
            match text.parse::<CustomerId>() {
                Ok(id) if seen.insert(id.as_str().to_owned()) => named.ids.push(id),
                Err(_) if seen.insert(text.clone()) => {
                    named.malformed.push(text.chars().take(64).collect());
                }
                Ok(_) | Err(_) => {}
            }
        }
        if (1..=CUSTOMERS_MAX).contains(&seen.len()) {
            Ok(named)
        } else {
            Err(ApiError::invalid(
                "customerIds",
                format!("客户数量必须在1到{CUSTOMERS_MAX}之间"),
            ))
        }
    }
}

/// Who should get customers. A text that cannot be an id is nobody's.
pub(crate) fn target(text: &str) -> Result<UserId, ApiError> {
    text.trim()
        .parse()
        .map_err(|_| AssignError::TargetMissing.into())
}

/// Why customers are given.
pub(crate) fn reason(field: &str, value: Option<&str>) -> Result<Option<String>, ApiError> {
    let too_long = value.is_some_and(|text| text.trim().chars().count() > REASON_CHARACTERS_MAX);
    if too_long {
        return Err(ApiError::invalid(field, "分配原因不能超过200字"));
    }
    optional_text(field, value, REASON_CHARACTERS_MAX, Lines::One)
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
        actor: caller.user,
        request_id: caller.request_id,
    };
    let (telling, now, phone) = (state.telling, state.now(), state.notification_data_phone);
    let (outcome, answer) = state
        .database
        .write(move |transaction| {
            let outcome = assignment::assign(transaction, &order, telling, now)?;
            if let Some((_, refusal)) = outcome.refused.first() {
                return Err(ApiError::from(*refusal));
            }
            let connection = transaction.connection();
            let customer = customers::find(connection, &id, &Sight::All)?
                .ok_or(ApiError::from(Refusal::Missing))?;
            let names = customers::names_of(connection, people(&customer))?;
            let time = telling.time_text(now);
            let told = outcome.assigned.first();
            let answer = AssignedView {
                notification_data: told.map(|c| notification_data(&order, c, time, phone)),
                customer: CustomerView::new(customer, &names, PhoneDisplay::Full),
            };
            Ok((outcome, answer))
        })
        .await?;
    state.metrics.count_assignments(entrance, &outcome);
    Ok(envelope::ok("客户分配成功", answer))
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
        assigner_name: order.actor.name.clone(),
        customer_id: customer.id.clone(),
        assign_time,
        service_category: customer.service_category,
        lead_source: customer.lead_source,
    }
}

async fn assign_many(
    state: &State,
    order: AssignOrder,
    malformed: Vec<String>,
) -> Result<BatchResult, ApiError> {
    let (telling, now) = (state.telling, state.now());
    let (order, outcome) = state
        .database
        .write(move |transaction| {
            let outcome = assignment::assign(transaction, &order, telling, now)?;
            Ok::<_, AssignError>((order, outcome))
        })
        .await?;
    state.metrics.count_assignments(order.entrance, &outcome);
    Ok(batch_result(&order, outcome, malformed, state, now))
}

fn batch_result(
    order: &AssignOrder,
    outcome: Assigned,
    malformed: Vec<String>,
    state: &State,
    now: UtcTimestamp,
) -> BatchResult {
    let unknown = malformed.into_iter().map(|id| (id, Refusal::Missing));
    let refused = outcome
        .refused
        .into_iter()
        .map(|(id, refusal)| (id.as_str().to_owned(), refusal));
    let errors: Vec<BatchRefusal> = unknown
        .chain(refused)
        .map(|(customer_id, refusal)| BatchRefusal {
            customer_id,
            error: refusal.to_string(),
        })
        .collect();
    let customer_ids: Vec<CustomerId> = outcome.assigned.into_iter().map(|c| c.id).collect();
    BatchResult {
        success: customer_ids.len(),
        failed: errors.len(),
        unchanged: outcome.unchanged.len(),
        errors,
        notification_data: (!customer_ids.is_empty()).then(|| BatchNotificationData {
            assigned_to_id: order.to.clone(),
            source: assignment::source(order.entrance, order.reason.as_deref()),
            assigner_name: order.actor.name.clone(),
            assign_time: state.telling.time_text(now),
            customer_count: customer_ids.len(),
            customer_ids,
            from_public_pool: (order.entrance == Entrance::Pool).then_some(true),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        let id = || CustomerId::generate().as_str().to_owned();
        (0..count).map(|_| id()).collect()
    }

    #[test]
    fn repeated_ids_count_once_whatever_their_form() {
        let mut texts = ids(1);
        texts.push(texts[0].to_uppercase());
        texts.extend(["nobody".to_owned(), "nobody".to_owned()]);
        let named = NamedCustomers::read(&texts).unwrap();
        assert_eq!(named.ids.len(), 1);
        assert_eq!(named.malformed, ["nobody"]);
    }

    #[test]
    fn a_batch_has_one_to_a_thousand_customers() {
        let mut many = ids(1_000);
        many.push(many[0].clone());
        assert!(NamedCustomers::read(&many).is_ok());
        many.push(CustomerId::generate().as_str().to_owned());
        for texts in [Vec::new(), many] {
            let refused = NamedCustomers::read(&texts).unwrap_err();
            assert_eq!(refused.to_string(), "客户数量必须在1到1000之间");
        }
    }

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
