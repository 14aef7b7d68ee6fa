use serde_json::json;
use shared::domain::Channel;
use shared::outbox::Status;
use wechat_sandbox::{Api, DEMO_SECRET, Fault, FaultAction};

use crate::harness::{RelayStage, TestDatabase, TestProcess, assignment, on_each_database};

on_each_database!(nothing_sensitive_is_logged_even_when_everything_fails);

async fn nothing_sensitive_is_logged_even_when_everything_fails(database: &TestDatabase) {
    const PHONE: &str = "13912345678";
    const PAYLOAD: &str = "标记客户";
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(6).await;
    let openids: Vec<&str> = employees
        .iter()
        .map(|employee| employee.openid.as_str())
        .collect();
    for (openid, action) in openids.iter().zip([
        FaultAction::Hang,
        FaultAction::RawBody(format!(
            "{{\"errcode\": 47003, \"errmsg\": \"{PHONE} {}\"}}",
            openids[1]
        )),
        FaultAction::ResetMidBody,
        FaultAction::HttpStatus {
            status: 500,
            body: openids[3].to_owned(),
        },
        FaultAction::Errcode {
            errcode: 40_003,
            errmsg: Some(format!("invalid openid {} rid: x", openids[4])),
        },
        FaultAction::Redirect("http://127.0.0.1:1/?access_token=abc".to_owned()),
    ]) {
        stage
            .sandbox
            .add_fault(Fault::on(Api::SubscribeSend, action).for_openid(openid));
    }
    let mut data = assignment();
    data.insert("customerName".to_owned(), json!(PAYLOAD));
    data.insert("phone".to_owned(), json!(PHONE));
    let ids: Vec<_> = employees
        .iter()
        .map(|employee| employee.id.clone())
        .collect();
    stage
        .assign_with(&ids, &[Channel::WechatSubscribe], data)
        .await;

    let all = ["--log", "trace", "--log-format", "json"];
    let relay = TestProcess::start("outbox-relay", &stage.relay_arguments(&all));
    stage.until_status(Status::Sent, 4).await;
    let said = relay.terminate().said;

    let token = stage.sandbox.tokens();
    assert!(!token.is_empty());
    let mut secrets = vec![DEMO_SECRET, PHONE, PAYLOAD];
    secrets.extend(openids);
    secrets.extend(token.iter().map(String::as_str));
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
    assert!(
        said.contains("transport/no_answer"),
        "at this level every attempt is logged"
    );
    assert!(
        said.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}
