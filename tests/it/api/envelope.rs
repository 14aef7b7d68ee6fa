use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};

use super::Office;
use crate::harness::{Answer, TestApi, TestDatabase, on_each_database};

on_each_database!(
    success_and_failure_have_the_same_shape,
    what_cannot_be_read_is_answered_with_the_field,
    a_body_that_is_not_json_by_its_type_is_refused,
    a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read,
    a_url_that_does_not_exist_is_a_404_in_an_envelope,
    a_method_that_does_not_exist_names_those_that_do,
    an_id_in_a_path_that_cannot_be_one_is_not_found,
    a_query_that_cannot_be_is_refused_with_the_parameter,
    every_answer_forbids_sniffing_and_storing,
);

async fn success_and_failure_have_the_same_shape(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = now();
    let good = office.api.get(&office.li, "/api/auth/me").await;
    let bad = office.api.get(&office.li, "/api/users").await;
    for (answer, status, success, message) in [
        (&good, 200, true, "获取成功"),
        (&bad, 403, false, "没有权限管理用户"),
    ] {
        assert_eq!(answer.said(), (status, message));
        let mut fields: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["data", "error", "message", "success", "timestamp"]);
        assert_eq!(answer.body["success"], success);
        let timestamp = answer.body["timestamp"].as_u64().unwrap();
        assert!(
            (before..=now()).contains(&timestamp),
            "{timestamp} is in milliseconds"
        );
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(
        (&good.body["error"], good.body["data"].is_object()),
        (&Value::Null, true)
    );
    assert_eq!(
        (&bad.body["data"], &bad.body["error"]),
        (&Value::Null, &json!({"code": "FORBIDDEN"}))
    );
}

async fn what_cannot_be_read_is_answered_with_the_field(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let deep = "[".repeat(100_000);
    for (body, field, message) in [
        (
            r#"{"name": "王", "leadSource": "美团", "age": 7}"#,
            "age",
            "不支持的字段：age",
        ),
        (r#"{"name": "王"}"#, "leadSource", "缺少字段：leadSource"),
        (
            r#"{"name": 7, "leadSource": "美团"}"#,
            "name",
            "字段 name 的值不正确",
        ),
        (
            r#"{"name": "王", "leadSource": "微博"}"#,
            "leadSource",
            "字段 leadSource 的值不正确",
        ),
        (r#"{"name": "王", "name": "李"}"#, "name", "字段重复：name"),
        (r#"{"name": "王","#, "", "请求格式不正确"),
        (
            r#"{"name": "王", "leadSource": "美团", "phone": "13800138999"} {}"#,
            "",
            "请求格式不正确",
        ),
        ("", "", "请求格式不正确"),
        ("[]", "", "请求格式不正确"),
        ("null", "", "请求格式不正确"),
        (deep.as_str(), "[0]", "字段 [0] 的值不正确"),
    ] {
        let answer = post_text(&office, "application/json", body.to_owned()).await;
        let body: String = body.chars().take(80).collect();
        assert_eq!(answer.said(), (400, message), "{body}");
        assert_eq!(answer.body["error"]["code"], "VALIDATION_FAILED", "{body}");
        assert_eq!(answer.body["error"]["details"]["field"], field, "{body}");
    }
    let not_utf8 = office
        .api
        .request(Method::POST, "/api/customers")
        .bearer_auth(&office.li.token);
    let not_utf8 = not_utf8
        .header("content-type", "application/json")
        .body(vec![b'"', 0xff, b'"']);
    assert_eq!(
        TestApi::send(not_utf8).await.said(),
        (400, "请求格式不正确")
    );
    database.assert_unchanged_since(&before).await;
}

async fn a_body_that_is_not_json_by_its_type_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = r#"{"name": "王女士", "leadSource": "美团", "phone": "13800138999"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
    ] {
        let answer = post_text(&office, kind, body.to_owned()).await;
        assert_eq!(
            answer.said(),
            (415, "请求体必须是 application/json"),
            "{kind}"
        );
        assert_eq!(answer.body["error"]["code"], "UNSUPPORTED_MEDIA_TYPE");
    }
    let answer = post_text(&office, "Application/JSON; charset=utf-8", body.to_owned()).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read(database: &TestDatabase) {
    const LIMIT: usize = 1024 * 1024;
    let office = Office::open(database).await;
    let before = database.contents().await;
    let body = |length: usize| {
        let name = json!({ "name": "", "leadSource": "美团", "phone": "13800138999" }).to_string();
        let filling = "x".repeat(length - name.len());
        json!({ "name": filling, "leadSource": "美团", "phone": "13800138999" }).to_string()
    };
    let at_the_limit = post_text(&office, "application/json", body(LIMIT)).await;
    assert_eq!(at_the_limit.said(), (400, "字段 name 不能超过50字"));
    let over = post_text(&office, "application/json", body(LIMIT + 1)).await;
    assert_eq!(over.said(), (413, "请求体过大，最大允许 1 MiB"));
    assert_eq!(over.body["error"]["code"], "PAYLOAD_TOO_LARGE");
    database.assert_unchanged_since(&before).await;
}

async fn a_url_that_does_not_exist_is_a_404_in_an_envelope(database: &TestDatabase) {
    let office = Office::open(database).await;
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/customer",
        "/api/customers/",
        "/api/a/b/c/d",
        "/%00",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = office
                .api
                .call(&office.admin, method, path, &json!({}))
                .await;
            assert_eq!(answer.said(), (404, "接口不存在"), "{path}");
            assert_eq!(answer.body["error"], json!({ "code": "ROUTE_NOT_FOUND" }));
        }
    }
    // Whoever is not logged in learns no more.
    let answer = TestApi::send(office.api.request(Method::GET, "/api/secret")).await;
    assert_eq!(answer.said(), (404, "接口不存在"));
}

async fn a_method_that_does_not_exist_names_those_that_do(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (method, path, allow) in [
        ("DELETE", "/api/customers", "GET, POST"),
        ("GET", "/api/auth/login", "POST"),
        ("PUT", "/api/customers/batch-assign", "POST"),
        ("BREW", "/healthz", "GET"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = office
            .api
            .call(&office.admin, method, path, &json!({}))
            .await;
        assert_eq!(answer.said(), (405, "该接口不支持此请求方法"), "{path}");
        assert_eq!(
            answer.body["error"],
            json!({ "code": "METHOD_NOT_ALLOWED" })
        );
        assert_eq!(answer.headers["allow"], allow, "{path}");
    }
}

async fn an_id_in_a_path_that_cannot_be_one_is_not_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (path, message) in [
        ("/api/customers/", "客户不存在"),
        ("/api/users/", "用户不存在"),
        ("/api/outbox/", "消息不存在"),
    ] {
        for id in [
            "1",
            "nobody",
            "%00",
            "%FF",
            "%E7%8E%8B",
            "..%2F..",
            "'%20OR%201=1",
            "{id}",
        ] {
            let answer = office.api.get(&office.admin, &format!("{path}{id}")).await;
            assert_eq!(answer.said(), (404, message), "{path}{id}");
            assert_eq!(answer.body["error"], json!({ "code": "NOT_FOUND" }));
        }
    }
}

async fn a_query_that_cannot_be_is_refused_with_the_parameter(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (path, field, message) in [
        (
            "/api/customers?page=0",
            "page",
            "page 必须在 1 到 100000 之间",
        ),
        (
            "/api/customers?page=100001",
            "page",
            "page 必须在 1 到 100000 之间",
        ),
        ("/api/customers?page=-1", "page", "字段 page 的值不正确"),
        (
            "/api/customers?pageSize=101",
            "pageSize",
            "pageSize 必须在 1 到 100 之间",
        ),
        (
            "/api/customers?pageSize=0",
            "pageSize",
            "pageSize 必须在 1 到 100 之间",
        ),
        (
            "/api/customers?pageSize=ten",
            "pageSize",
            "字段 pageSize 的值不正确",
        ),
        ("/api/customers?size=10", "size", "不支持的字段：size"),
        ("/api/customers?page=1&page=2", "page", "字段重复：page"),
        (
            "/api/customers?leadLevel=Z",
            "leadLevel",
            "字段 leadLevel 的值不正确",
        ),
        (
            "/api/customers?assignedTo=nobody",
            "assignedTo",
            "字段 assignedTo 的值不正确",
        ),
        (
            "/api/customers?sortBy=phone",
            "sortBy",
            "字段 sortBy 的值不正确",
        ),
        (
            "/api/customers?search=a%00b",
            "search",
            "字段 search 包含不允许的控制字符",
        ),
        ("/api/users?active=yes", "active", "字段 active 的值不正确"),
        ("/api/users?role=boss", "role", "字段 role 的值不正确"),
        ("/api/notifications?kind=x", "kind", "字段 kind 的值不正确"),
        (
            "/api/notifications?unreadOnly=1",
            "unreadOnly",
            "字段 unreadOnly 的值不正确",
        ),
        (
            "/api/outbox?status=lost",
            "status",
            "字段 status 的值不正确",
        ),
        ("/api/outbox?before=1", "before", "字段 before 的值不正确"),
    ] {
        let answer = office.api.get(&office.admin, path).await;
        assert_eq!(answer.said(), (400, message), "{path}");
        assert_eq!(answer.body["error"]["details"]["field"], field, "{path}");
    }
    let long = format!("/api/customers?search={}", "x".repeat(65));
    assert_eq!(
        office.api.get(&office.admin, &long).await.said(),
        (400, "字段 search 不能超过64字")
    );
    let empty = office
        .api
        .get(&office.admin, "/api/customers?page=&search=&leadLevel=")
        .await;
    assert_eq!(
        empty.status, 200,
        "set to nothing is not given: {}",
        empty.body
    );
}

async fn every_answer_forbids_sniffing_and_storing(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (path, status) in [
        ("/api/auth/me", 200),
        ("/api/users", 403),
        ("/api/x", 404),
        ("/healthz", 200),
    ] {
        let answer = office.api.get(&office.li, path).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert!(!answer.headers.contains_key("server"), "{path}");
    }
}

async fn post_text(office: &Office<'_>, kind: &str, body: String) -> Answer {
    let request = office
        .api
        .request(Method::POST, "/api/customers")
        .bearer_auth(&office.li.token);
    TestApi::send(request.header("content-type", kind).body(body)).await
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
