use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Role;

use super::Office;
use crate::harness::{Gate, PASSWORD, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_login_answers_a_token_and_whose_it_is,
    a_wrong_password_and_an_unknown_user_are_told_alike,
    a_login_that_is_none_is_refused,
    five_failures_lock_a_name_on_every_server,
    a_name_that_nobody_has_is_locked_like_any,
    a_success_clears_the_failures,
    guesses_sent_at_the_same_moment_are_limited_like_those_in_turn,
    a_logout_ends_every_session_on_every_server,
    a_deactivated_user_is_out_at_once_and_cannot_log_in,
    a_new_password_ends_the_sessions_and_replaces_the_old_one,
);

const WRONG: (u16, &str) = (401, "用户名或密码错误");
const LOCKED: (u16, &str) = (429, "登录尝试次数过多，请稍后再试");
const OVER: (u16, &str) = (401, "登录已失效，请重新登录");

async fn a_login_answers_a_token_and_whose_it_is(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let answer = api.try_login("admin", PASSWORD).await;
    assert_eq!(answer.said(), (200, "登录成功"));
    let data = answer.data();
    let mut user = data["user"].clone();
    let me = api.admin().await;
    assert_eq!(api.get(&me, "/api/auth/me").await.data(), user);
    assert_eq!(user["id"], json!(me.id));
    for field in ["id", "createdAt", "updatedAt"] {
        assert!(user[field].take().is_string());
    }
    assert_eq!(
        user,
        json!({
            "id": null,
            "username": "admin",
            "name": "系统管理员",
            "phone": null,
            "role": "admin",
            "roleName": "系统管理员",
            "department": null,
            "active": true,
            "createdAt": null,
            "updatedAt": null,
        })
    );
    assert_eq!(data.as_object().unwrap().len(), 2);
    assert_eq!(data["access_token"].as_str().unwrap().split('.').count(), 3);
}

async fn a_wrong_password_and_an_unknown_user_are_told_alike(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let wrong = api.try_login("admin", "not the password").await;
    let unknown = api.try_login("nobody", PASSWORD).await;
    let too_long = api.try_login("admin", &"x".repeat(129)).await;
    for answer in [&wrong, &unknown, &too_long] {
        assert_eq!(answer.said(), WRONG);
        assert_eq!(answer.body["error"], json!({ "code": "UNAUTHORIZED" }));
        assert_eq!(answer.body["data"], Value::Null);
    }
}

async fn a_login_that_is_none_is_refused(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    for (body, message) in [
        (json!({}), "缺少字段：username"),
        (json!({ "username": "admin" }), "缺少字段：password"),
        (
            json!({ "username": "", "password": "x" }),
            "字段 username 不能为空",
        ),
        (
            json!({ "username": "a\u{0}", "password": "x" }),
            "字段 username 包含不允许的控制字符",
        ),
        (
            json!({ "username": "a".repeat(65), "password": "x" }),
            "字段 username 不能超过64字",
        ),
        (
            json!({ "username": "admin", "password": 7 }),
            "字段 password 的值不正确",
        ),
        (
            json!({ "username": "admin", "password": "x", "role": "admin" }),
            "不支持的字段：role",
        ),
    ] {
        let answer = TestApi::send(api.request(Method::POST, "/api/auth/login").json(&body)).await;
        assert_eq!(answer.said(), (400, message), "{body}");
    }
}

async fn five_failures_lock_a_name_on_every_server(database: &TestDatabase) {
    let one = TestApi::on(database).await;
    let other = TestApi::on(database).await;
    for api in [&one, &other, &one, &other, &one] {
        assert_eq!(api.try_login("admin", "wrong password").await.said(), WRONG);
    }
    for api in [&one, &other] {
        let answer = api.try_login("admin", PASSWORD).await;
        assert_eq!(answer.said(), LOCKED, "also with the right password");
        assert_eq!(answer.body["error"]["code"], "TOO_MANY_REQUESTS");
    }
    assert_eq!(
        one.try_login("somebody", PASSWORD).await.said(),
        WRONG,
        "others are not locked"
    );
}

async fn a_name_that_nobody_has_is_locked_like_any(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    for _ in 0..5 {
        assert_eq!(api.try_login("nobody", PASSWORD).await.said(), WRONG);
    }
    assert_eq!(api.try_login("nobody", PASSWORD).await.said(), LOCKED);
}

async fn a_success_clears_the_failures(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(api.try_login("admin", "wrong password").await.said(), WRONG);
        }
        assert_eq!(api.try_login("admin", PASSWORD).await.status, 200);
    }
}

async fn guesses_sent_at_the_same_moment_are_limited_like_those_in_turn(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let gate = Gate::before(database, "login_failures");
    let guesses: Vec<_> = (0..24)
        .map(|n| {
            let body = json!({ "username": "admin", "password": format!("a guess, number {n}") });
            let request = api.request(Method::POST, "/api/auth/login").json(&body);
            tokio::spawn(TestApi::send(request))
        })
        .collect();
    gate.open_when_waiting(10).await;
    let mut looked_at = 0;
    for guess in guesses {
        let answer = guess.await.unwrap();
        match answer.said() {
            said if said == WRONG => looked_at += 1,
            said => assert_eq!(said, LOCKED),
        }
    }
    assert!(looked_at <= 5, "{looked_at} guesses were looked at");
    assert_eq!(
        api.try_login("admin", "one more guess").await.said(),
        LOCKED
    );
}

async fn a_logout_ends_every_session_on_every_server(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let other_api = TestApi::on(database).await;
    let (one, other) = (api.admin().await, api.admin().await);
    let colleague = api.user("colleague", "employee").await;
    for session in [&one, &other] {
        assert_eq!(other_api.get(session, "/api/auth/me").await.status, 200);
    }
    let answer = api
        .call(&one, Method::POST, "/api/auth/logout", &Value::Null)
        .await;
    assert_eq!(answer.said(), (200, "退出登录成功"));
    for session in [&one, &other] {
        assert_eq!(other_api.get(session, "/api/auth/me").await.said(), OVER);
        let again = api
            .call(session, Method::POST, "/api/auth/logout", &Value::Null)
            .await;
        assert_eq!(again.said(), OVER);
    }
    assert_eq!(
        api.get(&colleague, "/api/auth/me").await.status,
        200,
        "others stay"
    );
    let back = api.admin().await;
    assert_eq!(api.get(&back, "/api/auth/me").await.status, 200);
}

async fn a_deactivated_user_is_out_at_once_and_cannot_log_in(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let admin = api.admin().await;
    let colleague = api.user("colleague", "manager").await;
    let path = format!("/api/users/{}", colleague.id);
    api.patch(&admin, &path, &json!({ "active": false }))
        .await
        .data();
    assert_eq!(api.get(&colleague, "/api/customers").await.said(), OVER);
    assert_eq!(api.try_login("colleague", PASSWORD).await.said(), WRONG);
    // Back again, but not with the token of before.
    api.patch(&admin, &path, &json!({ "active": true }))
        .await
        .data();
    assert_eq!(api.get(&colleague, "/api/customers").await.said(), OVER);
    api.login("colleague").await;
}

async fn a_new_password_ends_the_sessions_and_replaces_the_old_one(database: &TestDatabase) {
    let office = Office::open(database).await;
    let new = database.staff("new", "新人", Role::Employee).await;
    let path = format!("/api/users/{}", new.id);
    let body = json!({ "password": "another password" });
    office.api.patch(&office.admin, &path, &body).await.data();
    assert_eq!(office.api.get(&new, "/api/auth/me").await.said(), OVER);
    assert_eq!(
        office.api.try_login("new", "another password").await.status,
        200
    );
    office
        .api
        .patch(&office.admin, &path, &json!({ "password": PASSWORD }))
        .await
        .data();
    assert_eq!(
        office.api.try_login("new", "another password").await.said(),
        WRONG
    );
    office.api.login("new").await;
}
