//! WeCom over real HTTP: messages of an app.

use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{
    DEMO_AGENT_SECRET, DEMO_AGENTID, DEMO_CORPID, Envelope, KeptBack, MessageFilter,
};

use crate::harness::{WECOM_SEND, Wire, assert_errmsg, errcode, read, text_to};

/// What a member was shown, oldest first.
fn shown_to(wire: &Wire, userid: &str) -> Vec<Value> {
    let filter = MessageFilter {
        recipient: Some(userid.to_owned()),
        ..Default::default()
    };
    wire.control
        .messages(&filter)
        .iter()
        .filter(|message| message.is_shown())
        .map(|message| message.data())
        .collect()
}

#[tokio::test]
async fn a_message_reaches_each_recipient_and_has_one_id() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let answer = wire
        .wecom_send(&token, text_to("ZhangSan|lisi", "你好"))
        .await;
    let msgid = answer["msgid"].as_str().unwrap();
    assert_eq!(
        answer,
        json!({"errcode": 0, "errmsg": "ok", "msgid": msgid})
    );
    let arrived = wire.control.messages(&MessageFilter::default());
    let envelopes: Vec<_> = arrived
        .iter()
        .map(|message| message.envelope.clone())
        .collect();
    let envelope = |userid: &str| Envelope::WecomApp {
        corpid: DEMO_CORPID.to_owned(),
        agentid: DEMO_AGENTID,
        userid: userid.to_owned(),
        msgtype: "text".to_owned(),
        msgid: msgid.to_owned(),
    };
    assert_eq!(envelopes, [envelope("zhangsan"), envelope("lisi")]);
    let read = wire.get("/control/messages?userid=lisi").await;
    assert_eq!(read["messages"][0]["userid"], "lisi");
    assert_eq!(read["messages"][0]["data"]["content"], "你好");
}

#[tokio::test]
async fn everybody_means_the_licensed_members_that_the_app_sees() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let mut message = text_to("@all", "开会");
    message["toparty"] = json!("99");
    let answer = wire.wecom_send(&token, message).await;
    assert_eq!(answer["errcode"], 0);
    assert!(answer.get("invalidparty").is_none() && answer.get("unlicenseduser").is_none());
    assert_eq!(wire.control.stats().accepted, 3);

    let app = json!({"agentid": DEMO_AGENTID, "secret": DEMO_AGENT_SECRET,
        "visibleTo": ["LiSi"]});
    wire.control("wecom/agents", app).await;
    wire.wecom_send(&token, text_to("@all", "再开会")).await;
    assert_eq!(shown_to(&wire, "lisi").len(), 2);
    assert_eq!(shown_to(&wire, "zhangsan").len(), 1);
    let answer = wire.wecom_send(&token, text_to("zhangsan|lisi", "x")).await;
    assert_eq!(answer["invaliduser"], "zhangsan");
}

#[tokio::test]
async fn whom_it_did_not_reach_is_listed_in_lower_case() {
    let wire = Wire::start().await;
    let members = json!([
        {"userid": "ZhaoLiu", "departments": [2]},
        {"userid": "SunQi", "tags": [3], "licence": "missing"},
    ]);
    wire.control("wecom/members", members).await;
    let token = wire.wecom_token().await;
    let mut message = text_to("zhangsan|NoBody|SunQi|Ghost", "x");
    message["toparty"] = json!("2|88");
    message["totag"] = json!("77");
    let answer = wire.wecom_send(&token, message).await;
    assert_eq!(errcode(&answer), 0);
    assert_eq!(
        [
            &answer["invaliduser"],
            &answer["unlicenseduser"],
            &answer["invalidparty"],
            &answer["invalidtag"],
        ],
        ["nobody|ghost", "sunqi", "88", "77"]
    );
    assert_eq!(shown_to(&wire, "ZhaoLiu").len(), 1);
    assert_eq!(shown_to(&wire, "SunQi").len(), 0);

    // Accepted, although it reaches nobody: a client must read the list.
    let answer = wire.wecom_send(&token, text_to("unlicensed", "x")).await;
    assert_eq!(
        (errcode(&answer), &answer["unlicenseduser"]),
        (0, &json!("unlicensed"))
    );

    let answer = wire.wecom_send(&token, text_to("Nobody|ghost", "x")).await;
    assert_eq!(errcode(&answer), 81013);
    assert_eq!(answer["invaliduser"], "nobody|ghost");
    assert_errmsg(&answer, "user & party & tag all invalid");
}

#[tokio::test]
async fn an_address_has_its_limits() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let many = |count: usize| vec!["lisi"; count].join("|");
    for (field, value, expected) in [
        ("touser", json!(many(1_000)), 0),
        ("touser", json!(many(1_001)), 40032),
        ("toparty", json!(many(101)), 82002),
        ("totag", json!(many(101)), 82003),
        ("touser", json!("lisi||"), 0),
        ("touser", json!(""), 82001),
        ("touser", json!(null), 82001),
        ("touser", json!("|"), 40003),
        ("touser", json!(["lisi"]), 40003),
    ] {
        let mut message = text_to("lisi", "x");
        message[field] = value;
        let answer = wire.wecom_send(&token, message).await;
        assert_eq!(errcode(&answer), expected, "{field}: {answer}");
    }
}

#[tokio::test]
async fn the_app_must_be_that_of_the_token() {
    let wire = Wire::start().await;
    wire.control(
        "wecom/agents",
        json!({"agentid": 1_000_003, "secret": "second"}),
    )
    .await;
    let token = wire.wecom_token().await;
    for (agentid, expected, text) in [
        (json!(null), 41011, "missing agentid"),
        (json!(7), 40056, "invalid agentid"),
        (json!(-1), 40056, "invalid agentid"),
        (
            json!(1_000_003),
            301_002,
            "not allow operate another agent with this accesstoken.",
        ),
        (
            json!("x"),
            40056,
            "Warning: wrong json format. invalid agentid",
        ),
    ] {
        let mut message = text_to("lisi", "x");
        message["agentid"] = agentid;
        let answer = wire.wecom_send(&token, message).await;
        assert_eq!(errcode(&answer), expected, "{answer}");
        assert_errmsg(&answer, text);
    }
    // A number in quotes is taken, with a warning.
    let mut message = text_to("lisi", "x");
    message["agentid"] = json!(DEMO_AGENTID.to_string());
    let answer = wire.wecom_send(&token, message).await;
    assert_eq!(answer["errmsg"], "ok. Warning: wrong json format. ");
}

#[tokio::test]
async fn a_long_text_is_cut_and_a_long_markdown_is_refused() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let long = format!("a{}", "汉".repeat(1_000));
    wire.wecom_send(&token, text_to("lisi", &long)).await;
    // 1 + 682 × 3 = 2,047 bytes: the next character would be half in and half out.
    let cut = format!("a{}", "汉".repeat(682));
    assert_eq!(shown_to(&wire, "lisi"), [json!({"content": cut})]);

    let markdown = |content: &str| {
        json!({"touser": "lisi", "agentid": DEMO_AGENTID, "msgtype": "markdown",
            "markdown": {"content": content}})
    };
    let fits = wire.wecom_send(&token, markdown(&"a".repeat(2_048))).await;
    assert_eq!(errcode(&fits), 0);
    let answer = wire.wecom_send(&token, markdown(&"a".repeat(2_049))).await;
    assert_eq!(errcode(&answer), 45002);
    assert_errmsg(&answer, "content size out of limit");
}

#[tokio::test]
async fn each_type_is_checked() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let card = json!({"title": "新会员", "description": "M001", "url": "https://crm.example/1"});
    let without = |field: &str| {
        let mut card = card.clone();
        card[field] = json!("");
        card
    };
    let buttons = json!({"card_type": "button_interaction", "main_title": {"title": "t"},
        "task_id": "t1"});
    let notice = json!({"appid": "wx1", "title": "新会员登记", "content_item": []});
    let cases = [
        ("textcard", card.clone(), 0, "ok"),
        ("textcard", without("title"), 41016, "missing title"),
        (
            "textcard",
            without("description"),
            41033,
            "missing description",
        ),
        (
            "textcard",
            without("url"),
            40058,
            "textcard.url missing. invalid Request Parameter",
        ),
        ("text", json!({"content": ""}), 44004, "empty content"),
        ("news", json!({"articles": []}), 44004, "empty content"),
        (
            "news",
            json!({"articles": [{"title": "t", "url": "https://x"}]}),
            0,
            "ok",
        ),
        ("miniprogram_notice", notice, 0, "ok"),
        ("template_card", buttons, 0, "ok"),
        (
            "template_card",
            json!({"card_type": "text_notice"}),
            40058,
            "template_card.main_title missing. invalid Request Parameter",
        ),
        ("image", json!({"media_id": "m"}), 40007, "invalid media_id"),
        ("smoke", json!({}), 40008, "invalid message type"),
    ];
    for (msgtype, body, expected, text) in cases {
        let message = json!({"touser": "lisi", "agentid": DEMO_AGENTID, "msgtype": msgtype,
            msgtype: body});
        let answer = wire.wecom_send(&token, message).await;
        assert_eq!(errcode(&answer), expected, "{msgtype}: {answer}");
        assert_eq!(
            answer.get("response_code").is_some(),
            msgtype == "template_card" && expected == 0
        );
        if expected != 0 {
            assert_errmsg(&answer, text);
        }
    }
    let shown = shown_to(&wire, "lisi");
    assert_eq!(shown[0]["btntxt"], "详情");
    assert_eq!(shown.len(), 4);
}

#[tokio::test]
async fn a_checked_duplicate_is_accepted_and_shown_once() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let checked = |content: &str, interval: u64| {
        let mut message = text_to("lisi", content);
        message["enable_duplicate_check"] = json!(1);
        message["duplicate_check_interval"] = json!(interval);
        message
    };
    let send = async |token: &str, message: Value| {
        let answer = wire.wecom_send(token, message).await;
        assert_eq!((errcode(&answer), &answer["errmsg"]), (0, &json!("ok")));
        assert!(answer["msgid"].is_string());
    };
    for _ in 0..3 {
        send(&token, checked("M001", 14_400)).await;
    }
    send(&token, checked("M002", 14_400)).await;
    assert_eq!(shown_to(&wire, "lisi").len(), 2);
    let stats = wire.control.stats();
    assert_eq!(
        (stats.accepted, stats.duplicates, stats.kept_back),
        (4, 2, 2)
    );
    let repeat = &wire.control.messages(&MessageFilter::default())[1];
    assert_eq!(
        (repeat.repeat, repeat.kept_back),
        (true, Some(KeptBack::Repeat))
    );

    // Four hours later it is another message.
    wire.control("clock", json!({"advanceSeconds": 14_400}))
        .await;
    let token = wire.wecom_token().await;
    send(&token, checked("M001", 14_400)).await;
    assert_eq!(shown_to(&wire, "lisi").len(), 3);

    // Half an hour when the request does not say, and four hours at most.
    let mut unsaid = checked("M003", 0);
    unsaid
        .as_object_mut()
        .unwrap()
        .remove("duplicate_check_interval");
    for (advance, shown) in [(0, 4), (1_700, 4), (100, 5)] {
        wire.control("clock", json!({"advanceSeconds": advance}))
            .await;
        send(&token, unsaid.clone()).await;
        assert_eq!(shown_to(&wire, "lisi").len(), shown, "{advance} s later");
    }
    send(&token, checked("M004", 999_999)).await;
    wire.control("clock", json!({"advanceSeconds": 14_400}))
        .await;
    let token = wire.wecom_token().await;
    send(&token, checked("M004", 999_999)).await;
    assert_eq!(shown_to(&wire, "lisi").len(), 7);
}

#[tokio::test]
async fn a_repeat_after_a_lost_answer_is_shown_once_with_the_check_and_twice_without() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let path = format!("{WECOM_SEND}?access_token={token}");
    for (check, shown) in [(1, 1), (0, 2)] {
        let mut message = text_to("lisi", &format!("check {check}"));
        message["enable_duplicate_check"] = json!(check);
        let body = message.to_string();
        let fault = json!({"api": "wecom_send",
            "action": {"resetBeforeAnswer": true, "processed": true}});
        wire.control("faults", fault).await;
        wire.raw(Method::POST, &path, &body).await.unwrap_err();
        let again = wire.raw(Method::POST, &path, &body).await.unwrap();
        assert_eq!(errcode(&read(again).await), 0);
        let arrived = shown_to(&wire, "lisi");
        let content = &message["text"]["content"];
        let times = arrived.iter().filter(|data| data["content"] == *content);
        assert_eq!(times.count(), shown, "check {check}");
    }
}

#[tokio::test]
async fn what_is_refused_is_no_duplicate_of_what_comes_later() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    let mut message = text_to("newcomer", "欢迎");
    message["enable_duplicate_check"] = json!(1);
    let answer = wire.wecom_send(&token, message.clone()).await;
    assert_eq!(errcode(&answer), 81013);
    wire.control(
        "wecom/members",
        json!({"userid": "newcomer", "name": "新人"}),
    )
    .await;
    wire.wecom_send(&token, message).await;
    assert_eq!(shown_to(&wire, "newcomer").len(), 1);
}

#[tokio::test]
async fn beyond_thirty_a_minute_a_member_silently_gets_no_more() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    for number in 0..32 {
        let content = number.to_string();
        let answer = wire.wecom_send(&token, text_to("lisi", &content)).await;
        assert_eq!(errcode(&answer), 0);
        assert!(answer["msgid"].is_string(), "{answer}");
        assert!(answer.get("invaliduser").is_none());
    }
    assert_eq!(shown_to(&wire, "lisi").len(), 30);
    let stats = wire.control.stats();
    assert_eq!(
        (stats.accepted, stats.kept_back, stats.duplicates),
        (32, 2, 0)
    );
    let last = wire.control.messages(&MessageFilter::default());
    assert_eq!(last[31].kept_back, Some(KeptBack::TooMany));

    // Others are not affected, and neither is the next minute.
    wire.wecom_send(&token, text_to("zhangsan", "x")).await;
    assert_eq!(shown_to(&wire, "zhangsan").len(), 1);
    wire.control("clock", json!({"advanceSeconds": 61})).await;
    wire.wecom_send(&token, text_to("lisi", "next minute"))
        .await;
    assert_eq!(shown_to(&wire, "lisi").len(), 31);
}

#[tokio::test]
async fn beyond_a_thousand_an_hour_a_member_silently_gets_no_more() {
    let wire = Wire::start().await;
    let token = wire.wecom_token().await;
    for minute in 0..34 {
        for number in 0..30 {
            let content = format!("{minute}:{number}");
            let answer = wire.wecom_send(&token, text_to("lisi", &content)).await;
            assert_eq!(errcode(&answer), 0);
        }
        wire.control("clock", json!({"advanceSeconds": 61})).await;
    }
    assert_eq!(shown_to(&wire, "lisi").len(), 1_000);
    assert_eq!(wire.control.stats().kept_back, 20);
}
