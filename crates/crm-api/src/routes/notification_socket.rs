use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::SOCKET_PROTOCOLS;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::TokenClaims;
use crate::push::{Socket, ticket};
use crate::state::State;

/// A ticket for one socket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketView {
    /// To be sent as `Sec-WebSocket-Protocol: yizhan.ticket, <ticket>`, once.
    ticket: String,
    /// For how long it is good.
    expires_in_seconds: u64,
}

/// Gives a ticket with which a page opens one socket.
#[utoipa::path(post, path = "/api/notifications/ws-ticket", tag = "notifications",
    responses((status = 200, body = Envelope<TicketView>)))]
pub(crate) async fn issue_ticket(
    state: State,
    TokenClaims(claims): TokenClaims,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    // Like a login and unlike a change, it has a secret for an answer, which is not to be kept for a
    // repetition.
    let ticket = state
        .database
        .write(move |transaction| ticket::issue(transaction, &claims, now))
        .await?;
    let answer = TicketView {
        ticket: ticket.expose_secret().to_owned(),
        expires_in_seconds: ticket::LIFETIME.as_secs(),
    };
    Ok(envelope::ok("获取成功", answer))
}

/// Opens a WebSocket that tells what is new. The token comes as a sub-protocol:
/// `Sec-WebSocket-Protocol: yizhan.jwt, <token>` or `yizhan.ticket, <ticket>`; programs may send it as
/// `Authorization: Bearer <token>`.
#[utoipa::path(get, path = "/api/notifications/ws", tag = "notifications",
    responses((status = 101, description = "A socket is open")))]
pub(crate) async fn open(
    state: State,
    TokenClaims(claims): TokenClaims,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let opened = actix_ws::handle_with_protocols(&request, body, &SOCKET_PROTOCOLS);
    let (response, session, stream) = opened.map_err(|error| {
        log::debug!("no handshake of a WebSocket: {error}");
        ApiError::invalid("Upgrade", "此接口只接受 WebSocket 连接")
    })?;
    let limits = state.socket_limits;
    let socket = Socket::new(state, claims, session, stream, limits);
    actix_web::rt::spawn(socket.serve());
    Ok(response)
}
