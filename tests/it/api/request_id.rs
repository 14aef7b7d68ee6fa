use diesel::prelude::*;
use reqwest::Method;
use serde_json::json;
use shared::db::schema::{assignments, operation_logs};

use super::Office;
use crate::harness::{Answer, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_request_id_is_taken_over_and_echoed_on_every_answer,
    a_request_without_an_id_gets_one_of_its_own,
    an_id_that_cannot_be_one_is_replaced,
    the_id_follows_an_assignment_into_every_table,
);

async fn a_request_id_is_taken_over_and_echoed_on_every_answer(database: &TestDatabase) {
    let office = Office::open(database).await;
    let longest = "x".repeat(128);
    for id in ["1", "0193e5a0-6e2b-7c4d", "a/b:c=d?e&f\"<g>", &longest] {
        for path in [
            "/api/auth/me",
            "/api/users",
            "/api/x",
            "/healthz",
            "/api/auth/login",
        ] {
            assert_eq!(echoed(&with_id(&office, path, id).await), id, "{path}");
        }
    }
}

async fn a_request_without_an_id_gets_one_of_its_own(database: &TestDatabase) {
    let office = Office::open(database).await;
    let one = office.api.get(&office.li, "/api/auth/me").await;
    let other = office.api.get(&office.li, "/api/users").await;
    assert_eq!((echoed(&one).len(), echoed(&other).len()), (32, 32));
    assert_ne!(echoed(&one), echoed(&other));
}

async fn an_id_that_cannot_be_one_is_replaced(database: &TestDatabase) {
    let office = Office::open(database).await;
    let too_long = "x".repeat(129);
    for id in ["", "a b", "a\tb", "王", &too_long] {
        let answer = with_id(&office, "/api/auth/me", id).await;
        assert_eq!(answer.status, 200, "{id:?}");
        assert_eq!(echoed(&answer).len(), 32, "{id:?}");
    }
}

async fn the_id_follows_an_assignment_into_every_table(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let request = office
        .api
        .request(Method::POST, "/api/customers/batch-assign");
    let request = request
        .bearer_auth(&office.zhang.token)
        .header("x-request-id", "request-7");
    let body = json!({ "customerIds": [lead], "assignedTo": office.wang.id });
    TestApi::send(request.json(&body)).await.data();

    let (history, log): (Vec<Option<String>>, Vec<Option<String>>) = database
        .read(|connection| {
            let history = assignments::table
                .select(assignments::request_id)
                .load(connection)?;
            let log = operation_logs::table
                .select(operation_logs::request_id)
                .load(connection)?;
            Ok((history, log))
        })
        .await;
    let expected = Some("request-7".to_owned());
    assert_eq!(
        (history.as_slice(), log.as_slice()),
        ([expected.clone()].as_slice(), [expected].as_slice())
    );
    let messages = database.messages().await;
    assert_eq!(messages.len(), 4);
    for message in messages {
        assert_eq!(message.request_id.unwrap().as_str(), "request-7");
    }
}

async fn with_id(office: &Office<'_>, path: &str, id: &str) -> Answer {
    let request = office
        .api
        .request(Method::GET, path)
        .bearer_auth(&office.li.token);
    TestApi::send(request.header("x-request-id", id)).await
}

fn echoed(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}
