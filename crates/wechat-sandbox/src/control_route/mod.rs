//! The control API over HTTP. Its verbs are those of
//! [`SandboxControl`](crate::control::SandboxControl).

mod reading;
mod script;
mod stock;

use actix_web::http::StatusCode;
use actix_web::web::{self, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;

/// The URL table of the control API.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/control", web::get().to(list))
        .route("/control/apps", web::post().to(stock::put_apps))
        .route("/control/users", web::post().to(stock::put_users))
        .route("/control/templates", web::post().to(stock::put_templates))
        .route("/control/cloud-functions", web::post().to(stock::deploy))
        .route("/control/subscriptions", web::post().to(stock::subscribe))
        .route("/control/subscriptions", web::get().to(stock::subscription))
        .route("/control/codes", web::post().to(stock::make_code))
        .route(
            "/control/ip-allow-list",
            web::post().to(stock::set_ip_allow_list),
        )
        .route("/control/wecom/agents", web::post().to(stock::put_agents))
        .route("/control/wecom/members", web::post().to(stock::put_members))
        .route("/control/wecom/robots", web::post().to(stock::put_robots))
        .route("/control/clock", web::post().to(script::advance_clock))
        .route("/control/clock", web::get().to(script::clock))
        .route("/control/latency", web::post().to(script::set_latency))
        .route("/control/faults", web::post().to(script::add_faults))
        .route("/control/faults", web::get().to(script::faults))
        .route("/control/faults", web::delete().to(script::clear_faults))
        .route(
            "/control/faults/{id}",
            web::delete().to(script::remove_fault),
        )
        .route("/control/messages", web::get().to(reading::messages))
        .route("/control/requests", web::get().to(reading::requests))
        .route("/control/stats", web::get().to(reading::stats))
        .route("/control/wait", web::get().to(reading::wait))
        .route("/control/reset", web::post().to(script::reset))
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
        "POST /control/ip-allow-list": "{addresses: [ip] | null, appid? | agentid?}",
        "POST /control/wecom/agents": "{agentid, secret, corpid?, name?, visibleTo?: [userid], ipAllowList?, dailyLimits?} or a list",
        "POST /control/wecom/members": "{userid, name?, corpid?, licence?: valid|missing, departments?: [n], tags?: [n]} or a list",
        "POST /control/wecom/robots": "{key, name} or a list",
        "POST /control/clock": "{advanceSeconds} -> {now}",
        "GET /control/clock": "-> {now}",
        "POST /control/latency": "{millis}",
        "POST /control/faults": "{api, match?: {recipient?, templateId?, textContains?}, times?: n|always, skip?, action: {errcode, errmsg?} | {delayMs} | {hang: true} | {resetBeforeAnswer: true} | {resetMidBody: true} | {httpStatus, body?} | {rawBody} | {longBody} | {redirect} | {expireTokens: true}}; processed: true|false inside the action; or a list",
        "GET /control/faults": "those still to strike",
        "DELETE /control/faults": "all of them; /control/faults/{id} for one",
        "GET /control/messages": "?since=&recipient=&templateId=&api=",
        "GET /control/requests": "?since=",
        "GET /control/stats": "",
        "GET /control/wait": "?accepted=&requests=&inFlight=&millis= -> stats once they are reached, else 408",
        "POST /control/reset": "",
        "apis": Api::ALL,
    }))
}

async fn unknown() -> Answer {
    Ok(HttpResponse::NotFound().json(json!({ "error": "GET /control lists what there is" })))
}
