//! Access tokens.

use reqwest::Method;
use serde_json::{Value, json};
use wechat_sandbox::{DEMO_APPID, DEMO_SECRET, DEMO_TEMPLATE_ID};

use crate::harness::{OPENID, Wire, errcode, message, read};

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
