//! WeCom over real HTTP: group robots.

use serde_json::{Value, json};
use wechat_sandbox::{Api, DEMO_ROBOT_KEY, Envelope, Fault, MessageFilter};

use crate::harness::{Wire, assert_errmsg, errcode, read};

fn text(content: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": content}})
}

fn markdown(content: &str) -> Value {
    json!({"msgtype": "markdown", "markdown": {"content": content}})
}

async fn say(wire: &Wire, message: Value) -> Value {
    let path = format!("/cgi-bin/webhook/send?key={DEMO_ROBOT_KEY}");
    wire.post(&path, message).await
}

#[tokio::test]
async fn a_robot_speaks_to_its_group() {
    let wire = Wire::start().await;
    let mut message = text("会员 M001 已登记");
    message["text"]["mentioned_list"] = json!(["@all"]);
    assert_eq!(
        say(&wire, message).await,
        json!({"errcode": 0, "errmsg": "ok"})
    );
    let arrived = wire.control.messages(&MessageFilter {
        recipient: Some("会员登记群".to_owned()),
        ..Default::default()
    });
    assert_eq!(arrived.len(), 1);
    assert_eq!(
        arrived[0].envelope,
        Envelope::WecomRobot {
            group: "会员登记群".to_owned(),
            msgtype: "text".to_owned(),
        }
    );
    assert_eq!(
        arrived[0].data(),
        json!({"content": "会员 M001 已登记", "mentioned_list": ["@all"]})
    );
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_not_cut() {
    let wire = Wire::start().await;
    for (message, expected) in [
        (text(&"a".repeat(2_048)), None),
        (
            text(&"a".repeat(2_049)),
            Some("text.content exceed max length 2048"),
        ),
        (
            text(&"汉".repeat(683)),
            Some("text.content exceed max length 2048"),
        ),
        (markdown(&"汉".repeat(1_365)), None),
        (markdown(&"a".repeat(4_096)), None),
        (
            markdown(&"汉".repeat(1_366)),
            Some("markdown.content exceed max length 4096"),
        ),
        (
            json!({"msgtype": "markdown_v2", "markdown_v2": {"content": "a".repeat(4_097)}}),
            Some("markdown_v2.content exceed max length 4096"),
        ),
    ] {
        let answer = say(&wire, message).await;
        match expected {
            None => assert_eq!(errcode(&answer), 0, "{answer}"),
            Some(text) => {
                assert_eq!(errcode(&answer), 40058);
                assert_errmsg(&answer, &format!("{text}. invalid Request Parameter"));
            }
        }
    }
    assert_eq!(wire.control.stats().accepted, 3);
}

#[tokio::test]
async fn what_cannot_be_sent_is_named() {
    let wire = Wire::start().await;
    for (message, expected, errmsg) in [
        (text(""), 44004, "empty content"),
        (json!({"msgtype": "text"}), 44004, "empty content"),
        (json!({"msgtype": "smoke"}), 40008, "invalid message type"),
        (
            json!([]),
            40008,
            "Warning: wrong json format. invalid message type",
        ),
        (
            json!({"msgtype": "file", "file": {"media_id": "m"}}),
            40007,
            "invalid media_id",
        ),
        (
            json!({"msgtype": "image", "image": {"base64": "aaaa", "md5": "x"}}),
            40058,
            "image.md5. invalid Request Parameter",
        ),
    ] {
        let answer = say(&wire, message).await;
        assert_eq!(errcode(&answer), expected, "{answer}");
        assert_errmsg(&answer, errmsg);
    }
    for path in ["/cgi-bin/webhook/send", "/cgi-bin/webhook/send?key=unknown"] {
        let answer = wire.post(path, text("x")).await;
        assert_eq!(errcode(&answer), 93000);
        assert_errmsg(&answer, "invalid webhook url");
    }
    for code in [93000, 93004, 93008] {
        let fault = Fault::errcode(Api::WecomRobot, code).for_recipient(DEMO_ROBOT_KEY);
        wire.control.add_fault(fault);
        assert_eq!(errcode(&say(&wire, text("x")).await), code);
    }
    let image = json!({"base64": "aaaa", "md5": "0".repeat(32)});
    let image = json!({"msgtype": "image", "image": image});
    assert_eq!(errcode(&say(&wire, image).await), 0);
}

#[tokio::test]
async fn a_file_is_uploaded_and_sent_by_its_id() {
    let wire = Wire::start().await;
    wire.control("wecom/robots", json!({"key": "k2", "name": "另一个群"}))
        .await;
    let upload = async |query: &str, field: &str| {
        let url = format!(
            "{}/cgi-bin/webhook/upload_media?{query}",
            wire.sandbox.base_url()
        );
        let part = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nhello\r\n--b--\r\n"
        );
        let request = wire.client.post(url).body(part);
        let request = request.header("content-type", "multipart/form-data; boundary=b");
        read(request.send().await.unwrap()).await
    };
    let query = format!("key={DEMO_ROBOT_KEY}&type=file");
    let answer = upload(&query, "media").await;
    assert_eq!((errcode(&answer), &answer["type"]), (0, &json!("file")));
    assert!(answer["created_at"].is_string(), "{answer}");
    for (query, field, expected) in [
        ("type=file", "media", 40058),
        ("key=unknown&type=file", "media", 40058),
        (&format!("key={DEMO_ROBOT_KEY}&type=film"), "media", 40004),
        (&query, "file", 44001),
    ] {
        assert_eq!(errcode(&upload(query, field).await), expected, "{query}");
    }

    let file = json!({"msgtype": "file", "file": {"media_id": answer["media_id"]}});
    assert_eq!(errcode(&say(&wire, file.clone()).await), 0);
    let path = "/cgi-bin/webhook/send?key=k2";
    assert_eq!(errcode(&wire.post(path, file.clone()).await), 40007);
    let three_days = json!({"advanceSeconds": 3 * 24 * 3_600});
    wire.control("clock", three_days).await;
    assert_eq!(errcode(&say(&wire, file).await), 40007);
}

#[tokio::test]
async fn a_robot_says_twenty_things_a_minute() {
    let wire = Wire::start().await;
    wire.control("wecom/robots", json!({"key": "k2", "name": "另一个群"}))
        .await;
    for number in 0..20 {
        assert_eq!(errcode(&say(&wire, text(&number.to_string())).await), 0);
        // What is refused for another reason does not count.
        assert_eq!(errcode(&say(&wire, text("")).await), 44004);
    }
    let answer = say(&wire, text("one too many")).await;
    assert_eq!(errcode(&answer), 45009);
    assert_errmsg(&answer, "api freq out of limit");
    let other = wire.post("/cgi-bin/webhook/send?key=k2", text("x")).await;
    assert_eq!(errcode(&other), 0);

    wire.control("clock", json!({"advanceSeconds": 61})).await;
    assert_eq!(errcode(&say(&wire, text("again")).await), 0);
    assert_eq!(wire.control.stats().accepted, 22);
}
