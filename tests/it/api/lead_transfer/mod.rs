//! Leads that move on by rule: rules, predictions, runs, and why a lead was not moved.

mod condition;
mod explain;
mod predict;
mod recovery;
mod rules;
mod run;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Session, TestDatabase};

/// A rule from these people to those, with what `more` says besides; answers its id.
async fn rule(
    office: &Office<'_>,
    name: &str,
    from: &[&Session],
    to: &[&Session],
    more: Value,
) -> String {
    let rule = office
        .api
        .post(
            &office.zhang,
            "/api/lead-transfer/rules",
            &body(name, from, to, more),
        )
        .await
        .data();
    rule["id"].as_str().unwrap().to_owned()
}

fn body(name: &str, from: &[&Session], to: &[&Session], more: Value) -> Value {
    let ids = |people: &[&Session]| people.iter().map(|p| p.id.clone()).collect::<Vec<_>>();
    let mut body = json!({ "name": name, "sourceUserIds": ids(from), "targetUserIds": ids(to) });
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, more) {
        body.extend(fields);
    }
    body
}

/// Runs rules now, and waits until that is over; answers the run.
async fn execute(office: &Office<'_>, order: &Value) -> Value {
    let run = office
        .api
        .post(&office.zhang, "/api/lead-transfer/execute-now", order)
        .await
        .data();
    office.until_transferred(run["id"].as_str().unwrap()).await
}

async fn get(office: &Office<'_>, path: &str) -> Value {
    let path = format!("/api/lead-transfer/{path}");
    office.api.get(&office.zhang, &path).await.data()
}

/// Whose these leads are, in their order.
async fn owners(office: &Office<'_>, leads: &[String]) -> Vec<String> {
    let mut owners = Vec::new();
    for lead in leads {
        let customer = office.customer(lead).await;
        owners.push(customer["assignedTo"].as_str().unwrap_or("").to_owned());
    }
    owners
}

fn execute_sql(database: &TestDatabase, sql: &str) {
    database.connection().batch_execute(sql).unwrap();
}

/// What happened to somebody in a rule: given and got.
fn counters(rule: &Value, user: &Session) -> (i64, i64) {
    let users = rule["users"].as_array().unwrap();
    let user = users
        .iter()
        .find(|entry| entry["userId"] == json!(user.id))
        .unwrap();
    assert_eq!(
        user["balance"].as_i64(),
        Some(user["out"].as_i64().unwrap() - user["in"].as_i64().unwrap())
    );
    (user["out"].as_i64().unwrap(), user["in"].as_i64().unwrap())
}
