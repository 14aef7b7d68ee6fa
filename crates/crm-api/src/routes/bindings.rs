use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{App, UserId, UtcTimestamp};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, id_in_path};
use crate::state::State;
use crate::users::{self, Binding};

/// Who a user is in one application of a platform.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BindingView {
    /// `mini_program:<appid>` or `wecom:<corpid>`.
    app: String,
    /// The platform's name for the user: an openid, a WeCom userid.
    external_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
}

impl From<Binding> for BindingView {
    fn from(binding: Binding) -> Self {
        Self {
            app: binding.app,
            external_id: binding.external_id,
            created_at: binding.created_at,
            updated_at: binding.updated_at,
        }
    }
}

/// An identity on a platform.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BindingBody {
    /// 1 to 128 visible characters.
    external_id: String,
}

/// The identities of a user.
#[utoipa::path(get, path = "/api/users/{id}/bindings", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<Vec<BindingView>>), (status = 404)))]
pub(crate) async fn list(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let user = user_id(&id)?;
    let bindings = state
        .database
        .run(move |connection| users::bindings_of(connection, &user))
        .await?;
    let bindings: Vec<BindingView> = bindings.into_iter().map(Into::into).collect();
    Ok(envelope::ok("获取成功", bindings))
}

/// Ties a user to an identity in one application.
#[utoipa::path(put, path = "/api/users/{id}/bindings/{app}", tag = "users",
    params(("id" = String, Path), ("app" = String, Path)), request_body = BindingBody,
    responses((status = 200, body = Envelope<Vec<BindingView>>), (status = 404), (status = 409)))]
pub(crate) async fn put(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    JsonBody(body): JsonBody<BindingBody>,
) -> Result<HttpResponse, ApiError> {
    let (user, app) = (user_id(&path.0)?, app(&path.1)?);
    let external_id = external_id(body.external_id)?;
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            users::put_binding(
                transaction,
                &user,
                &app,
                &external_id,
                &actor,
                &request_id,
                now,
            )?;
            let bindings = users::bindings_of(transaction.connection(), &user)?;
            let bindings: Vec<BindingView> = bindings.into_iter().map(Into::into).collect();
            Answer::ok("绑定成功", bindings)
        })
        .await
}

/// Unties a user.
#[utoipa::path(delete, path = "/api/users/{id}/bindings/{app}", tag = "users",
    params(("id" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = Envelope<Option<bool>>), (status = 404)))]
pub(crate) async fn remove(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (user, app) = (user_id(&path.0)?, app(&path.1)?);
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            users::remove_binding(transaction, &user, &app, &actor, &request_id, now)?;
            Answer::ok("解绑成功", None::<bool>)
        })
        .await
}

fn user_id(text: &str) -> Result<UserId, ApiError> {
    id_in_path(text, "用户不存在")
}

fn app(text: &str) -> Result<App, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(
            "app",
            "应用标识必须是 mini_program:<appid> 或 wecom:<corpid>",
        )
    })
}

fn external_id(text: String) -> Result<String, ApiError> {
    let visible = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if visible && (1..=128).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(ApiError::invalid(
            "externalId",
            "externalId 必须是1到128个可见字符",
        ))
    }
}
