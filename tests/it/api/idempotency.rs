//! Requests that come twice and are done once.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::db::schema::idempotency_keys;

use super::Office;
use super::import::until_finished;
use super::role_matrix::{MATRIX, places, request_of};
use crate::harness::{
    Answer, Gate, PASSWORD, Session, TestApi, TestDatabase, on_each_database, refuse_inserts,
};

on_each_database!(
    every_changing_request_is_done_once_under_its_key,
    a_key_belongs_to_one_request_of_one_user,
    of_two_requests_under_one_key_at_once_one_is_done,
    a_request_that_failed_may_be_tried_again_under_its_key,
    a_change_that_is_rolled_back_keeps_no_answer,
    a_key_that_cannot_be_is_refused_by_name,
    an_answer_is_kept_for_a_day,
    a_password_is_not_kept,
    a_body_over_the_limit_is_refused_with_a_key_too,
);

/// What changes something and takes no key, and why.
const WITHOUT_KEY: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/api/auth/login",
        "whoever logs in is nobody yet, and a token must not be kept",
    ),
    (
        "POST",
        "/api/auth/logout",
        "the token that would repeat it is no good any more",
    ),
    (
        "POST",
        "/api/customers/website-lead",
        "whoever sends it is nobody; the second time it is a customer who has come again",
    ),
    (
        "POST",
        "/api/notification-templates/{kind}/{channel}/preview",
        "it changes nothing",
    ),
    (
        "POST",
        "/api/notifications/ws-ticket",
        "its answer is a secret, which must not be kept",
    ),
    (
        "POST",
        "/api/outbox/repairs/{id}/undo",
        "it takes many transactions, and is refused the second time",
    ),
];

async fn every_changing_request_is_done_once_under_its_key(database: &TestDatabase) {
    let office = Office::open(database).await;
    let places = places(database, &office).await;
    let changing = MATRIX.iter().filter(|row| row.0 != "GET");
    let mut walked = BTreeSet::new();
    for (number, row) in changing.enumerate() {
        if WITHOUT_KEY
            .iter()
            .any(|(method, path, _)| (*method, *path) == (row.0, row.1))
        {
            continue;
        }
        assert!(row.2.starts_with('a'), "{} {}", row.0, row.1);
        let send = async || {
            let request = request_of(&office.api, row, &places, Some((&office.admin, "admin")));
            let key = format!("walk-{number}");
            TestApi::send(request.header("idempotency-key", key)).await
        };
        let first = send().await;
        let told = format!("{} {}: {} {}", row.0, row.1, first.status, first.body);
        assert!((200..300).contains(&first.status), "{told}");
        assert!(!is_repeated(&first), "{told}");
        if row.1.ends_with("/import") {
            // What was accepted is being done.
            until_finished(&office.api, &office.admin, first.clone()).await;
        }
        if row.1.ends_with("/execute-now") {
            let run = first.body["data"]["id"].as_str().unwrap();
            office.until_transferred(run).await;
            office.until_at_rest().await;
        }
        let before = database.contents().await;
        let second = send().await;
        assert!(is_repeated(&second), "{told}, then {}", second.body);
        assert_eq!(second.status, first.status, "{told}");
        for field in ["success", "message", "data", "error"] {
            assert_eq!(second.body[field], first.body[field], "{told}");
        }
        database.assert_unchanged_since(&before).await;
        walked.insert((row.0, row.1));
    }
    let description = TestApi::send(office.api.request(Method::GET, "/api-docs/openapi.json"))
        .await
        .body;
    for url in crm_api::url_table() {
        let (method, path) = (url.method.as_str(), url.path);
        let excepted = WITHOUT_KEY
            .iter()
            .any(|(other, at, reason)| (*other, *at) == (method, path) && !reason.is_empty());
        assert!(
            method == "GET" || excepted || walked.contains(&(method, path)),
            "{method} {path} neither takes a key nor says why not"
        );
        let described = &description["paths"][path][method.to_lowercase()]["parameters"];
        let mut parameters = described.as_array().into_iter().flatten();
        assert_eq!(
            parameters.any(|parameter| parameter["name"] == "Idempotency-Key"),
            method != "GET" && !excepted,
            "{method} {path} in the description"
        );
    }
}

async fn a_key_belongs_to_one_request_of_one_user(database: &TestDatabase) {
    let office = Office::open(database).await;
    let one = json!({ "name": "王女士", "wechatId": "wang", "leadSource": "美团" });
    let other = json!({ "name": "赵先生", "wechatId": "zhao", "leadSource": "美团" });
    let first = post(&office, &office.zhang, "k", &one).await;
    assert_eq!(first.status, 201);
    let before = database.contents().await;
    let answer = post(&office, &office.zhang, "k", &other).await;
    assert_eq!(
        answer.said(),
        (
            409,
            "该 Idempotency-Key 已用于另一个请求，请为新的请求使用新的 Idempotency-Key"
        )
    );
    let query = office
        .api
        .request(Method::POST, "/api/customers?x=1")
        .bearer_auth(&office.zhang.token)
        .header("idempotency-key", "k")
        .json(&one);
    assert_eq!(TestApi::send(query).await.status, 409);
    database.assert_unchanged_since(&before).await;

    // Another user's key of the same name is another key.
    let answer = post(&office, &office.sun, "k", &other).await;
    assert_eq!(answer.status, 201);
    assert!(!is_repeated(&answer));
    assert!(is_repeated(&post(&office, &office.zhang, "k", &one).await));
}

async fn of_two_requests_under_one_key_at_once_one_is_done(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "name": "王女士", "phone": "13800138999", "leadSource": "美团" });
    let other_process = TestApi::on(database).await;
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        post(&office, &office.zhang, "k", &body),
        post_to(&other_process, &office.zhang, "k", &body),
        gate.open_when_waiting(2),
    );
    assert_eq!((one.status, other.status), (201, 201));
    assert!(is_repeated(&one) != is_repeated(&other));
    assert_eq!(one.data(), other.data());
    let list = office.api.get(&office.zhang, "/api/customers").await.data();
    assert_eq!(list["total"], 1);
    let told: Vec<String> = office.inbox(&office.admin).await;
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn a_request_that_failed_may_be_tried_again_under_its_key(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/users/{}", office.wang.id);
    let activate = async |active: bool| {
        let body = json!({ "active": active });
        office.api.patch(&office.admin, &path, &body).await.data();
    };
    let assign = async || {
        let path = format!("/api/customers/{lead}/assign");
        let request = office.api.request(Method::PATCH, &path);
        let request = request
            .bearer_auth(&office.zhang.token)
            .header("idempotency-key", "k")
            .json(&json!({ "assignedTo": office.wang.id }));
        TestApi::send(request).await
    };
    activate(false).await;
    let refused = assign().await;
    assert_eq!(refused.said(), (400, "指定的负责人未激活"));
    activate(true).await;
    let done = assign().await;
    assert_eq!(done.said(), (200, "客户分配成功"));
    assert!(!is_repeated(&done));
    // Now it was done, and stays so whatever comes between.
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let repeated = assign().await;
    assert!(is_repeated(&repeated));
    assert_eq!(repeated.data()["assignedTo"], json!(office.wang.id));
    assert_eq!(
        office.customer(&lead).await["assignedTo"],
        json!(office.li.id)
    );
}

async fn a_change_that_is_rolled_back_keeps_no_answer(database: &TestDatabase) {
    let office = Office::open(database).await;
    refuse_inserts(database, "outbox_messages");
    let before = database.contents().await;
    let body = json!({ "name": "王女士", "phone": "13800138999", "leadSource": "美团", "assignedTo": office.li.id });
    let answer = post(&office, &office.zhang, "k", &body).await;
    assert_eq!(answer.said(), (500, "服务器内部错误"));
    database.assert_unchanged_since(&before).await;
}

async fn a_key_that_cannot_be_is_refused_by_name(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let body = json!({ "name": "王女士", "wechatId": "wang", "leadSource": "美团" });
    for key in ["", "a b", &"k".repeat(129)] {
        let answer = post(&office, &office.zhang, key, &body).await;
        assert_eq!(answer.status, 400, "{key:?}");
        let named = &answer.body["error"]["details"]["field"];
        assert_eq!(named, "Idempotency-Key", "{key:?}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn an_answer_is_kept_for_a_day(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = |id: &str| json!({ "name": "王女士", "wechatId": id, "leadSource": "美团" });
    for key in ["a", "b", "c"] {
        let answer = post(&office, &office.zhang, key, &body(key)).await;
        assert_eq!(answer.status, 201);
    }
    let age = async |hours: u64| {
        let stored_at = SystemClock.now().before(Duration::from_secs(hours * 3_600));
        database
            .write(move |transaction| {
                diesel::update(idempotency_keys::table)
                    .set(idempotency_keys::created_at.eq(stored_at))
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    };
    age(23).await;
    assert!(is_repeated(
        &post(&office, &office.zhang, "a", &body("a")).await
    ));
    age(25).await;
    let anew = post(&office, &office.zhang, "a", &body("d")).await;
    assert_eq!(anew.status, 201);
    assert!(!is_repeated(&anew));
    // The others are gone with it.
    let left: Vec<String> = database
        .read(|connection| {
            let keys = idempotency_keys::table.select(idempotency_keys::key);
            Ok(keys.load(connection)?)
        })
        .await;
    assert_eq!(left, ["a"]);
}

async fn a_password_is_not_kept(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body =
        json!({ "username": "new", "password": PASSWORD, "name": "新人", "role": "employee" });
    let request = office.api.request(Method::POST, "/api/users");
    let request = request
        .bearer_auth(&office.admin.token)
        .header("idempotency-key", "k")
        .json(&body);
    TestApi::send(request).await.data();
    let everything = format!("{:?}", database.contents().await);
    assert!(everything.contains("新人"));
    assert!(!everything.contains(PASSWORD));
}

async fn a_body_over_the_limit_is_refused_with_a_key_too(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "name": "王".repeat(400_000), "wechatId": "x", "leadSource": "美团" });
    let answer = post(&office, &office.zhang, "k", &body).await;
    assert_eq!(answer.said(), (413, "请求体过大，最大允许 1 MiB"));
}

async fn post(office: &Office<'_>, by: &Session, key: &str, body: &Value) -> Answer {
    post_to(&office.api, by, key, body).await
}

async fn post_to(api: &TestApi, by: &Session, key: &str, body: &Value) -> Answer {
    let request = api.request(Method::POST, "/api/customers");
    let request = request
        .bearer_auth(&by.token)
        .header("idempotency-key", key)
        .json(body);
    TestApi::send(request).await
}

fn is_repeated(answer: &Answer) -> bool {
    answer
        .headers
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true")
}
