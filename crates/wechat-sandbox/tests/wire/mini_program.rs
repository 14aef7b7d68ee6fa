//! The mini-program platform over real HTTP, and the control API.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use wechat_sandbox::{
    DEMO_APPID, DEMO_ENVIRONMENT, DEMO_FUNCTION, DEMO_SECRET, DEMO_TEMPLATE_ID, Fault,
};

use crate::harness::{INVOKE, OPENID, SEND, Wire, assign_event, errcode, message, read};

const OTHER_OPENID: &str = "oYizhan_0000000000000000bbbb";

#[tokio::test]
async fn answers_are_http_200_with_the_platforms_content_type_and_request_id() {
    let wire = Wire::start().await;
    for path in ["/cgi-bin/token", "/cgi-bin/no/such/thing", SEND] {
        let response = wire.raw(Method::GET, path, "").await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/json; encoding=utf-8"
        );
        let answer = read(response).await;
        let errmsg = answer["errmsg"].as_str().unwrap();
        let rid = errmsg.split_once(" rid: ").unwrap().1;
        assert_eq!(
            rid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 8, 8],
            "{errmsg}"
        );
    }
    assert_eq!(errcode(&wire.get("/cgi-bin/no/such/thing").await), 40066);
}

#[tokio::test]
async fn wrong_methods_are_refused() {
    let wire = Wire::start().await;
    for path in [
        "/cgi-bin/stable_token",
        SEND,
        INVOKE,
        "/cgi-bin/openapi/quota/get",
        "/cgi-bin/clear_quota",
    ] {
        assert_eq!(errcode(&wire.get(path).await), 43002, "{path}");
    }
    for path in ["/sns/jscode2session", "/wxaapi/newtmpl/gettemplate"] {
        assert_eq!(errcode(&wire.post(path, json!({})).await), 43001, "{path}");
    }
}

#[tokio::test]
async fn the_classic_token_endpoint_names_what_is_wrong() {
    let wire = Wire::start().await;
    let cases = [
        (
            format!("grant_type=client_credential&appid={DEMO_APPID}&secret={DEMO_SECRET}&x=1"),
            0,
        ),
        (
            format!("grant_type=client_credential&secret={DEMO_SECRET}"),
            41002,
        ),
        (
            format!("grant_type=client_credential&appid={DEMO_APPID}"),
            41004,
        ),
        (
            format!("grant_type=password&appid={DEMO_APPID}&secret={DEMO_SECRET}"),
            40002,
        ),
        (format!("appid={DEMO_APPID}&secret={DEMO_SECRET}"), 40002),
        (
            format!("grant_type=client_credential&appid=wx0&secret={DEMO_SECRET}"),
            40013,
        ),
        (
            format!("grant_type=client_credential&appid={DEMO_APPID}&secret=no"),
            40125,
        ),
    ];
    for (query, expected) in &cases {
        let path = format!("/cgi-bin/token?{query}");
        let by_get = wire.get(&path).await;
        assert_eq!(errcode(&by_get), *expected, "GET {query}");
        let by_post = wire
            .raw(Method::POST, "/cgi-bin/token", query)
            .await
            .unwrap();
        assert_eq!(errcode(&read(by_post).await), *expected, "POST {query}");
    }
    let app = json!({"appid": DEMO_APPID, "secret": DEMO_SECRET,
        "wrongSecret": "invalidCredential"});
    wire.control("apps", app).await;
    let answer = wire.get(&format!("/cgi-bin/token?{}", cases[6].0)).await;
    assert_eq!(errcode(&answer), 40001);
    assert!(
        answer["errmsg"]
            .as_str()
            .unwrap()
            .starts_with("invalid credential rid: ")
    );
}

#[tokio::test]
async fn the_stable_token_endpoint_names_what_is_wrong() {
    let wire = Wire::start().await;
    let good = json!({"grant_type": "client_credential", "appid": DEMO_APPID,
        "secret": DEMO_SECRET});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    let cases = [
        (good.to_string(), 0),
        (String::new(), 44002),
        ("{".to_owned(), 47001),
        ("[]".to_owned(), 47001),
        (with("appid", Value::Null), 41002),
        (with("secret", Value::Null), 41004),
        (with("grant_type", json!("x")), 40002),
        (with("appid", json!("wx0")), 40013),
        (with("secret", json!("x")), 40125),
        (with("force_refresh", json!("yes")), 47001),
    ];
    for (body, expected) in cases {
        let response = wire
            .raw(Method::POST, "/cgi-bin/stable_token", &body)
            .await
            .unwrap();
        assert_eq!(errcode(&read(response).await), expected, "{body}");
    }
}

#[tokio::test]
async fn the_allow_list_guards_the_secret_and_names_the_address() {
    let wire = Wire::start().await;
    wire.control("ip-allow-list", json!({"addresses": ["10.0.0.1"]}))
        .await;
    let answer = wire.stable(false).await;
    assert_eq!(errcode(&answer), 40164);
    let expected = "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ";
    assert!(
        answer["errmsg"].as_str().unwrap().starts_with(expected),
        "{answer}"
    );
    wire.control("ip-allow-list", json!({"addresses": null}))
        .await;
    assert_eq!(errcode(&wire.stable(false).await), 0);
}

#[tokio::test]
async fn tokens_age_by_the_moved_clock() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 99).unwrap();
    let classic_path = format!(
        "/cgi-bin/token?grant_type=client_credential&appid={DEMO_APPID}&secret={DEMO_SECRET}"
    );
    let classic = async || {
        let answer = wire.get(&classic_path).await;
        assert_eq!(answer["expires_in"], 7200);
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let code = async |token: &str| errcode(&wire.send(token, message(OPENID)).await);
    let (old, new) = (classic().await, classic().await);
    let stable = wire.token().await;
    assert_eq!(
        (code(&old).await, code(&new).await, code(&stable).await),
        (0, 0, 0)
    );

    wire.control("clock", json!({"advanceSeconds": 301})).await;
    assert_eq!(
        (code(&old).await, code(&new).await, code(&stable).await),
        (40001, 0, 0)
    );
    let again = wire.stable(false).await;
    assert_eq!(again["access_token"], stable.as_str());
    assert!(again["expires_in"].as_u64().unwrap() <= 6899, "{again}");

    wire.control("clock", json!({"advanceSeconds": 6700})).await;
    let rolled = wire.token().await;
    assert_ne!(rolled, stable);
    assert_eq!((code(&stable).await, code(&rolled).await), (0, 0));

    wire.control("clock", json!({"advanceSeconds": 300})).await;
    assert_eq!(
        (code(&new).await, code(&stable).await, code(&rolled).await),
        (42001, 42001, 0)
    );

    let forced = wire.stable(true).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!((code(&rolled).await, code(&forced).await), (40001, 0));
    assert_eq!(wire.stable(true).await["access_token"], forced.as_str());
}

#[tokio::test]
async fn a_send_is_checked_in_order() {
    let wire = Wire::start().await;
    let app = json!({"appid": DEMO_APPID, "secret": DEMO_SECRET, "sensitiveWords": ["赌博"],
        "pages": ["pages/customer/detail"]});
    wire.control("apps", app).await;
    wire.control("apps", json!({"appid": "wx2", "secret": "s2"}))
        .await;
    wire.control("users", json!({"openid": OTHER_OPENID, "appid": "wx2"}))
        .await;
    let token = wire.token().await;
    let url = format!("{SEND}?access_token={token}");
    let with = |pointer: &str, value: Value| {
        let mut body = message(OPENID);
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string()
    };
    let cases = [
        (SEND.to_owned(), "{".to_owned(), 41001),
        (
            format!("{SEND}?access_token=garbage"),
            "{".to_owned(),
            40014,
        ),
        (
            format!("{SEND}?access_token=88_{}", "x".repeat(134)),
            "{".to_owned(),
            40001,
        ),
        (url.clone(), String::new(), 44002),
        (url.clone(), "{".to_owned(), 47001),
        (url.clone(), "7".to_owned(), 47001),
        (url.clone(), with("/touser", json!("")), 40003),
        (url.clone(), with("/touser", json!("somebody")), 40003),
        (url.clone(), with("/touser", json!(7)), 40003),
        (url.clone(), with("/touser", json!(OTHER_OPENID)), 40003),
        (url.clone(), with("/template_id", json!("other")), 40037),
        (url.clone(), with("/data", json!("{}")), 47003),
        (url.clone(), with("/data/thing1/value", json!("")), 47003),
        (url.clone(), with("/page", json!("pages/none")), 41030),
        (
            url.clone(),
            with("/data/thing1/value", json!("赌博")),
            45168,
        ),
        (url.clone(), message(OPENID).to_string(), 43101),
    ];
    for (path, body, expected) in &cases {
        let answer = read(wire.raw(Method::POST, path, body).await.unwrap()).await;
        assert_eq!(errcode(&answer), *expected, "{path} {body}");
    }
    let stats = wire.get("/control/stats").await;
    assert_eq!(stats["accepted"], 0);
    assert_eq!(stats["refused"], cases.len());
    assert_eq!(stats["byErrcode"]["40003"], 4);
}

#[tokio::test]
async fn the_first_bad_field_is_named_and_a_long_text_cut() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    let cases = [
        (
            "thing1",
            "一二三四五六七八九十一二三四五六七八九十一",
            "thing1.value invalid",
        ),
        ("thing1", " ", "thing1.value is empty"),
        ("number1", "1a", "number1.value invalid"),
        ("letter1", "a1", "letter1.value invalid"),
        ("symbol1", "a", "symbol1.value invalid"),
        ("character_string1", "订单", "character_string1.value i"),
        ("time1", "15:01～16:01", "time1.value invalid"),
        ("date1", "15:01", "date1.value invalid"),
        ("amount1", "12345678901", "amount1.value invalid"),
        ("phone_number6", "abc", "phone_number6.value inval"),
        ("car_number1", "粤A8Z8888挂", "car_number1.value invalid"),
        ("name1", "张3", "name1.value invalid"),
        ("phrase1", "abc", "phrase1.value invalid"),
        ("enum1", "别的", "enum1.value invalid"),
    ];
    for (key, value, expected) in cases {
        let fields = json!([{"key": key, "name": "字段", "values": ["高", "低"]},
            {"key": "thing99", "name": "后面"}]);
        let template = json!({"templateId": format!("T-{key}"), "title": "测试", "fields": fields});
        wire.control("templates", template).await;
        let body = json!({"touser": OPENID, "template_id": format!("T-{key}"),
            "data": {key: {"value": value}}});
        let answer = wire.send(&token, body).await;
        assert_eq!(errcode(&answer), 47003, "{key}");
        let errmsg = answer["errmsg"].as_str().unwrap();
        let expected = format!("argument invalid! data.{expected} rid: ");
        assert!(
            errmsg.starts_with(&expected),
            "{errmsg} should start with {expected}"
        );
    }
}

#[tokio::test]
async fn subscriptions_add_up_and_each_send_takes_one() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    let subscribe = async |verb: &str, value: Value| {
        let mut body = json!({"openid": OPENID, "templateId": DEMO_TEMPLATE_ID});
        body[verb] = value;
        wire.control("subscriptions", body).await;
    };
    let code = async || errcode(&wire.send(&token, message(OPENID)).await);
    subscribe("accept", json!(1)).await;
    subscribe("accept", json!(1)).await;
    assert_eq!(
        [code().await, code().await, code().await, code().await],
        [0, 0, 43101, 43101]
    );
    subscribe("accept", json!(5)).await;
    subscribe("reject", json!(true)).await;
    assert_eq!(code().await, 43101);
    let left = format!("/control/subscriptions?openid={OPENID}&templateId={DEMO_TEMPLATE_ID}");
    assert_eq!(wire.get(&left).await["remaining"], 0);

    let long_term = json!({"templateId": DEMO_TEMPLATE_ID, "title": "长期", "type": 3,
        "fields": [{"key": "thing1", "name": "事项"}]});
    wire.control("templates", long_term).await;
    subscribe("accept", json!(1)).await;
    assert_eq!([code().await, code().await], [0, 0]);

    wire.control.reset().unwrap();
    let token = wire.token().await;
    let app = json!({"appid": DEMO_APPID, "secret": DEMO_SECRET, "quota": "unlimited",
        "msgid": "omitted"});
    wire.control("apps", app).await;
    let answer = wire.send(&token, message(OPENID)).await;
    assert_eq!(answer, json!({"errcode": 0, "errmsg": "ok"}));
    subscribe("reject", json!(true)).await;
    assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 43101);
}

#[tokio::test]
async fn the_msgid_is_an_integer_that_a_double_cannot_hold() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 1).unwrap();
    let token = wire.token().await;
    let path = format!("{SEND}?access_token={token}");
    let response = wire
        .raw(Method::POST, &path, &message(OPENID).to_string())
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let digits = text
        .strip_prefix(r#"{"errcode":0,"errmsg":"ok","msgid":"#)
        .unwrap()
        .trim_end_matches('}');
    let msgid: u64 = digits.parse().unwrap();
    assert!(msgid > 1 << 53);
    assert_ne!(msgid as f64 as u64, msgid);
    let read = wire
        .get(&format!("/control/messages?openid={OPENID}"))
        .await;
    assert_eq!(read["messages"][0]["msgid"], msgid);
    assert_eq!(read["messages"][0]["data"]["thing1"]["value"], "张女士");
    assert_eq!(read["messages"][0]["page"], "pages/customer/detail?id=1");
}

#[tokio::test]
async fn two_sends_to_one_openid_at_once_collide() {
    let wire = Wire::start().await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 9).unwrap();
    wire.control
        .accept(OTHER_OPENID, DEMO_TEMPLATE_ID, 9)
        .unwrap();
    let token = wire.token().await;
    for processed in [false, true] {
        let fault = json!({"api": "subscribe_send", "match": {"openid": OPENID},
            "action": {"hang": true, "processed": processed}});
        wire.control("faults", fault).await;
        let first = tokio::spawn(
            wire.client
                .post(format!(
                    "{}{SEND}?access_token={token}",
                    wire.sandbox.base_url()
                ))
                .body(message(OPENID).to_string())
                .send(),
        );
        assert_eq!(wire.get("/control/wait?inFlight=1").await["inFlight"], 1);
        let answer = wire.send(&token, message(OPENID)).await;
        assert_eq!(errcode(&answer), 43108);
        assert_eq!(errcode(&wire.send(&token, message(OTHER_OPENID)).await), 0);
        let requests = wire.control.requests(0);
        let collided = &requests[requests.len() - 2];
        assert_eq!(
            (collided.errcode, collided.in_flight_same_recipient),
            (Some(43108), 1)
        );
        // The client goes away, and with it the hanging request.
        first.abort();
        wire.control.until(|stats| stats.in_flight == 0).await;
        assert_eq!(errcode(&wire.send(&token, message(OPENID)).await), 0);
    }
    assert_eq!(
        wire.control
            .subscription(OPENID, DEMO_TEMPLATE_ID)
            .remaining,
        6
    );
}

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

#[tokio::test]
async fn login_codes_work_once_for_five_minutes() {
    let wire = Wire::start().await;
    wire.control(
        "users",
        json!({"openid": OPENID, "name": "王芳", "unionid": "u1"}),
    )
    .await;
    let make = async || {
        let answer = wire.control("codes", json!({"openid": OPENID})).await;
        answer["code"].as_str().unwrap().to_owned()
    };
    let login = async |appid: &str, secret: &str, code: &str, grant: &str| {
        wire.get(&format!(
            "/sns/jscode2session?appid={appid}&secret={secret}&js_code={code}&grant_type={grant}\
             &access_token=ignored"
        ))
        .await
    };
    let grant = "authorization_code";
    let code = make().await;
    let cases = [
        ("", DEMO_SECRET, code.as_str(), grant, 41002),
        (DEMO_APPID, "", &code, grant, 41004),
        (DEMO_APPID, DEMO_SECRET, "", grant, 41008),
        (DEMO_APPID, DEMO_SECRET, &code, "x", 40002),
        ("wx0", DEMO_SECRET, &code, grant, 40013),
        (DEMO_APPID, "x", &code, grant, 40125),
        (DEMO_APPID, DEMO_SECRET, "unknown", grant, 40029),
    ];
    for (appid, secret, code, grant, expected) in cases {
        let answer = login(appid, secret, code, grant).await;
        assert_eq!(errcode(&answer), expected, "{answer}");
    }
    let answer = login(DEMO_APPID, DEMO_SECRET, &code, grant).await;
    assert_eq!(
        (&answer["openid"], &answer["unionid"]),
        (&json!(OPENID), &json!("u1"))
    );
    assert_eq!(answer["session_key"].as_str().unwrap().len(), 24);
    assert!(answer.get("errcode").is_none());
    assert_eq!(
        errcode(&login(DEMO_APPID, DEMO_SECRET, &code, grant).await),
        40163
    );

    let late = make().await;
    wire.control("clock", json!({"advanceSeconds": 300})).await;
    let answer = login(DEMO_APPID, DEMO_SECRET, &late, grant).await;
    assert_eq!(errcode(&answer), 40029);
    assert!(
        answer["errmsg"]
            .as_str()
            .unwrap()
            .starts_with("invalid code, rid: "),
        "{answer}"
    );
}

#[tokio::test]
async fn templates_are_listed_as_the_platform_lists_them() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    wire.control(
        "templates",
        json!({"templateId": "AAA", "title": "状态", "type": 3,
        "fields": [{"key": "enum5", "name": "级别", "values": ["高", "低"]}]}),
    )
    .await;
    let answer = wire
        .get(&format!("/wxaapi/newtmpl/gettemplate?access_token={token}"))
        .await;
    assert_eq!(errcode(&answer), 0);
    let listed = answer["data"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["priTmplId"], "AAA");
    assert_eq!(listed[0]["type"], 3);
    assert_eq!(
        listed[0]["keywordEnumValueList"],
        json!([{"keywordCode": "enum5", "enumValueList": ["高", "低"]}])
    );
    assert_eq!(
        listed[1]["content"],
        "客户姓名:{{thing1.DATA}}\n客户来源:{{thing2.DATA}}\n分配人:{{name3.DATA}}\n\
         分配时间:{{time4.DATA}}"
    );
    assert_eq!(
        errcode(&wire.get("/wxaapi/newtmpl/gettemplate").await),
        41001
    );
}

#[tokio::test]
async fn the_daily_quota_is_counted_reported_and_cleared() {
    let wire = Wire::start().await;
    let app = json!({"appid": DEMO_APPID, "secret": DEMO_SECRET, "quota": "unlimited",
        "dailyLimits": {"subscribe_send": 2}});
    wire.control("apps", app).await;
    let token = wire.token().await;
    let code = async || errcode(&wire.send(&token, message(OPENID)).await);
    assert_eq!([code().await, code().await, code().await], [0, 0, 45009]);
    let quota = async |path: &str| {
        let url = format!("/cgi-bin/openapi/quota/get?access_token={token}");
        wire.post(&url, json!({"cgi_path": path})).await
    };
    assert_eq!(
        quota(SEND).await["quota"],
        json!({"daily_limit": 2, "used": 2, "remain": 0})
    );
    assert_eq!(errcode(&quota("/no/such/path").await), 76021);
    let clear = async |appid: &str| {
        let url = format!("/cgi-bin/clear_quota?access_token={token}");
        errcode(&wire.post(&url, json!({"appid": appid})).await)
    };
    assert_eq!(clear("wx0").await, 40013);
    assert_eq!(clear(DEMO_APPID).await, 0);
    assert_eq!(code().await, 0);
    for _ in 0..9 {
        assert_eq!(clear(DEMO_APPID).await, 0);
    }
    assert_eq!(clear(DEMO_APPID).await, 48006);
}

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
