//! The control API.

use reqwest::Method;
use serde_json::json;
use wechat_sandbox::{DEMO_TEMPLATE_ID, Fault};

use crate::harness::{OPENID, Wire, errcode, message, read};

#[tokio::test]
async fn a_reset_goes_back_to_the_start() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 2).unwrap();
    let token = wire.token().await;
    wire.send(&token, message(OPENID)).await;
    wire.control
        .add_fault(Fault::errcode(wechat_sandbox::Api::SubscribeSend, 45009).always());
    wire.control("reset", json!({})).await;
    assert_eq!(wire.control.stats(), wechat_sandbox::Stats::default());
    assert_eq!(wire.control.faults().len(), 0);
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 40001);
    let token = wire.token().await;
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 43101);
}

#[tokio::test]
async fn the_control_api_refuses_what_it_cannot_take() {
    let wire = Wire::start().await;
    for (path, body) in [
        ("/control/faults", r#"{"api":"any","action":{}}"#),
        (
            "/control/faults",
            r#"{"api":"any","action":{"hang":true},"typo":1}"#,
        ),
        (
            "/control/templates",
            r#"{"templateId":"T","title":"","fields":[{"key":"x1","name":""}]}"#,
        ),
        (
            "/control/subscriptions",
            r#"{"openid":"o","templateId":"none","accept":1}"#,
        ),
        ("/control/users", "{"),
    ] {
        let response = wire.raw(Method::POST, path, body).await.unwrap();
        assert_eq!(response.status(), 400, "{path} {body}");
        assert!(read(response).await["error"].is_string());
    }
    assert_eq!(
        wire.raw(Method::GET, "/control/none", "")
            .await
            .unwrap()
            .status(),
        404
    );
    assert!(wire.get("/control").await["POST /control/faults"].is_string());
}
