use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Deserialize;
use shared::domain::RequestId;
use utoipa::ToSchema;

use crate::client_address::Client;
use crate::customers::{CreateError, ServiceCategory};
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::JsonBody;
use crate::state::State;
use crate::validation::{Lines, optional_phone, optional_text, required_text};
use crate::website::{self, Permission, WebsiteLead};

/// The largest form, in bytes.
pub(crate) const FORM_BYTES_MAX: usize = 16 * 1024;

/// How often a form is taken when somebody enters the same customer at the same moment.
const TRIES_MAX: usize = 3;

/// The form of the website.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WebsiteLeadBody {
    name: String,
    /// This or `wechatId` must be given.
    phone: Option<String>,
    wechat_id: Option<String>,
    #[schema(value_type = Option<String>)]
    service_category: Option<ServiceCategory>,
    remarks: Option<String>,
    /// To be hidden from people, who leave it empty; a program that fills it in is thanked, and
    /// nothing is written.
    website: Option<String>,
}

/// Takes what somebody has written into the form of the website. The answer is the same whether they
/// are known already or not.
#[utoipa::path(post, path = "/api/customers/website-lead", tag = "customers", security(()),
    request_body = WebsiteLeadBody,
    responses((status = 201, body = Envelope<Option<bool>>), (status = 429)))]
pub(crate) async fn receive(
    state: State,
    request: HttpRequest,
    JsonBody(body): JsonBody<WebsiteLeadBody>,
) -> Result<HttpResponse, ApiError> {
    let lead = checked(&body)?;
    let client = Client::of(&request, &state.trusted_proxies).to_string();
    ask(&state, client).await?;
    let by_a_program = body.website.is_some_and(|text| !text.trim().is_empty());
    if !by_a_program {
        let request_id = request.extensions().get::<RequestId>().cloned();
        store(&state, lead, request_id.unwrap_or_else(RequestId::generate)).await?;
    }
    Ok(envelope::created(
        "提交成功，我们会尽快与您联系",
        None::<bool>,
    ))
}

fn checked(body: &WebsiteLeadBody) -> Result<WebsiteLead, ApiError> {
    let phone = optional_phone("phone", body.phone.as_deref())?;
    let wechat_id = optional_text("wechatId", body.wechat_id.as_deref(), 64, Lines::One)?;
    if phone.is_none() && wechat_id.is_none() {
        return Err(ApiError::invalid("phone", "请填写手机号或微信号"));
    }
    Ok(WebsiteLead {
        name: required_text("name", &body.name, 50)?,
        phone,
        wechat_id,
        service_category: body.service_category,
        remarks: optional_text("remarks", body.remarks.as_deref(), 2_000, Lines::Many)?,
    })
}

async fn ask(state: &State, client: String) -> Result<(), ApiError> {
    let now = state.now();
    let permission = state
        .database
        .write(move |transaction| website::ask(transaction, &client, now))
        .await?;
    match permission {
        Permission::Granted => Ok(()),
        Permission::Refused { retry_after } => Err(ApiError::TooManyRequests {
            // Whole seconds, and none too early.
            retry_after_seconds: retry_after.as_secs() + 1,
        }),
    }
}

async fn store(state: &State, lead: WebsiteLead, request_id: RequestId) -> Result<(), ApiError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (lead, request_id) = (lead.clone(), request_id.clone());
        let (telling, now) = (state.telling, state.now());
        let stored = state
            .database
            .write(move |transaction| {
                website::receive(transaction, &lead, &request_id, telling, now)
            })
            .await;
        match stored {
            // Whoever was faster is found now.
            Err(
                CreateError::PhoneTaken | CreateError::WechatIdTaken | CreateError::NumberTaken,
            ) if tries < TRIES_MAX => {}
            // Nobody learns here who is a customer.
            Err(CreateError::PhoneTaken | CreateError::WechatIdTaken) => {
                return Err(ApiError::Unavailable(
                    "the same lead was entered again and again".to_owned(),
                ));
            }
            other => return Ok(other?),
        }
    }
}
