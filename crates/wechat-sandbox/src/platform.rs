//! The HTTP side of the platform's endpoints.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use crate::api::Api;
use crate::call::Call;
use crate::connection::{BrokenBody, reset_on_close};
use crate::control::{SandboxControl, Visit};
use crate::errmsg::Refusal;
use crate::fault::FaultAction;
use crate::world::{Received, ok};

/// What the platform writes; `encoding` where others say `charset`.
const PLATFORM_JSON: HeaderValue = HeaderValue::from_static("application/json; encoding=utf-8");

/// Answers every path that is neither the page's nor the control API's. A path that is no endpoint
/// gets HTTP 200 with 40066, as the platform answers unknown interfaces.
pub(crate) async fn answer(
    request: HttpRequest,
    body: Bytes,
    control: Data<SandboxControl>,
) -> HttpResponse {
    let Some(call) = Call::read(&request, body) else {
        return json(Refusal::new(40066).to_body(control.now()));
    };
    let api = call.api;
    let visit = control.receive(call);
    let Visit { received, .. } = &visit;
    let took = received
        .reply
        .as_ref()
        .map(|reply| reply.took)
        .unwrap_or_default();
    let wait = received.latency + took + scripted_delay(received.fault.as_ref());
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match &received.fault {
        None | Some(FaultAction::Delay(_) | FaultAction::ExpireTokens) => json(decided(received)),
        Some(FaultAction::Errcode { errcode, errmsg }) => {
            json(scripted_refusal(api, *errcode, errmsg.clone()).to_body(received.now))
        }
        // The server drops this future when the client goes away or the sandbox stops.
        Some(FaultAction::Hang) => std::future::pending().await,
        Some(FaultAction::ResetBeforeAnswer) => {
            reset_on_close(&request);
            HttpResponse::Ok().body(BrokenBody::at_once())
        }
        Some(FaultAction::ResetMidBody) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, PLATFORM_JSON))
            .body(BrokenBody::half_of(&decided(received))),
        Some(FaultAction::HttpStatus { status, body }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            HttpResponse::build(status)
                .content_type("text/html")
                .body(body.clone())
        }
        Some(FaultAction::RawBody(body)) => json(body.clone()),
        Some(FaultAction::LongBody(bytes)) => {
            let mut body = decided(received);
            body.extend(std::iter::repeat_n(' ', bytes.saturating_sub(body.len())));
            json(body)
        }
        Some(FaultAction::Redirect(address)) => HttpResponse::Found()
            .insert_header((LOCATION, address.as_str()))
            .finish(),
    }
}

fn json(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, PLATFORM_JSON))
        .body(body)
}

fn decided(received: &Received) -> String {
    received
        .reply
        .as_ref()
        .map_or_else(ok, |reply| reply.body.clone())
}

fn scripted_delay(fault: Option<&FaultAction>) -> std::time::Duration {
    match fault {
        Some(FaultAction::Delay(delay)) => *delay,
        _ => std::time::Duration::ZERO,
    }
}

/// The endpoints that take the AppSecret say something else with 40001 than the others.
fn scripted_refusal(api: Api, errcode: i64, errmsg: Option<String>) -> Refusal {
    match (errmsg, api, errcode) {
        (Some(text), ..) => Refusal::with_text(errcode, text),
        (None, Api::Token | Api::StableToken, 40001) => {
            Refusal::with_text(errcode, "invalid credential")
        }
        (None, ..) => Refusal::new(errcode),
    }
}
