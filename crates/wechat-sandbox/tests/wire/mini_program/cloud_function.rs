//! Cloud functions.

use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{DEMO_ENVIRONMENT, DEMO_FUNCTION};

use crate::harness::{INVOKE, OPENID, Wire, assign_event, errcode, read};

#[tokio::test]
async fn the_demo_function_tells_bound_users_once() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    let path = format!("{INVOKE}?access_token={token}&env={DEMO_ENVIRONMENT}&name={DEMO_FUNCTION}");
    let invoke = async |event: Value| -> Value {
        let answer = wire.post(&path, event).await;
        assert_eq!(errcode(&answer), 0, "{answer}");
        serde_json::from_str(answer["resp_data"].as_str().unwrap()).unwrap()
    };
    let accepted = json!({"success": true, "messageId": "m1"});
    assert_eq!(invoke(assign_event("m1", Some(OPENID))).await, accepted);
    assert_eq!(invoke(assign_event("m1", Some(OPENID))).await, accepted);
    let unbound = json!({"success": false, "message": "用户未绑定微信"});
    assert_eq!(invoke(assign_event("m2", None)).await, unbound);
    assert_eq!(invoke(assign_event("m3", Some("nobody"))).await, unbound);
    assert_eq!(invoke(json!({"type": "other"})).await, Value::Null);

    let read = wire.get("/control/messages?api=cloud_function").await;
    let repeats: Vec<_> = read["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["repeat"])
        .collect();
    assert_eq!(repeats, [&json!(false), &json!(true)]);
    assert_eq!(read["messages"][0]["messageId"], "m1");
    let stats = wire.control.stats();
    assert_eq!((stats.accepted, stats.duplicates, stats.refused), (2, 1, 3));
}

#[tokio::test]
async fn cloud_functions_fail_with_their_codes() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    wire.control(
        "cloud-functions",
        json!([
            {"env": "e", "name": "throws", "behaviour": "throws"},
            {"env": "e", "name": "slow", "behaviour": {"timesOut": {"afterMillis": 0}}},
            {"env": "e", "name": "echo", "behaviour": "echo"},
            {"env": "e", "name": "text", "behaviour": {"returns": "not json"}},
        ]),
    )
    .await;
    let url = |rest: &str| format!("{INVOKE}?access_token={token}{rest}");
    let cases = [
        (INVOKE.to_owned(), "{}", 41001),
        (url("&env=e&name=echo"), "", 44002),
        (url("&env=e&name=echo"), "{", 47001),
        (url("&env=e"), "{}", 40101),
        (url("&env=none&name=echo"), "{}", -501_000),
        (url("&env=e&name=none"), "{}", -501_000),
        (url("&env=e&name=throws"), "{}", -504_002),
        (url("&env=e&name=slow"), "{}", -504_003),
    ];
    for (path, body, expected) in cases {
        let answer = read(wire.raw(Method::POST, &path, body).await.unwrap()).await;
        assert_eq!(errcode(&answer), expected, "{path}");
    }
    let echo = wire.post(&url("&env=e&name=echo"), json!({"a": 1})).await;
    assert_eq!(echo["resp_data"], r#"{"event":{"a":1}}"#);
    let in_body = json!({"env": "e", "name": "echo", "req_data": "{\"a\":1}"});
    assert_eq!(
        wire.post(&url(""), in_body).await["resp_data"],
        r#"{"event":{"a":1}}"#
    );
    let text = wire.post(&url("&env=e&name=text"), json!({})).await;
    assert_eq!(text["resp_data"], "not json");
}
