//! The page and the stream that feeds it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use reqwest::{Method, Response};
use serde_json::{Value, json};
use wechat_sandbox::{DEMO_ENVIRONMENT, DEMO_FUNCTION, DEMO_ROBOT_KEY, DEMO_TEMPLATE_ID};

use crate::harness::{INVOKE, OPENID, Wire, assign_event, message, text_to};

#[tokio::test]
async fn the_page_is_served_and_its_stream_delivers_a_message() {
    let wire = Wire::start().await;
    let page = wire.raw(Method::GET, "/", "").await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("服务通知"));

    wire.control("users", json!({"openid": OPENID, "name": "王芳"}))
        .await;
    wire.control.accept(OPENID, DEMO_TEMPLATE_ID, 2).unwrap();
    let token = wire.token().await;
    let mut stream = wire.raw(Method::GET, "/events", "").await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = next_event(&mut stream).await;
    assert_eq!(first["cards"], json!([]));
    assert_eq!(
        first["recipients"],
        json!([{"name": "王芳", "key": format!("user:{OPENID}")}])
    );
    wire.send(&token, message(OPENID)).await;
    let event = next_event(&mut stream).await;
    let card = &event["cards"][0];
    assert_eq!(
        (&card["recipient"], &card["title"]),
        (&json!("王芳"), &json!("客户分配通知"))
    );
    assert_eq!(
        card["rows"][0],
        json!({"label": "客户姓名", "value": "张女士"})
    );
    assert_eq!(event["count"], 1);

    // A subscribe message sent twice is seen twice; the demo function keeps its repeats back.
    wire.send(&token, message(OPENID)).await;
    let path = format!("{INVOKE}?access_token={token}&env={DEMO_ENVIRONMENT}&name={DEMO_FUNCTION}");
    for _ in 0..2 {
        wire.post(&path, assign_event("m1", Some(OPENID))).await;
    }
    let mut later = Vec::new();
    let mut event = Value::Null;
    while event["last"] != 4 {
        event = next_event(&mut stream).await;
        later.extend(event["cards"].as_array().unwrap().clone());
    }
    assert_eq!((&event["count"], &event["repeats"]), (&json!(3), &json!(2)));
    let repeats: Vec<_> = later.iter().map(|card| &card["repeat"]).collect();
    assert_eq!(repeats, [&json!(true), &json!(false)]);
    assert_eq!(
        later[1]["rows"][0],
        json!({"label": "客户姓名", "value": "张女士"})
    );
}

#[tokio::test]
async fn wecom_messages_look_like_textcards_and_bubbles() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let mut card = text_to("zhangsan", "");
    card["msgtype"] = json!("textcard");
    card["textcard"] = json!({
        "title": "🎉 新会员登记通知",
        "description": "<div class=\"gray\">9月26日</div>会员编号：<script>alert(1)</script>",
        "url": "https://crm.example/members/1",
        "btntxt": "查看详情",
    });
    wire.wecom_send(&token, card).await;
    let robot = json!({"msgtype": "markdown", "markdown": {"content": "**新会员**"}});
    wire.post(
        &format!("/cgi-bin/webhook/send?key={DEMO_ROBOT_KEY}"),
        robot,
    )
    .await;

    let mut stream = wire.raw(Method::GET, "/events", "").await.unwrap();
    let event = next_event(&mut stream).await;
    let cards = event["cards"].as_array().unwrap();
    let textcard = &cards[0];
    assert_eq!(
        (&textcard["recipient"], &textcard["app"], &textcard["look"]),
        (&json!("张三"), &json!("驿站通知"), &json!("textcard"))
    );
    assert_eq!(
        textcard["lines"],
        json!([
            {"text": "9月26日", "tone": "gray"},
            {"text": "会员编号：<script>alert(1)</script>", "tone": "normal"},
        ])
    );
    assert_eq!(
        (&textcard["title"], &textcard["button"]),
        (&json!("🎉 新会员登记通知"), &json!("查看详情"))
    );
    let bubble = &cards[1];
    assert_eq!(
        (&bubble["recipient"], &bubble["look"], &bubble["markup"]),
        (&json!("会员登记群"), &json!("bubble"), &json!("markdown"))
    );
    assert_eq!(bubble["text"], "**新会员**");
}

#[tokio::test]
async fn the_page_shows_texts_as_texts() {
    let wire = Wire::start().await;
    let page = wire.raw(Method::GET, "/", "").await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let page = page.text().await.unwrap();
    for html in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "href=",
    ] {
        // The one link of the page is its icon.
        let allowed = usize::from(html == "href=");
        assert_eq!(page.matches(html).count(), allowed, "{html}");
    }
}

async fn next_event(stream: &mut Response) -> Value {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(&String::from_utf8_lossy(
            &stream.chunk().await.unwrap().unwrap(),
        ));
    }
    serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap()
}
