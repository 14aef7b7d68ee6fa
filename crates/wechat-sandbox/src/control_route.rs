//! The control API over HTTP. Its verbs are those of [`SandboxControl`].

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;
use crate::cloud_function::CloudFunction;
use crate::config::{App, User};
use crate::control::SandboxControl;
use crate::fault::Fault;
use crate::fault_request::FaultRequest;
use crate::record::{Message, MessageFilter, Request};
use crate::template::Template;

/// Longest that `GET /control/wait` waits when it is not told.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// The URL table of the control API.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/control", web::get().to(list))
        .route("/control/apps", web::post().to(put_apps))
        .route("/control/users", web::post().to(put_users))
        .route("/control/templates", web::post().to(put_templates))
        .route("/control/cloud-functions", web::post().to(deploy))
        .route("/control/subscriptions", web::post().to(subscribe))
        .route("/control/subscriptions", web::get().to(subscription))
        .route("/control/codes", web::post().to(make_code))
        .route("/control/ip-allow-list", web::post().to(set_ip_allow_list))
        .route("/control/clock", web::post().to(advance_clock))
        .route("/control/clock", web::get().to(clock))
        .route("/control/latency", web::post().to(set_latency))
        .route("/control/faults", web::post().to(add_faults))
        .route("/control/faults", web::get().to(faults))
        .route("/control/faults", web::delete().to(clear_faults))
        .route("/control/faults/{id}", web::delete().to(remove_fault))
        .route("/control/messages", web::get().to(messages))
        .route("/control/requests", web::get().to(requests))
        .route("/control/stats", web::get().to(stats))
        .route("/control/wait", web::get().to(wait))
        .route("/control/reset", web::post().to(reset))
        .route("/control/{unknown:.*}", web::route().to(unknown));
}

/// A request that the control API cannot take: HTTP 400 with a sentence.
#[derive(Debug)]
struct BadRequest(String);

impl std::fmt::Display for BadRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl actix_web::ResponseError for BadRequest {
    fn status_code(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::BadRequest().json(json!({ "error": self.0 }))
    }
}

impl From<String> for BadRequest {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

type Answer = Result<HttpResponse, BadRequest>;

/// One thing or a list of them.
#[derive(Deserialize)]
#[serde(transparent)]
struct Listed(Value);

impl Listed {
    fn into_items<T: DeserializeOwned>(self) -> Result<Vec<T>, BadRequest> {
        let items = match self.0 {
            Value::Array(items) => items,
            one => vec![one],
        };
        items
            .into_iter()
            .map(|item| serde_json::from_value(item).map_err(|e| BadRequest(e.to_string())))
            .collect()
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(body).map_err(|error| BadRequest(error.to_string()))
}

fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, BadRequest> {
    Query::<T>::from_query(request.query_string())
        .map(Query::into_inner)
        .map_err(|error| BadRequest(error.to_string()))
}

fn answer(body: impl Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

fn done() -> Answer {
    answer(json!({ "ok": true }))
}

async fn list() -> Answer {
    answer(json!({
        "POST /control/apps": "{appid, secret, name?, quota?: ledger|unlimited, msgid?: included|omitted, wrongSecret?, openids?, pages?, ipAllowList?, sensitiveWords?, dailyLimits?}",
        "POST /control/users": "{openid, name?, appid?, unionid?} or a list",
        "POST /control/templates": "{templateId, title, fields: [{key, name, values?}], type?: 2|3, appid?} or a list",
        "POST /control/cloud-functions": "{env, name, behaviour: assignNotify | echo | throws | {returns: text} | {timesOut: {afterMillis}}} or a list",
        "POST /control/subscriptions": "{openid, templateId, accept: n} or {…, reject: true}, or a list",
        "GET /control/subscriptions": "?openid=&templateId=",
        "POST /control/codes": "{openid, appid?} -> {code}",
        "POST /control/ip-allow-list": "{addresses: [ip] | null, appid?}",
        "POST /control/clock": "{advanceSeconds} -> {now}",
        "GET /control/clock": "-> {now}",
        "POST /control/latency": "{millis}",
        "POST /control/faults": "{api, match?: {openid?, templateId?, textContains?}, times?: n|always, skip?, action: {errcode, errmsg?} | {delayMs} | {hang: true} | {resetBeforeAnswer: true} | {resetMidBody: true} | {httpStatus, body?} | {rawBody} | {longBody} | {redirect} | {expireTokens: true}}; processed: true|false inside the action; or a list",
        "GET /control/faults": "those still to strike",
        "DELETE /control/faults": "all of them; /control/faults/{id} for one",
        "GET /control/messages": "?since=&openid=&templateId=&api=",
        "GET /control/requests": "?since=",
        "GET /control/stats": "",
        "GET /control/wait": "?accepted=&requests=&inFlight=&millis= -> stats once they are reached, else 408",
        "POST /control/reset": "",
        "apis": Api::ALL,
    }))
}

async fn put_apps(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for app in read::<Listed>(&body)?.into_items::<App>()? {
        control.put_app(app);
    }
    done()
}

async fn put_users(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for user in read::<Listed>(&body)?.into_items::<User>()? {
        control.put_user(user)?;
    }
    done()
}

async fn put_templates(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for template in read::<Listed>(&body)?.into_items::<Template>()? {
        control.put_template(template)?;
    }
    done()
}

async fn deploy(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for function in read::<Listed>(&body)?.into_items::<CloudFunction>()? {
        control.deploy(function);
    }
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubscriptionRequest {
    openid: String,
    template_id: String,
    accept: Option<u32>,
    reject: Option<bool>,
}

async fn subscribe(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for request in read::<Listed>(&body)?.into_items::<SubscriptionRequest>()? {
        match (request.accept, request.reject) {
            (Some(times), None) => {
                control.accept(&request.openid, &request.template_id, times)?;
            }
            (None, Some(true)) => control.reject(&request.openid, &request.template_id)?,
            _ => {
                return Err(BadRequest(
                    "either accept: a number, or reject: true".to_owned(),
                ));
            }
        }
    }
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionQuery {
    openid: String,
    template_id: String,
}

async fn subscription(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: SubscriptionQuery = query(&request)?;
    answer(control.subscription(&wanted.openid, &wanted.template_id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    openid: String,
    appid: Option<String>,
}

async fn make_code(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: CodeRequest = read(&body)?;
    let code = control.make_code(&request.openid, request.appid.as_deref())?;
    answer(json!({ "code": code }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowListRequest {
    addresses: Option<Vec<IpAddr>>,
    appid: Option<String>,
}

async fn set_ip_allow_list(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: AllowListRequest = read(&body)?;
    control.set_ip_allow_list(request.appid.as_deref(), request.addresses)?;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockRequest {
    advance_seconds: u64,
}

async fn advance_clock(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: ClockRequest = read(&body)?;
    let now = control.advance_clock(Duration::from_secs(request.advance_seconds));
    answer(json!({ "now": now }))
}

async fn clock(control: Data<SandboxControl>) -> Answer {
    answer(json!({ "now": control.now().millis() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencyRequest {
    millis: u64,
}

async fn set_latency(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: LatencyRequest = read(&body)?;
    control.set_latency(Duration::from_millis(request.millis));
    done()
}

async fn add_faults(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let requests = read::<Listed>(&body)?.into_items::<FaultRequest>()?;
    let faults: Vec<Fault> = requests
        .into_iter()
        .map(Fault::try_from)
        .collect::<Result<_, String>>()?;
    let ids: Vec<u64> = faults
        .into_iter()
        .map(|fault| control.add_fault(fault))
        .collect();
    answer(json!({ "ids": ids }))
}

async fn faults(control: Data<SandboxControl>) -> Answer {
    answer(json!({ "faults": control.faults() }))
}

async fn clear_faults(control: Data<SandboxControl>) -> Answer {
    control.clear_faults();
    done()
}

async fn remove_fault(id: Path<u64>, control: Data<SandboxControl>) -> Answer {
    if control.remove_fault(*id) {
        return done();
    }
    Ok(HttpResponse::NotFound().json(json!({ "error": "this fault is not waiting" })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagesQuery {
    #[serde(default)]
    since: u64,
    openid: Option<String>,
    template_id: Option<String>,
    api: Option<Api>,
}

#[derive(Serialize)]
struct Messages<'kept> {
    messages: Vec<&'kept Message>,
    dropped: u64,
}

async fn messages(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: MessagesQuery = query(&request)?;
    let filter = MessageFilter {
        since: wanted.since,
        openid: wanted.openid,
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

async fn requests(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: RequestsQuery = query(&request)?;
    let requests = control.requests(wanted.since);
    answer(Requests {
        requests,
        dropped: control.stats().requests_dropped,
    })
}

async fn stats(control: Data<SandboxControl>) -> Answer {
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

async fn wait(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
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

async fn reset(control: Data<SandboxControl>) -> Answer {
    control.reset()?;
    done()
}

async fn unknown() -> Answer {
    Ok(HttpResponse::NotFound().json(json!({ "error": "GET /control lists what there is" })))
}
