use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use shared::outbox::Status;
use wechat_sandbox::{DEMO_APPID, DEMO_ENVIRONMENT};

use crate::harness::{
    PASSWORD, RelayStage, TestDatabase, TestProcess, eventually, on_each_database,
};

on_each_database!(the_real_programs_deliver_an_assignment);

/// The two services as an operator starts them: two relays, one API, each a process of its own.
async fn the_real_programs_deliver_an_assignment(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let database_url = database.url().reveal();
    let arguments = [
        "--database-url",
        &database_url,
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret",
        "a signing secret for tests, longer than 32 bytes",
        "--admin-password",
        PASSWORD,
        "--wechat-appid",
        DEMO_APPID,
        "--wechat-cloud-env",
        DEMO_ENVIRONMENT,
    ];
    let api = TestProcess::start("crm-api", &arguments.map(str::to_owned));
    let relays = [(); 2].map(|()| TestProcess::start("outbox-relay", &stage.relay_arguments(&[])));
    eventually("the API says where it serves", async || {
        api.said().contains("serving on http://")
    })
    .await;
    let said = api.said();
    let (_, rest) = said.split_once("serving on ").unwrap();
    let url = rest.split_whitespace().next().unwrap().to_owned();

    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let call = async |method: Method, path: &str, token: &str, body: serde_json::Value| {
        let answer = http
            .request(method, format!("{url}{path}"))
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer["data"].clone()
    };
    let login = json!({ "username": "admin", "password": PASSWORD });
    let token = call(Method::POST, "/api/auth/login", "", login).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let employee =
        json!({ "username": "xiaoli", "password": PASSWORD, "name": "李小丽", "role": "employee" });
    let employee = call(Method::POST, "/api/users", &token, employee).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let binding = format!("/api/users/{employee}/bindings/mini_program:{DEMO_APPID}");
    call(
        Method::PUT,
        &binding,
        &token,
        json!({ "externalId": "oEmployee0000000000000000000" }),
    )
    .await;
    let customer = json!({ "name": "王女士", "phone": "13800138001", "leadSource": "美团" });
    let customer = call(Method::POST, "/api/customers", &token, customer).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    call(
        Method::PATCH,
        &format!("/api/customers/{customer}/assign"),
        &token,
        json!({ "assignedTo": employee }),
    )
    .await;

    stage.until_status(Status::Sent, 2).await;
    let stats = stage.sandbox.stats();
    assert_eq!((stats.accepted, stats.duplicates), (2, 0));
    for relay in relays {
        let ended = relay.terminate();
        assert!(ended.status.success(), "{}", ended.said);
    }
    let ended = api.terminate();
    assert!(ended.status.success(), "{}", ended.said);
}
