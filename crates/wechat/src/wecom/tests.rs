use proptest::prelude::*;

use super::*;
use crate::test_peer::{Reply, TestPeer};

const URL: &str = "https://crm.example.com/members/1?message=0193e5a0";

const LINK: AppLink<'static> = AppLink {
    url: Some(URL),
    words: "查看详情",
    reference: "消息编号 aabbccdd",
};

const NO_LINK: AppLink<'static> = AppLink { url: None, ..LINK };

fn app(peer: &TestPeer) -> WecomApp {
    let secret = SecretString::from("the-hidden-secret");
    WecomApp::new(peer.client(), "ww1", 1_000_002, secret)
}

fn token() -> AccessToken {
    AccessToken::for_test("the-hidden-token")
}

fn json(content: &AppContent) -> Value {
    serde_json::to_value(content).unwrap()
}

/// The whole text of a text or a markdown message.
fn text_of(content: &AppContent) -> String {
    let json = json(content);
    let msgtype = json["msgtype"].as_str().unwrap();
    json[msgtype]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_has_the_platforms_form_and_a_repeat_is_the_same_bytes() {
    let peer = TestPeer::always(Reply::body(
        r#"{"errcode":0,"errmsg":"ok","msgid":"mid-1"}"#,
    ))
    .await;
    let card = AppContent::textcard("标题", "说明\"1\"", URL, "查看详情").unwrap();
    assert!(!format!("{card:?}").contains("标题"));
    for content in [
        card.clone(),
        card,
        AppContent::text("新会员", LINK),
        AppContent::markdown("**新会员**", NO_LINK),
    ] {
        let accepted = app(&peer).send(&token(), "a|b", &content).await.unwrap();
        assert_eq!(
            accepted,
            AppAcceptance {
                msgid: Some("mid-1".to_owned()),
                invalid_users: vec![],
                unlicensed_users: vec![],
            }
        );
    }
    let seen = peer.seen();
    assert_eq!(
        seen[0].line,
        "POST /cgi-bin/message/send?access_token=the-hidden-token HTTP/1.1"
    );
    let bodies: Vec<&str> = seen.iter().map(|seen| seen.body.as_str()).collect();
    let rest = r#""enable_duplicate_check":1,"duplicate_check_interval":14400}"#;
    let card = format!(
        r#"{{"touser":"a|b","agentid":1000002,"msgtype":"textcard","textcard":{{"title":"标题","description":"说明\"1\"","url":"{URL}","btntxt":"查看详情"}},{rest}"#
    );
    assert_eq!(
        bodies,
        [
            card.clone(),
            card,
            format!(
                r#"{{"touser":"a|b","agentid":1000002,"msgtype":"text","text":{{"content":"新会员\n<a href=\"{URL}\">查看详情</a>"}},{rest}"#
            ),
            format!(
                r#"{{"touser":"a|b","agentid":1000002,"msgtype":"markdown","markdown":{{"content":"**新会员**\n<font color=\"comment\">消息编号 aabbccdd</font>"}},{rest}"#
            ),
        ]
    );
}

#[tokio::test]
async fn whom_the_platform_left_out_is_told_although_it_says_ok() {
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (
            r#""invaliduser":"zhangsan|lisi","unlicenseduser":"wu""#,
            &["zhangsan", "lisi"],
            &["wu"],
        ),
        (r#""invaliduser":"","unlicenseduser":null"#, &[], &[]),
        (r#""invaliduser":" a || b ""#, &["a", "b"], &[]),
        (r#""invaliduser":["a"],"msgid":7"#, &[], &[]),
        (r#""invalidparty":"1""#, &[], &[]),
    ];
    for (fields, invalid, unlicensed) in cases {
        let body = format!(r#"{{"errcode":0,{fields}}}"#);
        let peer = TestPeer::always(Reply::body(body)).await;
        let content = AppContent::text("x", LINK);
        let accepted = app(&peer).send(&token(), "@all", &content).await.unwrap();
        assert_eq!(accepted.invalid_users, invalid, "{fields}");
        assert_eq!(accepted.unlicensed_users, unlicensed, "{fields}");
        assert_eq!(accepted.msgid, None, "{fields}");
    }
}

#[tokio::test]
async fn a_refusal_carries_the_code_and_the_address_and_no_secret() {
    let errmsg = "not allow to access from your ip, hint: [1653710540075724015410106], from ip: 1.2.3.4, access_token=the-hidden-token";
    let body = format!(r#"{{"errcode":60020,"errmsg":"{errmsg}"}}"#);
    let peer = TestPeer::always(Reply::body(body)).await;
    let app = app(&peer);
    let content = AppContent::text("x", LINK);
    let refused = app.send(&token(), "a", &content).await.unwrap_err();
    let shown = format!("{app:?} {:?} {refused:?}", app.token_slot());
    assert!(shown.contains("from ip: 1.2.3.4"), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[tokio::test]
async fn an_application_is_asked_for_without_sending_anything() {
    let peer = TestPeer::with(vec![
        Reply::body(r#"{"errcode":0,"errmsg":"ok","agentid":1000002,"name":"通知","close":0}"#),
        Reply::body(r#"{"errcode":0,"errmsg":"ok","name":"通知","close":1}"#),
        Reply::body(r#"{"errcode":301002,"errmsg":"not allow operate another agent"}"#),
    ])
    .await;
    let app = app(&peer);
    for state in [AgentState::On, AgentState::Off] {
        let agent = app.agent(&token()).await.unwrap();
        assert_eq!((agent.name.as_str(), agent.state), ("通知", state));
    }
    let refused = app.agent(&token()).await.unwrap_err();
    assert!(matches!(
        refused,
        CallError::Refused {
            errcode: 301_002,
            ..
        }
    ));
    assert_eq!(
        peer.seen()[0].line,
        "GET /cgi-bin/agent/get?access_token=the-hidden-token&agentid=1000002 HTTP/1.1"
    );
}

#[test]
fn what_is_too_long_is_cut_between_characters_and_the_ending_stays() {
    // 25 bytes each.
    let families = "👨‍👩‍👧‍👦".repeat(100);
    let text = text_of(&AppContent::text(&families, LINK));
    let (kept, ending) = text.split_once("…\n").unwrap();
    assert_eq!(ending, format!("<a href=\"{URL}\">查看详情</a>"));
    assert_eq!(kept.len() % 25, 0);
    assert!((2_048 - 25..=2_048).contains(&text.len()), "{}", text.len());
    let markdown = text_of(&AppContent::markdown(&families, NO_LINK));
    assert!(markdown.ends_with("…\n<font color=\"comment\">消息编号 aabbccdd</font>"));
    assert!(markdown.len() <= 2_048);

    let long = "会👩‍💻".repeat(400);
    let card = json(&AppContent::textcard(&long, &long, URL, "请点这里查看").unwrap());
    let card = &card["textcard"];
    for (field, limit) in [("title", 128), ("description", 512)] {
        let text = card[field].as_str().unwrap();
        assert!(text.ends_with("会👩‍💻…") || text.ends_with("👩‍💻会…"), "{text}");
        let units = text.encode_utf16().count();
        assert!((limit - 6..=limit).contains(&units), "{field}: {units}");
    }
    assert_eq!(card["btntxt"], "请点这里");
}

#[test]
fn an_address_that_leaves_no_room_gives_way_in_a_text_and_is_refused_in_a_card() {
    let url = format!("https://crm.example.com/{}", "x".repeat(2_030));
    let link = AppLink {
        url: Some(&url),
        ..LINK
    };
    assert_eq!(
        text_of(&AppContent::text("新会员", link)),
        "新会员\n消息编号 aabbccdd"
    );
    let refused = AppContent::textcard("x", "y", &url, "").unwrap_err();
    assert_eq!(refused.to_string(), "url: 2054 bytes, at most 2048 fit");
}

#[test]
fn a_card_without_words_for_its_button_leaves_them_to_the_platform() {
    let card = json(&AppContent::textcard("x", "y", URL, "").unwrap());
    assert!(card["textcard"].get("btntxt").is_none(), "{card}");
}

#[test]
fn a_parenthesis_does_not_end_a_link() {
    let link = AppLink {
        url: Some("https://crm.example.com/a(b)"),
        ..LINK
    };
    assert_eq!(
        text_of(&AppContent::markdown("x", link)),
        "x\n[查看详情](https://crm.example.com/a%28b%29)"
    );
}

proptest! {
    #[test]
    fn every_text_fits(text in "\\PC{0,900}") {
        for link in [LINK, NO_LINK] {
            for content in [AppContent::text(&text, link), AppContent::markdown(&text, link)] {
                prop_assert!(text_of(&content).len() <= 2_048);
            }
        }
    }
}
