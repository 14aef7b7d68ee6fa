//! What every endpoint answers.

use reqwest::Method;
use serde_json::json;

use crate::harness::{INVOKE, SEND, Wire, errcode, read};

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
