//! Subscribe messages.

use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{DEMO_APPID, DEMO_SECRET, DEMO_TEMPLATE_ID};

use crate::harness::{OPENID, SEND, Wire, errcode, message, read};

const OTHER_OPENID: &str = "oYizhan_0000000000000000bbbb";

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
