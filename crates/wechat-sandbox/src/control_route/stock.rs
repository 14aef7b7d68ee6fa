//! What exists on the platforms: apps, users, templates, functions, members, robots.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, Data};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, BadRequest, Listed, answer, done, query, read};
use crate::control::SandboxControl;
use crate::mini_program::{App, CloudFunction, Template, User};
use crate::wecom::{Agent, Member, Robot};

pub(super) async fn put_apps(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for app in read::<Listed>(&body)?.into_items::<App>()? {
        control.put_app(app);
    }
    done()
}

pub(super) async fn put_users(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for user in read::<Listed>(&body)?.into_items::<User>()? {
        control.put_user(user)?;
    }
    done()
}

pub(super) async fn put_templates(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for template in read::<Listed>(&body)?.into_items::<Template>()? {
        control.put_template(template)?;
    }
    done()
}

pub(super) async fn deploy(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for function in read::<Listed>(&body)?.into_items::<CloudFunction>()? {
        control.deploy(function);
    }
    done()
}

pub(super) async fn put_agents(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for agent in read::<Listed>(&body)?.into_items::<Agent>()? {
        control.put_agent(agent);
    }
    done()
}

pub(super) async fn put_members(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for member in read::<Listed>(&body)?.into_items::<Member>()? {
        control.put_member(member)?;
    }
    done()
}

pub(super) async fn put_robots(body: Bytes, control: Data<SandboxControl>) -> Answer {
    for robot in read::<Listed>(&body)?.into_items::<Robot>()? {
        control.put_robot(robot);
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

pub(super) async fn subscribe(body: Bytes, control: Data<SandboxControl>) -> Answer {
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

pub(super) async fn subscription(request: HttpRequest, control: Data<SandboxControl>) -> Answer {
    let wanted: SubscriptionQuery = query(&request)?;
    answer(control.subscription(&wanted.openid, &wanted.template_id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    openid: String,
    appid: Option<String>,
}

pub(super) async fn make_code(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: CodeRequest = read(&body)?;
    let code = control.make_code(&request.openid, request.appid.as_deref())?;
    answer(json!({ "code": code }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowListRequest {
    addresses: Option<Vec<IpAddr>>,
    appid: Option<String>,
    agentid: Option<u32>,
}

pub(super) async fn set_ip_allow_list(body: Bytes, control: Data<SandboxControl>) -> Answer {
    let request: AllowListRequest = read(&body)?;
    match (request.appid.as_deref(), request.agentid) {
        (appid, None) => control.set_ip_allow_list(appid, request.addresses)?,
        (None, agentid) => control.set_trusted_addresses(agentid, request.addresses)?,
        (Some(_), Some(_)) => {
            return Err(BadRequest("either appid or agentid".to_owned()));
        }
    }
    done()
}
