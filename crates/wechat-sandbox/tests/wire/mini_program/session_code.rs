//! Login codes.

use serde_json::json;
use wechat_sandbox::{DEMO_APPID, DEMO_SECRET};

use crate::harness::{OPENID, Wire, errcode};

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
