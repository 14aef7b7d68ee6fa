use serde::Deserialize;

use super::*;
use crate::test_peer::{Reply, TestPeer, client_of};

#[derive(Debug, PartialEq, Deserialize)]
struct Nothing {}

const SECRET_QUERY: [(&str, &str); 1] = [("access_token", "the-hidden-token")];

async fn call(client: &ApiClient, presence: Errcode) -> Result<Nothing, CallError> {
    let answer = client
        .post("/call", &SECRET_QUERY, &serde_json::json!({}))
        .await;
    let outcome = answer.and_then(|answer| answer.into_success(presence));
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("hidden") && !shown.contains("/call"),
            "{shown}"
        );
    }
    outcome
}

async fn call_peer(reply: Reply) -> Result<Nothing, CallError> {
    let hangs = matches!(reply, Reply::Hang);
    let peer = TestPeer::always(reply).await;
    let client = if hangs {
        peer.impatient_client()
    } else {
        peer.client()
    };
    let outcome = call(&client, Errcode::Required).await;
    assert_eq!(peer.seen().len(), 1, "one call is one request");
    outcome
}

/// Gives up connecting long before the limit of the whole exchange.
fn unreachable(base_url: &str) -> ApiClient {
    client_of(
        base_url,
        Duration::from_millis(150),
        Duration::from_secs(20),
    )
}

#[tokio::test]
async fn only_a_whole_and_plausible_answer_counts() {
    let status = |status, body: &str| Reply::Status(status, body.to_owned());
    let no_answer = [
        (
            "not JSON",
            Reply::body("<html>login to the network</html>"),
            200,
        ),
        ("empty", Reply::body(""), 200),
        ("not an object", Reply::body("[]"), 200),
        ("no errcode", Reply::body("{}"), 200),
        ("unreadable errcode", Reply::body(r#"{"errcode":"x"}"#), 200),
        (
            "too large",
            Reply::body(format!(r#"{{"errcode":0,"x":"{}"}}"#, "x".repeat(100_000))),
            200,
        ),
        ("cut off", Reply::ResetMidBody, 200),
        ("redirected", status(302, r#"{"errcode":0}"#), 302),
        ("refused by a proxy", status(403, "forbidden"), 403),
        (
            "404 that claims success",
            status(404, r#"{"errcode":0}"#),
            404,
        ),
        ("gateway", status(502, "bad gateway"), 502),
        (
            "gateway with a code",
            status(503, r#"{"errcode":43101}"#),
            503,
        ),
    ];
    for (name, reply, expected_status) in no_answer {
        match call_peer(reply).await {
            Err(CallError::NoAnswer {
                http_status,
                reason,
            }) => {
                assert_eq!(http_status, Some(expected_status), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_error_code_is_believed_at_success_and_client_error_statuses() {
    let cases = [
        (Reply::body(r#"{"errcode":-1,"errmsg":"busy"}"#), 200, -1),
        (Reply::body(r#"{"errcode":"45009"}"#), 200, 45009),
        (
            Reply::Status(400, r#"{"errcode":47001}"#.to_owned()),
            400,
            47001,
        ),
    ];
    for (reply, status, code) in cases {
        match call_peer(reply).await {
            Err(CallError::Refused {
                errcode,
                http_status,
                ..
            }) => {
                assert_eq!((errcode, http_status), (code, status));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_code_is_success_only_where_the_platform_leaves_it_out() {
    let peer = TestPeer::always(Reply::body("{}")).await;
    assert_eq!(
        call(&peer.client(), Errcode::OmittedOnSuccess).await,
        Ok(Nothing {})
    );
}

#[tokio::test]
async fn silence_after_the_request_is_no_answer() {
    for reply in [Reply::Hang, Reply::Close] {
        let outcome = call_peer(reply).await;
        assert!(
            matches!(
                outcome,
                Err(CallError::NoAnswer {
                    http_status: None,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_sent_nothing() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();

    // Listening but never speaking TLS.
    let tls_hangs = call(
        &unreachable(&format!("https://{address}")),
        Errcode::Required,
    )
    .await;
    assert!(
        matches!(tls_hangs, Err(CallError::NotSent { .. })),
        "{tls_hangs:?}"
    );

    drop(unused);
    let refused = call(
        &unreachable(&format!("http://{address}")),
        Errcode::Required,
    )
    .await;
    match refused {
        Err(CallError::NotSent { reason }) => assert!(reason.contains("refused"), "{reason}"),
        other => panic!("{other:?}"),
    }

    let unknown = call(
        &unreachable("http://no-such-host.invalid"),
        Errcode::Required,
    )
    .await;
    assert!(
        matches!(unknown, Err(CallError::NotSent { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_path_prefix_is_kept() {
    let peer = TestPeer::always(Reply::body(r#"{"errcode":0}"#)).await;
    let base_url = format!("{}/prefix/", peer.base_url());
    let client = client_of(&base_url, Duration::from_secs(10), Duration::from_secs(20));
    for _ in 0..3 {
        assert_eq!(call(&client, Errcode::Required).await, Ok(Nothing {}));
    }
    assert_eq!(peer.connections(), 1);
    assert!(
        peer.seen()[0].line.starts_with("POST /prefix/call?"),
        "{}",
        peer.seen()[0].line
    );
    assert!(
        peer.seen()[0]
            .head
            .contains("content-type: application/json")
    );
}

#[test]
fn settings_are_checked() {
    let config = |base_url: &str, connect: u64, request: u64| ApiClientConfig {
        base_url: base_url.to_owned(),
        connect_timeout: Duration::from_secs(connect),
        request_timeout: Duration::from_secs(request),
    };
    assert!(ApiClient::new(&config(DEFAULT_BASE_URL, 3, 10)).is_ok());
    let bad_urls = [
        "",
        "api.weixin.qq.com",
        "ftp://x",
        "https://user@x",
        "https://:password@x",
        "https://x/?a",
        "https://x/#a",
    ];
    for base_url in bad_urls {
        let error = ApiClient::new(&config(base_url, 3, 10)).unwrap_err();
        assert!(
            matches!(error, ConfigError::BaseUrl { .. }),
            "{base_url}: {error}"
        );
    }
    for (connect, request) in [(0, 10), (10, 10), (11, 10), (0, 0)] {
        let error = ApiClient::new(&config(DEFAULT_BASE_URL, connect, request)).unwrap_err();
        assert!(matches!(error, ConfigError::Timeouts { .. }), "{error}");
    }
}
