use serde_json::json;
use shared::domain::Channel;
use shared::outbox::Status;
use wechat_sandbox::{Api, DEMO_AGENT_SECRET, DEMO_ROBOT_KEY, DEMO_SECRET, Fault, FaultAction};

use crate::harness::{
    RelayStage, TestDatabase, TestProcess, assignment, on_each_database, registration,
};

on_each_database!(
    nothing_sensitive_is_logged_even_when_everything_fails,
    nothing_sensitive_of_wecom_is_logged_either,
);

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

async fn nothing_sensitive_of_wecom_is_logged_either(database: &TestDatabase) {
    const PHONE: &str = "13912345678";
    const PAYLOAD: &str = "标记会员";
    let stage = RelayStage::wecom(database).await;
    let elsewhere = "http://127.0.0.1:1/?access_token=abc".to_owned();
    for (api, action) in [
        (Api::WecomToken, FaultAction::ResetMidBody),
        (Api::WecomSend, FaultAction::ResetBeforeAnswer),
        (Api::WecomSend, FaultAction::Redirect(elsewhere)),
        (
            Api::WecomSend,
            FaultAction::RawBody(format!("{{\"errcode\": 44004, \"errmsg\": \"{PHONE}\"}}")),
        ),
        (
            Api::WecomRobot,
            FaultAction::Errcode {
                errcode: 40_058,
                errmsg: Some(format!("/webhook/send?key={DEMO_ROBOT_KEY} {PHONE}")),
            },
        ),
    ] {
        stage.sandbox.add_fault(Fault::on(api, action));
    }
    let mut data = registration();
    data.insert("occupation".to_owned(), json!(format!("{PAYLOAD} {PHONE}")));
    for recipients in ["zhangsan", "lisi", "wangwu"] {
        stage
            .tell_on(Channel::WecomApp, recipients, data.clone())
            .await;
    }
    stage.tell_on(Channel::WecomRobot, "group", data).await;

    let all = ["--log", "trace", "--log-format", "json"];
    let relay = TestProcess::start("outbox-relay", &stage.relay_arguments(&all));
    stage.until_status(Status::Failed, 2).await;
    stage.until_status(Status::Sent, 2).await;
    let said = relay.terminate().said;

    let tokens = stage.sandbox.tokens();
    let mut secrets = vec![DEMO_AGENT_SECRET, DEMO_ROBOT_KEY, PHONE, PAYLOAD];
    secrets.extend(tokens.iter().map(String::as_str));
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
    for message in database.messages().await {
        let error = message.last_error.unwrap_or_default();
        assert!(
            !error.contains(DEMO_ROBOT_KEY) && !error.contains(PHONE),
            "{error}"
        );
    }
}
