use actix_web::HttpResponse;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::login_limit::{self, Permission};
use crate::auth::password::{CHARACTERS_MAX, Verification};
use crate::auth::session::{self, Credentials};
use crate::envelope::{self, Envelope};
use crate::error::{ApiError, Unauthenticated};
use crate::extract::{Caller, JsonBody};
use crate::routes::users::UserView;
use crate::state::State;
use crate::validation::required_text;

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginBody {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: String,
}

/// A token, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    /// To be sent as `Authorization: Bearer …`; good for 24 hours.
    access_token: String,
    user: UserView,
}

/// Gives a token for a name and a password.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", security(()),
    request_body = LoginBody, responses((status = 200, body = Envelope<LoggedIn>), (status = 429)))]
pub(crate) async fn login(
    state: State,
    JsonBody(body): JsonBody<LoginBody>,
) -> Result<HttpResponse, ApiError> {
    let username = required_text("username", &body.username, 64)?;
    if body.password.chars().count() > CHARACTERS_MAX {
        // No such password can exist; it is not worth hashing.
        return Err(ApiError::Unauthenticated(Unauthenticated::WrongCredentials));
    }
    let password = SecretString::from(body.password);
    let credentials = ask_for_login(&state, &username).await?;
    let stored = credentials.as_ref().map(|c| c.password_hash.clone());
    let verification = state.passwords.verify(&password, stored).await?;
    let credentials = match (verification, credentials) {
        (Verification::Right, Some(credentials)) if credentials.active => credentials,
        (Verification::Right | Verification::Wrong, _) => {
            return Err(ApiError::Unauthenticated(Unauthenticated::WrongCredentials));
        }
    };
    let user = forgive_failures(&state, username, &credentials).await?;
    let access_token = state
        .tokens
        .issue(&credentials.id, credentials.token_epoch, state.now())
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let answer = LoggedIn { access_token, user };
    Ok(envelope::ok("登录成功", answer))
}

/// What to compare the password with, if the name has not failed too often.
async fn ask_for_login(state: &State, username: &str) -> Result<Option<Credentials>, ApiError> {
    let (username, now) = (username.to_owned(), state.now());
    state
        .database
        .write(
            move |transaction| match login_limit::ask(transaction, &username, now)? {
                Permission::Refused => Err(ApiError::TooManyLogins),
                Permission::Granted => {
                    Ok(session::credentials(transaction.connection(), &username)?)
                }
            },
        )
        .await
}

async fn forgive_failures(
    state: &State,
    username: String,
    credentials: &Credentials,
) -> Result<UserView, ApiError> {
    let id = credentials.id.clone();
    state
        .database
        .write(move |transaction| {
            login_limit::forgive(transaction, &username)?;
            let user = crate::users::find(transaction.connection(), &id)?;
            user.map(UserView::from)
                .ok_or(ApiError::Unauthenticated(Unauthenticated::WrongCredentials))
        })
        .await
}

/// The user the token is for.
#[utoipa::path(get, path = "/api/auth/me", tag = "auth",
    responses((status = 200, body = Envelope<UserView>)))]
pub(crate) async fn me(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let user = state
        .database
        .run(move |connection| crate::users::find(connection, &caller.user.id))
        .await?;
    let user = user.ok_or(ApiError::Unauthenticated(Unauthenticated::InvalidToken))?;
    Ok(envelope::ok("获取成功", UserView::from(user)))
}

/// Ends every session of the caller: no token made until now is good any more.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth",
    responses((status = 200, body = Envelope<Option<bool>>)))]
pub(crate) async fn logout(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    state
        .database
        .write(move |transaction| session::end_all(transaction, &caller.user.id, now))
        .await?;
    Ok(envelope::ok("退出登录成功", None::<bool>))
}
