use super::*;
use crate::test_peer::{Reply, TestPeer};

fn refused(message: &str, errcode: Option<i64>) -> CloudFunctionAnswer {
    CloudFunctionAnswer::FunctionRefused {
        message: message.to_owned(),
        errcode,
    }
}

#[test]
fn the_return_value_decides() {
    use CloudFunctionAnswer::{Succeeded, Unclear};
    let no_reason = "the cloud function gave no reason";
    let cases = [
        (r#"{"success":true}"#, Succeeded),
        (r#"{"success":true,"errCode":-1}"#, Succeeded),
        (
            r#"{"errCode":0,"errMsg":"openapi.subscribeMessage.send:ok"}"#,
            Succeeded,
        ),
        (
            r#"{"success":false,"message":" 未找到用户 "}"#,
            refused("未找到用户", None),
        ),
        (
            r#"{"success":false,"error":"用户未绑定微信"}"#,
            refused("用户未绑定微信", None),
        ),
        (
            r#"{"success":false,"message":"","errMsg":"x"}"#,
            refused("x", None),
        ),
        (
            r#"{"success":false,"error":{"code":1,"message":"deep"}}"#,
            refused("deep", None),
        ),
        (
            r#"{"success":false,"message":"13800138999"}"#,
            refused("138****8999", None),
        ),
        (r#"{"success":false,"errCode":0}"#, refused(no_reason, None)),
        (
            r#"{"success":false,"errCode":43101,"errMsg":"refuse"}"#,
            refused("refuse", Some(43101)),
        ),
        (
            r#"{"errcode":47003,"errmsg":"bad"}"#,
            refused("bad", Some(47003)),
        ),
        (
            "",
            Unclear {
                reason: "returned nothing",
            },
        ),
        (
            "null",
            Unclear {
                reason: "returned nothing",
            },
        ),
        (
            "ok",
            Unclear {
                reason: "returned text, not JSON",
            },
        ),
        (
            "true",
            Unclear {
                reason: "did not return an object",
            },
        ),
        (
            "[]",
            Unclear {
                reason: "did not return an object",
            },
        ),
        (
            "{}",
            Unclear {
                reason: "returned no success field",
            },
        ),
        (
            r#"{"success":"true"}"#,
            Unclear {
                reason: "returned no success field",
            },
        ),
    ];
    for (resp_data, answer) in cases {
        assert_eq!(
            interpret(&Value::String(resp_data.to_owned())),
            answer,
            "{resp_data}"
        );
    }
    assert_eq!(
        interpret(&Value::Null),
        Unclear {
            reason: "returned nothing"
        }
    );
    assert_eq!(interpret(&serde_json::json!({"success": true})), Succeeded);
}

#[tokio::test]
async fn environment_and_name_travel_in_the_query_and_the_event_is_the_body() {
    let answer = r#"{"errcode":0,"errmsg":"ok","resp_data":"{\"success\":true}"}"#;
    let peer = TestPeer::with(vec![
        Reply::body(answer),
        Reply::body(r#"{"errcode":-504002,"errmsg":"functions execute fail"}"#),
    ])
    .await;
    let functions = CloudFunctions::new(peer.client());
    let token = AccessToken::for_test("t");
    let event = serde_json::json!({"type": "通知"});

    let answered = functions
        .invoke(&token, "env-1", "quickstartFunctions", &event)
        .await;
    assert_eq!(answered, Ok(CloudFunctionAnswer::Succeeded));
    let request = &peer.seen()[0];
    assert_eq!(
        request.line,
        "POST /tcb/invokecloudfunction?access_token=t&env=env-1&name=quickstartFunctions HTTP/1.1"
    );
    assert_eq!(request.body, r#"{"type":"通知"}"#);

    let threw = functions
        .invoke(&token, "env-1", "quickstartFunctions", &event)
        .await;
    assert!(
        matches!(
            threw,
            Err(CallError::Refused {
                errcode: -504002,
                ..
            })
        ),
        "{threw:?}"
    );
}
