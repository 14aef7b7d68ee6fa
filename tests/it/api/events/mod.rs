//! What other modules tell staff of.

mod dedup;
mod due;
mod program;
mod recipients;
mod refusal;
mod told;

use serde_json::{Value, json};
use shared::outbox::Message;

use super::Office;
use crate::harness::{Answer, Session, TestDatabase};

const PATH: &str = "/api/events";

/// A contract was signed; these are told.
fn signed(recipients: &Value) -> Value {
    json!({
        "kind": "contract.signed",
        "recipients": recipients,
        "data": {
            "contractId": "c-42", "contractNumber": "HT20260102001",
            "customerName": "王女士", "workerName": "陈阿姨",
        },
    })
}

/// The same with another field, or another value of one.
fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn tell(office: &Office<'_>, by: &Session, body: &Value) -> Answer {
    office.api.post(by, PATH, body).await
}

/// The messages of one event.
async fn messages_of(database: &TestDatabase, event: &Value) -> Vec<Message> {
    let subject = format!("event:{}", event.as_str().unwrap());
    let messages = database.messages().await.into_iter();
    messages
        .filter(|message| message.subject.as_deref() == Some(&subject))
        .collect()
}
