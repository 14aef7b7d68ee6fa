use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;

use crate::auth::policy::Act;
use crate::auth::session::{self, CurrentUser};
use crate::error::{ApiError, Unauthenticated};
use crate::state::State;

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Every user who is logged in.
    AnyUser,
    /// Users whose role may do this.
    Act(Act),
}

/// Lets a request through to its handler if whoever sent it may, before its body is read.
pub(crate) async fn authorize(
    access: Access,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    match check(access, &request).await {
        Ok(None) => next.call(request).await,
        Ok(Some(user)) => {
            request.extensions_mut().insert(user);
            next.call(request).await
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

async fn check(access: Access, request: &ServiceRequest) -> Result<Option<CurrentUser>, ApiError> {
    match access {
        Access::Public => Ok(None),
        Access::AnyUser => current_user(request).await.map(Some),
        Access::Act(act) => {
            let user = current_user(request).await?;
            if user.may(act) {
                Ok(Some(user))
            } else {
                Err(ApiError::Forbidden(act.refusal()))
            }
        }
    }
}

async fn current_user(request: &ServiceRequest) -> Result<CurrentUser, ApiError> {
    let invalid = ApiError::Unauthenticated(Unauthenticated::InvalidToken);
    let state = request
        .app_data::<State>()
        .ok_or_else(|| ApiError::Internal("no state".to_owned()))?;
    let Some(token) = bearer_token(request)? else {
        return Err(ApiError::Unauthenticated(Unauthenticated::NoToken));
    };
    let Ok(claims) = state.tokens.read(token, state.now()) else {
        return Err(invalid);
    };
    let user = state
        .database
        .run(move |connection| session::user_of(connection, &claims))
        .await?;
    user.ok_or(invalid)
}

fn bearer_token(request: &ServiceRequest) -> Result<Option<&str>, ApiError> {
    let Some(header) = request.headers().get(AUTHORIZATION) else {
        return Ok(None);
    };
    header
        .to_str()
        .ok()
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Some(token.trim()))
        .ok_or(ApiError::Unauthenticated(Unauthenticated::InvalidToken))
}
