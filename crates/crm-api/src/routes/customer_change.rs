use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::domain::CustomerId;
use utoipa::ToSchema;

use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{
    self, ContractStatus, CustomerAct, CustomerChanges, CustomerNumber, LeadLevel, LeadSource,
    ServiceCategory,
};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody, given, id_in_path};
use crate::routes::customers::{CustomerView, NO_SUCH_CUSTOMER};
use crate::state::State;
use crate::validation::{Lines, optional_phone, optional_text, required_text};

/// What is to be changed; what is not given stays, and null takes it away where it may be missing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeCustomerBody {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// This or `wechatId` must remain.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    wechat_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    lead_source: Option<Option<LeadSource>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    service_category: Option<Option<ServiceCategory>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    lead_level: Option<Option<LeadLevel>>,
    /// The owner is told, unless they change it themselves.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    contract_status: Option<Option<ContractStatus>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    remarks: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    auto_transfer_enabled: Option<Option<bool>>,
    /// Read only to say where owners are changed.
    #[serde(default, deserialize_with = "given")]
    #[schema(ignore)]
    assigned_to: Option<Option<Value>>,
}

/// A customer that is there no more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedCustomerView {
    #[schema(value_type = String)]
    id: CustomerId,
    #[schema(value_type = String)]
    customer_id: CustomerNumber,
    name: String,
    /// How many messages about it waited and will not be sent.
    cancelled_messages: usize,
}

/// Changes what is known of a customer. A change that changes nothing writes nothing. `If-Match` with
/// a version makes it a 409 if the customer has changed since.
#[utoipa::path(patch, path = "/api/customers/{id}", tag = "customers",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = ChangeCustomerBody,
    responses((status = 200, body = Envelope<CustomerView>), (status = 404), (status = 409)))]
pub(crate) async fn change(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
    JsonBody(body): JsonBody<ChangeCustomerBody>,
) -> Result<HttpResponse, ApiError> {
    let act = act(&caller, &id, version)?;
    let changes = changes(body)?;
    let (telling, now) = (state.telling, state.now());
    state
        .change(&caller, move |transaction| {
            let customer = customers::change(transaction, &act, changes, telling, now)?;
            let connection = transaction.connection();
            let view = CustomerView::read(connection, customer, PhoneDisplay::Full)?;
            Answer::ok("客户更新成功", view)
        })
        .await
}

/// Removes a customer with its history and follow-ups, and cancels what waits to be told of it.
#[utoipa::path(delete, path = "/api/customers/{id}", tag = "customers",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Envelope<DeletedCustomerView>), (status = 404), (status = 409)))]
pub(crate) async fn remove(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    version: ExpectedVersion,
) -> Result<HttpResponse, ApiError> {
    let act = act(&caller, &id, version)?;
    let now = state.now();
    state
        .change(&caller, move |transaction| {
            let deleted = customers::delete(transaction, &act, now)?;
            let view = DeletedCustomerView {
                id: deleted.customer.id,
                customer_id: deleted.customer.number,
                name: deleted.customer.name,
                cancelled_messages: deleted.cancelled_messages,
            };
            Answer::ok("客户删除成功", view)
        })
        .await
}

/// What the caller wants to do with the customer that a path names.
pub(crate) fn act(
    caller: &Caller,
    id: &str,
    ExpectedVersion(expected_version): ExpectedVersion,
) -> Result<CustomerAct, ApiError> {
    Ok(CustomerAct {
        customer: id_in_path(id, NO_SUCH_CUSTOMER)?,
        expected_version,
        actor: caller.user.clone(),
        request_id: caller.request_id.clone(),
    })
}

fn changes(body: ChangeCustomerBody) -> Result<CustomerChanges, ApiError> {
    if body.assigned_to.is_some() {
        return Err(ApiError::invalid(
            "assignedTo",
            "负责人不能在此修改，请使用 PATCH /api/customers/{id}/assign 分配客户",
        ));
    }
    let name = body
        .name
        .map(|name| required_text("name", name.as_deref().unwrap_or_default(), 50));
    let phone = body
        .phone
        .map(|phone| optional_phone("phone", phone.as_deref()));
    let wechat_id = body
        .wechat_id
        .map(|id| optional_text("wechatId", id.as_deref(), 64, Lines::One));
    let remarks = body
        .remarks
        .map(|text| optional_text("remarks", text.as_deref(), 2_000, Lines::Many));
    Ok(CustomerChanges {
        name: name.transpose()?,
        phone: phone.transpose()?,
        wechat_id: wechat_id.transpose()?,
        lead_source: indispensable("leadSource", body.lead_source)?,
        service_category: body.service_category,
        lead_level: body.lead_level,
        contract_status: indispensable("contractStatus", body.contract_status)?,
        remarks: remarks.transpose()?,
        auto_transfer_enabled: indispensable("autoTransferEnabled", body.auto_transfer_enabled)?,
    })
}

/// What every customer has: it can be changed and not taken away.
fn indispensable<T>(field: &str, value: Option<Option<T>>) -> Result<Option<T>, ApiError> {
    match value {
        Some(None) => Err(ApiError::invalid(field, format!("字段 {field} 不能为空"))),
        Some(Some(value)) => Ok(Some(value)),
        None => Ok(None),
    }
}
