//! Tokens that are not good, each answered alike.

use crm_api::auth::token::{LIFETIME, Tokens};
use reqwest::Method;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::domain::UserId;

use super::Office;
use crate::harness::{Answer, SECRET, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_token_that_is_not_good_is_refused_without_a_reason,
    a_header_that_is_no_bearer_token_is_refused,
    no_token_is_asked_to_log_in,
    the_scheme_is_read_in_any_case,
);

async fn a_token_that_is_not_good_is_refused_without_a_reason(database: &TestDatabase) {
    let office = Office::open(database).await;
    let admin: UserId = office.admin.id.parse().unwrap();
    let now = SystemClock.now();
    let ours = |user: &UserId, epoch, moment| {
        Tokens::new(&SECRET.into())
            .issue(user, epoch, moment)
            .unwrap()
    };
    let good = ours(&admin, 0, now);
    assert_eq!(with_token(&office, &good).await.status, 200);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        panic!("{good}")
    };
    let other_payload = ours(&office.li.id.parse().unwrap(), 0, now);
    let other_payload = other_payload.split('.').nth(1).unwrap();
    let strangers = "another secret, also longer than 32 bytes".into();
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    // {"alg":"HS512","typ":"JWT"}
    let hs512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";
    for (what, token) in [
        (
            "expired",
            ours(
                &admin,
                0,
                now.before(LIFETIME + std::time::Duration::from_secs(60)),
            ),
        ),
        ("of an earlier epoch", ours(&admin, -1, now)),
        ("of a later epoch", ours(&admin, 1, now)),
        (
            "of a user who does not exist",
            ours(&UserId::generate(), 0, now),
        ),
        (
            "signed with another secret",
            Tokens::new(&strangers).issue(&admin, 0, now).unwrap(),
        ),
        (
            "with another's payload",
            format!("{header}.{other_payload}.{signature}"),
        ),
        ("without an algorithm", format!("{none}.{payload}.")),
        (
            "without an algorithm, signed",
            format!("{none}.{payload}.{signature}"),
        ),
        (
            "with another algorithm",
            format!("{hs512}.{payload}.{signature}"),
        ),
        ("without a signature", format!("{header}.{payload}.")),
        ("in two parts", format!("{header}.{payload}")),
        ("garbage", "garbage".to_owned()),
        ("dots", "..".to_owned()),
        ("long", "x".repeat(4_000)),
    ] {
        let answer = with_token(&office, &token).await;
        assert_eq!(answer.said(), (401, "登录已失效，请重新登录"), "{what}");
        assert_eq!(
            answer.body["error"],
            json!({ "code": "UNAUTHORIZED" }),
            "{what}"
        );
    }
}

async fn a_header_that_is_no_bearer_token_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let token = &office.admin.token;
    for header in [
        "",
        "Bearer",
        "Basic YWRtaW46eA==",
        token,
        &format!("Token {token}"),
    ] {
        let request = office.api.request(Method::GET, "/api/auth/me");
        let answer = TestApi::send(request.header("authorization", header)).await;
        assert_eq!(answer.said(), (401, "登录已失效，请重新登录"), "{header}");
    }
}

async fn no_token_is_asked_to_log_in(database: &TestDatabase) {
    let office = Office::open(database).await;
    // Nor is a token taken from the URL, where logs would keep it.
    for path in [
        "/api/auth/me".to_owned(),
        format!("/api/auth/me?token={}", office.li.token),
    ] {
        let answer = TestApi::send(office.api.request(Method::GET, &path)).await;
        assert_eq!(answer.said(), (401, "请先登录"));
    }
}

async fn the_scheme_is_read_in_any_case(database: &TestDatabase) {
    let office = Office::open(database).await;
    let request = office.api.request(Method::GET, "/api/auth/me");
    let header = format!("bearer {}", office.li.token);
    let answer = TestApi::send(request.header("authorization", header)).await;
    assert_eq!(answer.data()["username"], "li");
}

async fn with_token(office: &Office<'_>, token: &str) -> Answer {
    TestApi::send(
        office
            .api
            .request(Method::GET, "/api/auth/me")
            .bearer_auth(token),
    )
    .await
}
