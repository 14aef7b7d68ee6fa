//! Scripted faults.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::json;
use wechat_sandbox::DEMO_TEMPLATE_ID;

use crate::harness::{OPENID, SEND, Wire, errcode, message};

#[tokio::test]
async fn errcode_faults_strike_as_scripted() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 9).unwrap();
    let token = wire.token().await;
    wire.control("faults", json!([
        {"api": "subscribe_send", "times": 2, "skip": 1, "action": {"errcode": 45009}},
        {"api": "any", "match": {"textContains": "张女士"}, "action": {"errcode": -1, "errmsg": "busy"}},
        {"api": "subscribe_send", "match": {"templateId": "other"}, "times": "always", "action": {"errcode": 1}},
    ]))
    .await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(wire.send(&token, message(OPENID)).await);
    }
    assert_eq!(
        answers.iter().map(errcode).collect::<Vec<_>>(),
        [-1, 45009, 45009, 0]
    );
    assert!(
        answers[0]["errmsg"]
            .as_str()
            .unwrap()
            .starts_with("busy rid: ")
    );
    let expected = "reach max api daily quota limit rid: ";
    assert!(answers[1]["errmsg"].as_str().unwrap().starts_with(expected));

    let left = wire.get("/control/faults").await;
    assert_eq!(left["faults"].as_array().unwrap().len(), 1);
    let id = &left["faults"][0]["id"];
    let removed = wire
        .raw(Method::DELETE, &format!("/control/faults/{id}"), "")
        .await
        .unwrap();
    assert_eq!(removed.status(), 200);
    assert_eq!(wire.control.faults().len(), 0);

    wire.control(
        "faults",
        json!({"api": "any", "action": {"expireTokens": true}}),
    )
    .await;
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 42001);
    let token = wire.token().await;
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 0);
}

#[tokio::test]
async fn broken_answers_deliver_only_when_processed() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 99).unwrap();
    let token = wire.token().await;
    let path = format!("{SEND}?access_token={token}");
    let mut delivered = 0;
    for processed in [false, true] {
        for action in [
            json!({"resetBeforeAnswer": true}),
            json!({"resetMidBody": true}),
            json!({"httpStatus": 502, "body": "<html>"}),
            json!({"rawBody": "garbage"}),
            json!({"longBody": 100_000}),
            json!({"redirect": "http://127.0.0.1:9/"}),
            json!({"errcode": -1}),
        ] {
            let mut action = action;
            action["processed"] = json!(processed);
            let fault = json!({"api": "subscribe_send", "action": action});
            wire.control("faults", fault).await;
            let outcome = wire
                .raw(Method::POST, &path, &message(OPENID).to_string())
                .await;
            let seen = match outcome {
                Err(error) => {
                    assert!(!error.is_timeout(), "{error:?}");
                    assert!(
                        format!("{error:?}").contains("ConnectionReset"),
                        "{error:?}"
                    );
                    "reset".to_owned()
                }
                Ok(response) => {
                    let status = response.status().as_u16();
                    let length = response.content_length().unwrap();
                    match response.bytes().await {
                        Err(error) => {
                            format!("{status} body {}", error.is_body() || error.is_decode())
                        }
                        Ok(body) => {
                            assert_eq!(body.len() as u64, length);
                            let text = String::from_utf8_lossy(&body).into_owned();
                            let text = match body.len() {
                                100_000 => text.split(',').next().unwrap().to_owned(),
                                _ => text.split(" rid").next().unwrap().to_owned(),
                            };
                            format!("{status} {text}")
                        }
                    }
                }
            };
            let expected = match action
                .as_object()
                .unwrap()
                .keys()
                .find(|k| *k != "processed" && *k != "body")
                .unwrap()
                .as_str()
            {
                "resetBeforeAnswer" => "reset",
                "resetMidBody" => "200 body true",
                "httpStatus" => "502 <html>",
                "rawBody" => "200 garbage",
                "longBody" => r#"200 {"errcode":0"#,
                "redirect" => "302 ",
                _ => r#"200 {"errcode":-1,"errmsg":"system error"#,
            };
            assert_eq!(seen, expected, "{action}");
            delivered += u64::from(processed);
            assert_eq!(wire.control.stats().accepted, delivered, "{action}");
        }
    }
    assert_eq!(wire.control.stats().duplicates, delivered - 1);
}

#[tokio::test]
async fn a_late_or_missing_answer_looks_like_a_time_out() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 9).unwrap();
    let token = wire.token().await;
    let impatient = Client::builder()
        .timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    for (action, delivered) in [
        (json!({"hang": true}), 0),
        (json!({"hang": true, "processed": true}), 1),
        (json!({"delayMs": 60_000}), 2),
    ] {
        wire.control("faults", json!({"api": "subscribe_send", "action": action}))
            .await;
        let url = format!("{}{SEND}?access_token={token}", wire.sandbox.base_url());
        let error = impatient
            .post(url)
            .body(message(OPENID).to_string())
            .send()
            .await
            .unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(wire.control.stats().accepted, delivered, "{action}");
        wire.control.until(|stats| stats.in_flight == 0).await;
    }
    wire.control("latency", json!({"millis": 80})).await;
    let started = Instant::now();
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 0);
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn stopping_cuts_hanging_requests_off() {
    let wire = Wire::start().await;
    wire.control("faults", json!({"api": "any", "action": {"hang": true}}))
        .await;
    let url = format!("{}/cgi-bin/token", wire.sandbox.base_url());
    let hanging = tokio::spawn(wire.client.get(url).send());
    wire.control.until(|stats| stats.in_flight == 1).await;
    let address = wire.sandbox.address;
    let started = Instant::now();
    wire.sandbox.stop().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    TcpListener::bind(address).unwrap();
}
