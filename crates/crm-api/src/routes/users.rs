use actix_web::{HttpResponse, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::domain::{Phone, Role, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auth::password;
use crate::change::Answer;
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf, given, id_in_path};
use crate::state::State;
use crate::users::{self, AssignableUser, NewUser, User, UserChanges, UserFilter};
use crate::validation::{Lines, Paging, optional_phone, optional_text, required_text};

const NO_SUCH_USER: &str = "用户不存在";

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView {
    #[schema(value_type = String)]
    id: UserId,
    username: String,
    name: String,
    /// The whole number: colleagues' numbers are no secret to those who manage them.
    phone: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    /// What the role is called.
    role_name: &'static str,
    department: Option<String>,
    active: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            name: user.name,
            phone: user.phone.map(|phone| phone.unmasked().to_owned()),
            role: user.role,
            role_name: user.role.label(),
            department: user.department,
            active: user.active,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A user to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateUserBody {
    /// 2 to 64 letters, digits, `.`, `_`, `-`; unique.
    username: String,
    /// 8 to 128 characters.
    #[schema(format = Password)]
    password: String,
    name: String,
    phone: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    department: Option<String>,
}

/// What is to be changed; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeUserBody {
    name: Option<String>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    department: Option<Option<String>>,
    /// False ends all their sessions.
    active: Option<bool>,
    /// A new one ends all their sessions.
    #[schema(format = Password)]
    password: Option<String>,
}

/// Which users to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    #[param(value_type = Option<String>)]
    role: Option<Role>,
    active: Option<bool>,
}

/// Somebody who may be given customers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignableUserView {
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    #[schema(value_type = String)]
    role: Role,
    role_name: &'static str,
    department: Option<String>,
}

impl From<AssignableUser> for AssignableUserView {
    fn from(user: AssignableUser) -> Self {
        Self {
            id: user.id,
            name: user.name,
            role: user.role,
            role_name: user.role.label(),
            department: user.department,
        }
    }
}

/// Lists users, newest first.
#[utoipa::path(get, path = "/api/users", tag = "users", params(UsersQuery),
    responses((status = 200, body = Envelope<Page<UserView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<UsersQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let filter = UserFilter {
        role: query.role,
        active: query.active,
    };
    let (users, total) = state
        .database
        .run(move |connection| users::list(connection, &filter, paging.offset(), paging.limit()))
        .await?;
    let users = users.into_iter().map(UserView::from).collect();
    Ok(envelope::ok("获取成功", Page::new(users, total, paging)))
}

/// Makes a user.
#[utoipa::path(post, path = "/api/users", tag = "users", request_body = CreateUserBody,
    responses((status = 201, body = Envelope<UserView>), (status = 409)))]
pub(crate) async fn create(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<CreateUserBody>,
) -> Result<HttpResponse, ApiError> {
    let new = NewUser {
        username: username(&body.username)?,
        name: required_text("name", &body.name, 50)?,
        phone: optional_phone("phone", body.phone.as_deref())?,
        role: body.role,
        department: department(body.department.as_deref())?,
        password_hash: hash_of_new(&state, body.password).await?,
    };
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let user = users::create(transaction, new, &actor, &request_id, now)?;
            Answer::created("用户创建成功", UserView::from(user))
        })
        .await
}

/// One user.
#[utoipa::path(get, path = "/api/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<UserView>), (status = 404)))]
pub(crate) async fn show(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id: UserId = id_in_path(&id, NO_SUCH_USER)?;
    let user = state
        .database
        .run(move |connection| users::find(connection, &id))
        .await?;
    let user = user.ok_or_else(|| ApiError::NotFound(NO_SUCH_USER.to_owned()))?;
    Ok(envelope::ok("获取成功", UserView::from(user)))
}

/// Changes a user, or deactivates them.
#[utoipa::path(patch, path = "/api/users/{id}", tag = "users", params(("id" = String, Path)),
    request_body = ChangeUserBody,
    responses((status = 200, body = Envelope<UserView>), (status = 404), (status = 409)))]
pub(crate) async fn change(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    JsonBody(body): JsonBody<ChangeUserBody>,
) -> Result<HttpResponse, ApiError> {
    let id: UserId = id_in_path(&id, NO_SUCH_USER)?;
    let name = body.name.map(|name| required_text("name", &name, 50));
    let phone: Option<Result<Option<Phone>, ApiError>> = body
        .phone
        .map(|phone| optional_phone("phone", phone.as_deref()));
    let department = body.department.map(|name| department(name.as_deref()));
    let mut changes = UserChanges {
        name: name.transpose()?,
        phone: phone.transpose()?,
        role: body.role,
        department: department.transpose()?,
        active: body.active,
        password_hash: None,
    };
    if let Some(password) = body.password {
        changes.password_hash = Some(hash_of_new(&state, password).await?);
    }
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let user = users::update(transaction, &id, &changes, &actor, &request_id, now)?;
            Answer::ok("用户更新成功", UserView::from(user))
        })
        .await
}

/// Everybody who may be given customers, by name.
#[utoipa::path(get, path = "/api/customers/assignable-users", tag = "customers",
    responses((status = 200, body = Envelope<Vec<AssignableUserView>>)))]
pub(crate) async fn assignable(state: State) -> Result<HttpResponse, ApiError> {
    let users = state.database.run(users::assignable).await?;
    let users: Vec<AssignableUserView> = users.into_iter().map(Into::into).collect();
    Ok(envelope::ok("获取成功", users))
}

fn username(value: &str) -> Result<String, ApiError> {
    let fits = (2..=64).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        Ok(value.to_owned())
    } else {
        Err(ApiError::invalid(
            "username",
            "用户名只能包含字母、数字、点、下划线和连字符，长度2到64",
        ))
    }
}

fn department(value: Option<&str>) -> Result<Option<String>, ApiError> {
    optional_text("department", value, 50, Lines::One)
}

/// Hashing takes its time: it is done before the transaction begins.
async fn hash_of_new(state: &State, password: String) -> Result<String, ApiError> {
    let password = SecretString::from(password);
    password::check_new(&password)
        .map_err(|unfit| ApiError::invalid("password", unfit.to_string()))?;
    Ok(state.passwords.hash(&password).await?)
}
