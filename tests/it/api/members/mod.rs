//! The members of the loyalty programme.

mod change;
mod entry;
mod list;
mod telling;

use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::outbox::{Message, Status};

use super::Office;
use crate::harness::{Answer, Session, TestApi, TestDatabase};

const MEMBERS: &str = "/api/members";
const CREATE: &str = "/api/members/create";

async fn office(database: &TestDatabase) -> Office<'_> {
    let office = Office::open(database).await;
    for kind in ["member.registered", "member.updated"] {
        office
            .api
            .put(
                &office.admin,
                &format!("/api/notification-routes/{kind}/wecom_app"),
                &json!({ "enabled": true, "format": "textcard", "recipients": "@all" }),
            )
            .await
            .data();
    }
    office
}

fn anna() -> Value {
    json!({ "member_no": "M1", "wechat": "wx-anna", "phone": "13800138999" })
}

async fn create(api: &TestApi, by: &Session, body: &Value) -> Answer {
    api.post(by, CREATE, body).await
}

/// What was told of members, a text for each message: kind, what changed, and the status.
async fn told(database: &TestDatabase) -> Vec<String> {
    let messages = database.messages().await;
    let mut told: Vec<String> = messages
        .iter()
        .map(|message| {
            let payload = payload(message);
            let changed = payload["changedFields"].as_str().unwrap_or("-");
            format!("{} {changed} {}", message.kind, message.status)
        })
        .collect();
    told.sort();
    told
}

fn payload(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}

async fn withdraw(database: &TestDatabase) {
    let messages = database.messages().await;
    let pending: Vec<_> = messages
        .into_iter()
        .filter(|message| message.status == Status::Pending)
        .map(|message| message.id)
        .collect();
    database
        .repair(&pending, shared::outbox::Wish::Cancel, SystemClock.now())
        .await
        .unwrap();
}

/// Nobody is at this address who could be shown or changed.
async fn assert_is_missing(office: &Office<'_>, path: &str) {
    let answer = office.api.get(&office.admin, path).await;
    assert_eq!(answer.said(), (404, "会员不存在"));
    let answer = office
        .api
        .patch(&office.admin, path, &json!({ "city": "杭州" }))
        .await;
    assert_eq!(answer.said(), (404, "会员不存在"));
}
