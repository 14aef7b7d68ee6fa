//! What arrived, and waiting for it.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::{Answer, answer, query};
use crate::api::Api;
use crate::control::SandboxControl;
use crate::message::{Message, MessageFilter};
use crate::record::Request;

/// Longest that `GET /control/wait` waits when it is not told.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagesQuery {
    #[serde(default)]
    since: u64,
    #[serde(alias = "openid", alias = "userid", alias = "group")]
    recipient: Option<String>,
    template_id: Option<String>,
    api: Option<Api>,
}

#[derive(Serialize)]
struct Messages<'kept> {
    messages: Vec<&'kept Message>,
    dropped: u64,
}

pub(super) async fn messages(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: MessagesQuery = query(&request)?;
    let filter = MessageFilter {
        since: wanted.since,
        recipient: wanted.recipient,
        template_id: wanted.template_id,
        api: wanted.api,
    };
    let messages = control.messages(&filter);
    let messages = messages.iter().map(AsRef::as_ref).collect();
    answer(Messages {
        messages,
        dropped: control.stats().messages_dropped,
    })
}

#[derive(Deserialize)]
struct RequestsQuery {
    #[serde(default)]
    since: u64,
}

#[derive(Serialize)]
struct Requests {
    requests: Vec<Request>,
    dropped: u64,
}

pub(super) async fn requests(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: RequestsQuery = query(&request)?;
    let requests = control.requests(wanted.since);
    answer(Requests {
        requests,
        dropped: control.stats().requests_dropped,
    })
}

pub(super) async fn stats(control: Data<SandboxControl>) -> Answer {
    answer(control.stats())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitQuery {
    accepted: Option<u64>,
    requests: Option<u64>,
    in_flight: Option<u32>,
    millis: Option<u64>,
}

pub(super) async fn wait(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: WaitQuery = query(&request)?;
    let reached = control.until(|stats| {
        wanted.accepted.is_none_or(|least| stats.accepted >= least)
            && wanted.requests.is_none_or(|least| stats.requests >= least)
            && wanted
                .in_flight
                .is_none_or(|exactly| stats.in_flight == exactly)
    });
    let most = wanted.millis.map_or(DEFAULT_WAIT, Duration::from_millis);
    match tokio::time::timeout(most, reached).await {
        Ok(stats) => answer(stats),
        Err(_) => Ok(HttpResponse::RequestTimeout().json(control.stats())),
    }
}
