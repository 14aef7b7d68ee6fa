use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use actix_web::middleware::Next;
use secrecy::SecretString;
use shared::domain::UtcTimestamp;

use crate::auth::policy::Act;
use crate::auth::service_token::{self, Scope, ServiceToken, USE_NOTED_EVERY};
use crate::auth::session::{self, CurrentUser};
use crate::auth::token::Claims;
use crate::error::{ApiError, Unauthenticated};
use crate::idempotency::repeatable_request;
use crate::push::ticket;
use crate::state::State;

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Every user who is logged in.
    AnyUser,
    /// Every user who is logged in, by a token or a ticket among the sub-protocols of a WebSocket: a
    /// browser sends no other header with one.
    Socket,
    /// Users whose role may do this.
    Act(Act),
    /// Every user who is logged in, and programs whose service token has this scope.
    AnyUserOr(Scope),
    /// Users whose role may do this, and programs whose service token has this scope.
    ActOr(Act, Scope),
}

impl Access {
    /// What a service token must have to be let through; none will do elsewhere.
    pub(crate) fn scope(self) -> Option<Scope> {
        match self {
            Self::Public | Self::AnyUser | Self::Socket | Self::Act(_) => None,
            Self::AnyUserOr(scope) | Self::ActOr(_, scope) => Some(scope),
        }
    }
}

/// Who was let through.
enum Known {
    User(CurrentUser, Claims),
    Service(ServiceToken),
}

/// What goes before a token in `Sec-WebSocket-Protocol`.
const TOKEN_PROTOCOL: &str = "yizhan.jwt";
/// What goes before a one-time ticket.
const TICKET_PROTOCOL: &str = "yizhan.ticket";
/// What the server answers with, of what the client offers. Never the secret beside it.
pub(crate) const SOCKET_PROTOCOLS: [&str; 2] = [TOKEN_PROTOCOL, TICKET_PROTOCOL];

/// Lets a request through to its handler if whoever sent it may, before its body is read. Only a
/// request of somebody can be repeatable: the key of a stranger would be nobody's.
pub(crate) async fn authorize(
    access: Access,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let known = match check(access, &request).await {
        Ok(None) => return next.call(request).await,
        Ok(Some(known)) => known,
        Err(refusal) => return Ok(request.error_response(refusal)),
    };
    match known {
        Known::User(user, claims) => {
            request.extensions_mut().insert(user);
            request.extensions_mut().insert(claims);
        }
        Known::Service(token) => drop(request.extensions_mut().insert(token)),
    }
    match repeatable_request(&mut request).await {
        Ok(None) => next.call(request).await,
        Ok(Some(repeatable)) => {
            request.extensions_mut().insert(repeatable);
            next.call(request).await
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

async fn check(access: Access, request: &ServiceRequest) -> Result<Option<Known>, ApiError> {
    if access == Access::Public {
        return Ok(None);
    }
    if let Some(secret) = service_secret(request)? {
        return service(access, request, secret).await.map(Some);
    }
    let claims = match access {
        Access::Socket => socket_claims(request).await?,
        Access::Public
        | Access::AnyUser
        | Access::Act(_)
        | Access::AnyUserOr(_)
        | Access::ActOr(..) => token_claims(request, bearer_token(request)?)?,
    };
    let (user, claims) = current_user(request, claims).await?;
    match access {
        Access::Act(act) | Access::ActOr(act, _) if !user.may(act) => {
            Err(ApiError::Forbidden(act.refusal()))
        }
        Access::Public
        | Access::AnyUser
        | Access::Socket
        | Access::Act(_)
        | Access::AnyUserOr(_)
        | Access::ActOr(..) => Ok(Some(Known::User(user, claims))),
    }
}

/// What was sent where a user's token would be, if it looks like a service token.
fn service_secret(request: &ServiceRequest) -> Result<Option<SecretString>, ApiError> {
    let token = bearer_token(request)?;
    let token = token.filter(|token| token.starts_with(service_token::PREFIX));
    Ok(token.map(SecretString::from))
}

async fn service(
    access: Access,
    request: &ServiceRequest,
    secret: SecretString,
) -> Result<Known, ApiError> {
    let state = state_of(request)?;
    let now = state.now();
    let found = state
        .database
        .run(move |connection| service_token::find_good(connection, &secret, now))
        .await?;
    let token = found.ok_or(ApiError::Unauthenticated(
        Unauthenticated::InvalidServiceToken,
    ))?;
    match access.scope() {
        Some(scope) if token.scopes.contains(&scope) => {}
        Some(_) => return Err(ApiError::Forbidden("该服务令牌没有此接口所需的权限范围")),
        None => return Err(ApiError::Forbidden("服务令牌不能用于此接口")),
    }
    note_use(state, &token, now).await;
    Ok(Known::Service(token))
}

/// Not with every request: it would make a write of each.
async fn note_use(state: &State, token: &ServiceToken, now: UtcTimestamp) {
    let noted = token.last_used_at;
    if noted.is_some_and(|at| now.since(at) < USE_NOTED_EVERY) {
        return;
    }
    let id = token.id.clone();
    let written = state
        .database
        .write(move |transaction| service_token::note_use(transaction, &id, now))
        .await;
    if let Err(error) = written {
        log::warn!(
            token = token.name;
            "the use of the service token {} could not be noted: {error}", token.name
        );
    }
}

const INVALID: ApiError = ApiError::Unauthenticated(Unauthenticated::InvalidToken);

async fn current_user(
    request: &ServiceRequest,
    claims: Claims,
) -> Result<(CurrentUser, Claims), ApiError> {
    let asked = claims.clone();
    let user = state_of(request)?
        .database
        .run(move |connection| session::user_of(connection, &asked))
        .await?;
    Ok((user.ok_or(INVALID)?, claims))
}

fn token_claims(request: &ServiceRequest, token: Option<&str>) -> Result<Claims, ApiError> {
    let token = token.ok_or(ApiError::Unauthenticated(Unauthenticated::NoToken))?;
    let state = state_of(request)?;
    state.tokens.read(token, state.now()).map_err(|_| INVALID)
}

/// The claims of a token, or of the one a ticket stands for, which is used up thereby.
async fn socket_claims(request: &ServiceRequest) -> Result<Claims, ApiError> {
    match offered_secret(request) {
        Some((TICKET_PROTOCOL, ticket)) => {
            let state = state_of(request)?;
            let (ticket, now) = (SecretString::from(ticket), state.now());
            let claims = state
                .database
                .write(move |transaction| ticket::redeem(transaction, &ticket, now))
                .await?;
            claims.ok_or(INVALID)
        }
        Some((_, token)) => token_claims(request, Some(token)),
        None => token_claims(request, bearer_token(request)?),
    }
}

/// One of the protocols with a secret, and the secret, which is offered right after it.
fn offered_secret(request: &ServiceRequest) -> Option<(&str, &str)> {
    let offers: Vec<&str> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let at = offers
        .iter()
        .position(|offer| SOCKET_PROTOCOLS.contains(offer))?;
    Some((offers[at], offers.get(at + 1).copied().unwrap_or_default()))
}

fn state_of(request: &ServiceRequest) -> Result<&State, ApiError> {
    request
        .app_data::<State>()
        .ok_or_else(|| ApiError::Internal("no state".to_owned()))
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
