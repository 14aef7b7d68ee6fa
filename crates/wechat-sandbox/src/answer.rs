//! The HTTP side of the platforms' endpoints.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::api::Api;
use crate::call::{Call, address_of};
use crate::connection::{BrokenBody, reset_on_close};
use crate::control::{SandboxControl, Visit};
use crate::fault::FaultAction;
use crate::platform::Platform;
use crate::refusal::Refusal;
use crate::trace::Trace;
use crate::world::{Received, ok};

/// WeCom repeats code and text of its answers here.
const ERROR_CODE: HeaderName = HeaderName::from_static("error-code");
const ERROR_MSG: HeaderName = HeaderName::from_static("error-msg");

/// Answers every path that is neither the page's nor the control API's. A path that is no endpoint
/// gets HTTP 200 with 40066, as the mini-program platform answers unknown interfaces.
pub(crate) async fn answer(
    request: HttpRequest,
    body: Bytes,
    control: Data<SandboxControl>,
) -> HttpResponse {
    let Some(call) = Call::read(&request, body) else {
        let trace = Trace {
            platform: Platform::MiniProgram,
            address: address_of(&request),
            now: control.now(),
        };
        return json(trace.platform, trace.body(&Refusal::new(40066)));
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
    let platform = received.trace.platform;
    match &received.fault {
        None | Some(FaultAction::Delay(_) | FaultAction::ExpireTokens) => {
            json(platform, decided(received))
        }
        Some(FaultAction::Errcode { errcode, errmsg }) => {
            let refusal = scripted_refusal(api, *errcode, errmsg.clone());
            json(platform, received.trace.body(&refusal))
        }
        // The server drops this future when the client goes away or the sandbox stops.
        Some(FaultAction::Hang) => std::future::pending().await,
        Some(FaultAction::ResetBeforeAnswer) => {
            reset_on_close(&request);
            HttpResponse::Ok().body(BrokenBody::at_once())
        }
        Some(FaultAction::ResetMidBody) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, platform.content_type()))
            .body(BrokenBody::half_of(&decided(received))),
        Some(FaultAction::HttpStatus { status, body }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            HttpResponse::build(status)
                .content_type("text/html")
                .body(body.clone())
        }
        Some(FaultAction::RawBody(body)) => json(platform, body.clone()),
        Some(FaultAction::LongBody(bytes)) => {
            let mut body = decided(received);
            body.extend(std::iter::repeat_n(' ', bytes.saturating_sub(body.len())));
            json(platform, body)
        }
        Some(FaultAction::Redirect(address)) => HttpResponse::Found()
            .insert_header((LOCATION, address.as_str()))
            .finish(),
    }
}

fn json(platform: Platform, body: String) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, platform.content_type()));
    if platform == Platform::Wecom
        && let Ok(Outcome { errcode, errmsg }) = serde_json::from_str(&body)
    {
        response.insert_header((ERROR_CODE, HeaderValue::from(errcode)));
        if let Ok(errmsg) = HeaderValue::from_str(&errmsg) {
            response.insert_header((ERROR_MSG, errmsg));
        }
    }
    response.body(body)
}

/// What every answer of WeCom says.
#[derive(Deserialize)]
struct Outcome {
    errcode: i64,
    errmsg: String,
}

fn decided(received: &Received) -> String {
    received
        .reply
        .as_ref()
        .map_or_else(ok, |reply| reply.body.clone())
}

fn scripted_delay(fault: Option<&FaultAction>) -> Duration {
    match fault {
        Some(FaultAction::Delay(delay)) => *delay,
        _ => Duration::ZERO,
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
