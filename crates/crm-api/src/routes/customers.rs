use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, Phone, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auth::policy::Act;
use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::customers::{
    self, ContractStatus, Customer, CustomerFilter, CustomerNumber, LeadLevel, LeadSource,
    NewCustomer, ServiceCategory, Sight, SortBy, SortOrder,
};
use crate::envelope::{self, Envelope, LongPage};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf, id_in_path};
use crate::routes::assignment::reason;
use crate::state::State;
use crate::validation::{Lines, Paging, optional_phone, optional_text, required_text};

pub(crate) const NO_SUCH_CUSTOMER: &str = "客户不存在";

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerView {
    #[schema(value_type = String)]
    id: CustomerId,
    /// The number people use: `CUS` and eleven digits.
    #[schema(value_type = String)]
    customer_id: CustomerNumber,
    name: String,
    /// Whole in the detail, masked in lists.
    phone: Option<String>,
    wechat_id: Option<String>,
    #[schema(value_type = String)]
    lead_source: LeadSource,
    #[schema(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    #[schema(value_type = Option<String>)]
    lead_level: Option<LeadLevel>,
    #[schema(value_type = String)]
    contract_status: ContractStatus,
    remarks: Option<String>,
    #[schema(value_type = Option<String>)]
    assigned_to: Option<UserId>,
    assigned_to_name: Option<String>,
    #[schema(value_type = Option<String>)]
    assigned_by: Option<UserId>,
    assigned_by_name: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    assigned_at: Option<UtcTimestamp>,
    assignment_reason: Option<String>,
    in_public_pool: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    public_pool_entry_time: Option<UtcTimestamp>,
    public_pool_reason: Option<String>,
    claim_count: i32,
    #[schema(value_type = String, format = DateTime)]
    last_activity_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_follow_up_at: Option<UtcTimestamp>,
    transfer_count: i32,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_transferred_at: Option<UtcTimestamp>,
    auto_transfer_enabled: bool,
    frozen: bool,
    #[schema(value_type = Option<String>)]
    frozen_by: Option<UserId>,
    frozen_by_name: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    frozen_at: Option<UtcTimestamp>,
    frozen_reason: Option<String>,
    #[schema(value_type = Option<String>)]
    created_by: Option<UserId>,
    created_by_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
    /// For `If-Match`.
    version: i32,
}

/// What turns users' ids into names.
pub(crate) type Names = std::collections::HashMap<UserId, String>;

/// The users a customer speaks of.
pub(crate) fn people(customer: &Customer) -> impl Iterator<Item = &UserId> {
    [
        &customer.assigned_to,
        &customer.assigned_by,
        &customer.frozen_by,
        &customer.created_by,
    ]
    .into_iter()
    .flatten()
}

impl CustomerView {
    /// A customer with the names of those it speaks of.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn read(
        connection: &mut DbConnection,
        customer: Customer,
        phone: PhoneDisplay,
    ) -> Result<Self, DbError> {
        let names = customers::names_of(connection, people(&customer))?;
        Ok(Self::new(customer, &names, phone))
    }

    pub(crate) fn new(customer: Customer, names: &Names, phone: PhoneDisplay) -> Self {
        let name_of = |user: &Option<UserId>| user.as_ref().and_then(|id| names.get(id).cloned());
        Self {
            assigned_to_name: name_of(&customer.assigned_to),
            assigned_by_name: name_of(&customer.assigned_by),
            frozen_by_name: name_of(&customer.frozen_by),
            created_by_name: name_of(&customer.created_by),
            phone: customer.phone.as_ref().map(|number| shown(number, phone)),
            id: customer.id,
            customer_id: customer.number,
            name: customer.name,
            wechat_id: customer.wechat_id,
            lead_source: customer.lead_source,
            service_category: customer.service_category,
            lead_level: customer.lead_level,
            contract_status: customer.contract_status,
            remarks: customer.remarks,
            assigned_to: customer.assigned_to,
            assigned_by: customer.assigned_by,
            assigned_at: customer.assigned_at,
            assignment_reason: customer.assignment_reason,
            in_public_pool: customer.in_public_pool,
            public_pool_entry_time: customer.pool_entered_at,
            public_pool_reason: customer.pool_reason,
            claim_count: customer.claim_count,
            last_activity_at: customer.last_activity_at,
            last_follow_up_at: customer.last_follow_up_at,
            transfer_count: customer.transfer_count,
            last_transferred_at: customer.last_transferred_at,
            auto_transfer_enabled: customer.auto_transfer_enabled,
            frozen: customer.frozen,
            frozen_by: customer.frozen_by,
            frozen_at: customer.frozen_at,
            frozen_reason: customer.frozen_reason,
            created_by: customer.created_by,
            created_at: customer.created_at,
            updated_at: customer.updated_at,
            version: customer.version,
        }
    }
}

/// A number as it is to be shown.
pub(crate) fn shown(phone: &Phone, display: PhoneDisplay) -> String {
    match display {
        PhoneDisplay::Masked => phone.masked(),
        PhoneDisplay::Full => phone.unmasked().to_owned(),
    }
}

/// A customer to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateCustomerBody {
    name: String,
    /// This or `wechatId` must be given.
    phone: Option<String>,
    wechat_id: Option<String>,
    #[schema(value_type = String)]
    lead_source: LeadSource,
    #[schema(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    #[schema(value_type = Option<String>)]
    lead_level: Option<LeadLevel>,
    /// 待定 if not given.
    #[schema(value_type = Option<String>)]
    contract_status: Option<ContractStatus>,
    remarks: Option<String>,
    /// The creator if not given; somebody else only by those who may assign.
    assigned_to: Option<String>,
    assignment_reason: Option<String>,
}

/// Which customers to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CustomersQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    /// A part of the name; from three characters on also of the phone number, the WeChat id or the
    /// customer number.
    search: Option<String>,
    #[param(value_type = Option<String>)]
    lead_source: Option<LeadSource>,
    #[param(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    #[param(value_type = Option<String>)]
    lead_level: Option<LeadLevel>,
    #[param(value_type = Option<String>)]
    contract_status: Option<ContractStatus>,
    #[param(value_type = Option<String>)]
    assigned_to: Option<UserId>,
    in_public_pool: Option<bool>,
    /// `createdAt` (if not given), `updatedAt`, `lastActivityAt`, `assignedAt`,
    /// `publicPoolEntryTime`.
    #[param(value_type = Option<String>)]
    sort_by: Option<SortBy>,
    /// `asc`, or `desc` (if not given).
    #[param(value_type = Option<String>)]
    sort_order: Option<SortOrder>,
}

/// The words a customer is described with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Enums {
    #[schema(value_type = Vec<String>)]
    lead_sources: &'static [LeadSource],
    #[schema(value_type = Vec<String>)]
    service_categories: &'static [ServiceCategory],
    #[schema(value_type = Vec<String>)]
    lead_levels: &'static [LeadLevel],
    #[schema(value_type = Vec<String>)]
    contract_statuses: &'static [ContractStatus],
}

/// The words a customer is described with.
#[utoipa::path(get, path = "/api/customers/enums", tag = "customers", security(()),
    responses((status = 200, body = Envelope<Enums>)))]
pub(crate) async fn enums() -> HttpResponse {
    let enums = Enums {
        lead_sources: LeadSource::ALL,
        service_categories: ServiceCategory::ALL,
        lead_levels: LeadLevel::ALL,
        contract_statuses: ContractStatus::ALL,
    };
    envelope::ok("获取成功", enums)
}

/// Enters a customer and gives it to its owner.
#[utoipa::path(post, path = "/api/customers", tag = "customers", request_body = CreateCustomerBody,
    responses((status = 201, body = Envelope<CustomerView>), (status = 409)))]
pub(crate) async fn create(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<CreateCustomerBody>,
) -> Result<HttpResponse, ApiError> {
    let new = checked(&body, &caller)?;
    let (telling, now, counting) = (state.telling, state.now(), state.clone());
    let (user, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let customer = customers::create(transaction, &new, &user, &request_id, telling, now)?;
            let connection = transaction.connection();
            let view = CustomerView::read(connection, customer, PhoneDisplay::Full)?;
            let answer = Answer::created("客户创建成功", view)?;
            Ok(answer.once_committed(move || counting.metrics.count_entered()))
        })
        .await
}

fn checked(body: &CreateCustomerBody, caller: &Caller) -> Result<NewCustomer, ApiError> {
    let phone = optional_phone("phone", body.phone.as_deref())?;
    let wechat_id = optional_text("wechatId", body.wechat_id.as_deref(), 64, Lines::One)?;
    if phone.is_none() && wechat_id.is_none() {
        return Err(ApiError::invalid("phone", "请填写手机号或微信号"));
    }
    Ok(NewCustomer {
        name: required_text("name", &body.name, 50)?,
        phone,
        wechat_id,
        lead_source: body.lead_source,
        service_category: body.service_category,
        lead_level: body.lead_level,
        contract_status: body.contract_status.unwrap_or(ContractStatus::Undecided),
        remarks: optional_text("remarks", body.remarks.as_deref(), 2_000, Lines::Many)?,
        owner: owner(body.assigned_to.as_deref(), caller)?,
        assignment_reason: reason("assignmentReason", body.assignment_reason.as_deref())?,
    })
}

/// The owner of a new customer: the caller, or who they name if they may assign.
fn owner(named: Option<&str>, caller: &Caller) -> Result<UserId, ApiError> {
    let Some(named) = named.filter(|text| !text.trim().is_empty()) else {
        return Ok(caller.user.id.clone());
    };
    let owner = crate::routes::assignment::target(named)?;
    let act = Act::AssignCustomers;
    if owner != caller.user.id && !caller.user.may(act) {
        return Err(ApiError::Forbidden(act.refusal()));
    }
    Ok(owner)
}

/// Lists the customers that the caller may see; phone numbers masked.
#[utoipa::path(get, path = "/api/customers", tag = "customers", params(CustomersQuery),
    responses((status = 200, body = Envelope<LongPage<CustomerView>>)))]
pub(crate) async fn list(
    state: State,
    caller: Caller,
    QueryOf(query): QueryOf<CustomersQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let sight = Sight::of(&caller.user);
    let filter = CustomerFilter {
        search: optional_text("search", query.search.as_deref(), 64, Lines::One)?,
        lead_source: query.lead_source,
        service_category: query.service_category,
        lead_level: query.lead_level,
        contract_status: query.contract_status,
        assigned_to: query.assigned_to,
        in_public_pool: query.in_public_pool,
    };
    let sort = (
        query.sort_by.unwrap_or(SortBy::CreatedAt),
        query.sort_order.unwrap_or(SortOrder::Descending),
    );
    let page = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            let (found, total) =
                customers::search(connection, &sight, &filter, sort, offset, limit)?;
            let names = customers::names_of(connection, found.iter().flat_map(people))?;
            let views = found
                .into_iter()
                .map(|customer| CustomerView::new(customer, &names, PhoneDisplay::Masked));
            Ok::<_, ApiError>(LongPage::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

/// One customer, with the whole phone number.
#[utoipa::path(get, path = "/api/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<CustomerView>), (status = 404)))]
pub(crate) async fn show(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(&id, NO_SUCH_CUSTOMER)?;
    let sight = Sight::of(&caller.user);
    let view = state
        .database
        .run(move |connection| {
            let Some(customer) = customers::find(connection, &id, &sight)? else {
                return Err(absent(connection, &id)?);
            };
            let view = CustomerView::read(connection, customer, PhoneDisplay::Full)?;
            Ok::<_, ApiError>(view)
        })
        .await?;
    Ok(envelope::ok("获取成功", view))
}

/// What to say of a customer that is not there: whoever follows the link of an old notification is
/// to read why.
pub(crate) fn absent(connection: &mut DbConnection, id: &CustomerId) -> Result<ApiError, DbError> {
    let message = if customers::was_deleted(connection, id)? {
        "该客户已被删除"
    } else {
        NO_SUCH_CUSTOMER
    };
    Ok(ApiError::NotFound(message.to_owned()))
}
