use super::*;
use crate::test_peer::{Reply, TestPeer};

const OPENID: &str = "o9AgO5Kd5ggOC-bXrbNODIiE3bGY";

fn token() -> AccessToken {
    AccessToken::for_test("the+token/=")
}

fn mini_program(peer: &TestPeer) -> MiniProgram {
    MiniProgram::new(peer.client(), "wx1", SecretString::from("the-app-secret"))
}

async fn send(peer: &TestPeer) -> Result<Accepted, CallError> {
    let data = BTreeMap::from([
        ("thing1".to_owned(), "张三 \"1\"".to_owned()),
        ("name3".to_owned(), "王".to_owned()),
    ]);
    let message = SubscribeMessage {
        touser: OPENID,
        template_id: "tmpl",
        page: Some("pages/customer/detail?id=1"),
        data: &data,
        miniprogram_state: MiniProgramState::default(),
        lang: Lang::default(),
    };
    assert!(!format!("{message:?}").contains(OPENID));
    assert!(!format!("{message:?}").contains("张三"));
    mini_program(peer)
        .send_subscribe_message(&token(), &message)
        .await
}

#[tokio::test]
async fn a_message_has_the_platforms_form_in_raw_utf8() {
    let peer = TestPeer::always(Reply::body(r#"{"errcode":0,"errmsg":"ok"}"#)).await;
    assert_eq!(send(&peer).await, Ok(Accepted { msgid: None }));
    let request = &peer.seen()[0];
    assert_eq!(
        request.line,
        "POST /cgi-bin/message/subscribe/send?access_token=the%2Btoken%2F%3D HTTP/1.1"
    );
    assert_eq!(
        request.body,
        r#"{"touser":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","template_id":"tmpl","page":"pages/customer/detail?id=1","data":{"name3":{"value":"王"},"thing1":{"value":"张三 \"1\""}},"miniprogram_state":"formal","lang":"zh_CN"}"#
    );
}

#[tokio::test]
async fn the_message_id_keeps_all_its_digits_and_never_spoils_an_acceptance() {
    let cases = [
        (
            r#""msgid":1988810812324364291"#,
            Some("1988810812324364291"),
        ),
        (
            r#""msgid":18446744073709551615"#,
            Some("18446744073709551615"),
        ),
        (
            r#""msgid":"1988810812324364291""#,
            Some("1988810812324364291"),
        ),
        (r#""msgid":18446744073709551616"#, None),
        (r#""msgid":{}"#, None),
        (r#""msgid":null"#, None),
    ];
    for (field, msgid) in cases {
        let peer = TestPeer::always(Reply::body(format!("{{\"errcode\":0,{field}}}"))).await;
        let accepted = Accepted {
            msgid: msgid.map(str::to_owned),
        };
        assert_eq!(send(&peer).await, Ok(accepted), "{field}");
    }
}

#[tokio::test]
async fn a_refusal_carries_the_code_and_a_redacted_text() {
    let errmsg = format!("user {OPENID} 13800138999 refuse rid: 1");
    let body = format!(r#"{{"errcode":43101,"errmsg":"{errmsg}"}}"#);
    let peer = TestPeer::always(Reply::body(body)).await;
    assert_eq!(
        send(&peer).await,
        Err(CallError::Refused {
            errcode: 43101,
            errmsg: "user o*** 138****8999 refuse rid: 1".to_owned(),
            http_status: 200,
        })
    );
}

#[tokio::test]
async fn a_session_is_read_and_never_shown() {
    let body = format!(r#"{{"openid":"{OPENID}","session_key":"key","unionid":""}}"#);
    let peer = TestPeer::always(Reply::body(body)).await;
    let session = mini_program(&peer)
        .code_to_session("the code&")
        .await
        .unwrap();
    assert_eq!(
        session,
        Session {
            openid: OPENID.to_owned(),
            unionid: None
        }
    );
    assert!(!format!("{session:?}").contains(OPENID));
    assert_eq!(
        peer.seen()[0].line,
        "GET /sns/jscode2session?appid=wx1&secret=the-app-secret&js_code=the+code%26&grant_type=authorization_code HTTP/1.1"
    );
}

#[tokio::test]
async fn a_refused_or_hollow_session_is_an_error() {
    let peer = TestPeer::with(vec![
        Reply::body(r#"{"errcode":40029,"errmsg":"invalid code, rid: 1"}"#),
        Reply::body(r#"{"errcode":0,"session_key":"the-session-key"}"#),
    ])
    .await;
    let mini_program = mini_program(&peer);
    let refused = mini_program.code_to_session("code").await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused { errcode: 40029, .. }),
        "{refused:?}"
    );
    let hollow = mini_program.code_to_session("code").await.unwrap_err();
    assert!(
        matches!(
            hollow,
            CallError::NoAnswer {
                http_status: Some(200),
                ..
            }
        ),
        "{hollow:?}"
    );
    assert!(!format!("{mini_program:?} {hollow:?}").contains("the-"));
}
