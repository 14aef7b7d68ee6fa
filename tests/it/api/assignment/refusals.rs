//! What is refused, by every entrance alike, with nothing written.

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{CustomerId, Role, UserId};

use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_target_or_reason_that_cannot_be_is_refused_at_every_entrance,
    the_longest_reason_is_accepted_at_every_entrance,
    a_customer_that_does_not_exist_is_not_found,
    a_batch_has_one_to_a_thousand_customers,
);

const NOBODY: &str = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";

/// The four entrances, each with a customer it could assign, and a body that names `to`.
async fn entrances(office: &Office<'_>, to: &str) -> Vec<(Method, String, Value)> {
    let owned = office
        .database
        .lead("王女士", "13800138999", &office.li)
        .await;
    let pooled = office.database.pooled_lead("赵先生", "13900139000").await;
    vec![
        (
            Method::PATCH,
            format!("/api/customers/{owned}/assign"),
            json!({ "assignedTo": to }),
        ),
        (
            Method::PATCH,
            format!("/api/customers/miniprogram/{owned}/assign"),
            json!({ "assignedTo": to }),
        ),
        (
            Method::POST,
            "/api/customers/batch-assign".to_owned(),
            json!({ "customerIds": [owned], "assignedTo": to }),
        ),
        (
            Method::POST,
            "/api/customers/public-pool/assign".to_owned(),
            json!({ "customerIds": [pooled], "assignedTo": to }),
        ),
    ]
}

async fn a_target_or_reason_that_cannot_be_is_refused_at_every_entrance(database: &TestDatabase) {
    let office = Office::open(database).await;
    let gone = database.staff("gone", "离职员工", Role::Employee).await;
    let off = json!({ "active": false });
    office
        .api
        .patch(&office.admin, &format!("/api/users/{}", gone.id), &off)
        .await
        .data();
    let entrances = entrances(&office, &office.wang.id).await;
    let before = database.contents().await;
    let too_long = "因".repeat(201);
    for (method, path, body) in entrances {
        for (field, value, message) in [
            (
                "assignedTo",
                json!(UserId::generate()),
                "指定的负责人不存在",
            ),
            ("assignedTo", json!("nobody"), "指定的负责人不存在"),
            ("assignedTo", json!(""), "指定的负责人不存在"),
            ("assignedTo", json!(gone.id), "指定的负责人未激活"),
            ("assignedTo", json!(7), "字段 assignedTo 的值不正确"),
            ("assignedTo", Value::Null, "字段 assignedTo 的值不正确"),
            ("assignmentReason", json!(too_long), "分配原因不能超过200字"),
            (
                "assignmentReason",
                json!("因\n果"),
                "字段 assignmentReason 包含不允许的控制字符",
            ),
            (
                "assignmentReason",
                json!("\u{0}"),
                "字段 assignmentReason 包含不允许的控制字符",
            ),
            (
                "assignmentReason",
                json!(["因"]),
                "字段 assignmentReason 的值不正确",
            ),
            ("assigned_to", json!("x"), "不支持的字段：assigned_to"),
        ] {
            let mut body = body.clone();
            body[field] = value.clone();
            let answer = office
                .api
                .call(&office.zhang, method.clone(), &path, &body)
                .await;
            assert_eq!(answer.said(), (400, message), "{path} {field} {value}");
            assert_eq!(answer.body["error"]["code"], "VALIDATION_FAILED");
            assert_eq!(
                answer.body["error"]["details"]["field"], field,
                "{path} {value}"
            );
        }
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("assignedTo");
        let answer = office.api.call(&office.zhang, method, &path, &body).await;
        assert_eq!(answer.said(), (400, "缺少字段：assignedTo"), "{path}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn the_longest_reason_is_accepted_at_every_entrance(database: &TestDatabase) {
    let office = Office::open(database).await;
    let longest = "因".repeat(200);
    let entrances = entrances(&office, &office.wang.id).await;
    for ((method, path, mut body), to) in
        entrances
            .into_iter()
            .zip([&office.wang, &office.sun, &office.wang, &office.sun])
    {
        body["assignedTo"] = json!(to.id);
        body["assignmentReason"] = json!(longest);
        let data = office
            .api
            .call(&office.zhang, method, &path, &body)
            .await
            .data();
        assert_eq!(data["notificationData"]["source"], json!(longest), "{path}");
        assert_eq!(
            data["notificationData"]["assignedToId"],
            json!(to.id),
            "{path}"
        );
    }
}

async fn a_customer_that_does_not_exist_is_not_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    for id in [NOBODY, "nobody", "%00", "%FF", "%20", "CUS12345678901"] {
        for path in [
            format!("/api/customers/{id}/assign"),
            format!("/api/customers/miniprogram/{id}/assign"),
        ] {
            let body = json!({ "assignedTo": office.wang.id });
            let answer = office.api.patch(&office.zhang, &path, &body).await;
            assert_eq!(answer.said(), (404, "客户不存在"), "{path}");
            assert_eq!(answer.body["error"]["code"], "NOT_FOUND");
        }
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_batch_has_one_to_a_thousand_customers(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let ids =
        |count: usize| -> Vec<CustomerId> { (0..count).map(|_| CustomerId::generate()).collect() };
    for path in [
        "/api/customers/batch-assign",
        "/api/customers/public-pool/assign",
    ] {
        for (ids, status, message) in [
            (ids(0), 400, "客户数量必须在1到1000之间"),
            (ids(1_001), 400, "客户数量必须在1到1000之间"),
            (ids(1_000), 200, "分配完成：成功 0 个，失败 1000 个"),
        ] {
            let body = json!({ "customerIds": ids, "assignedTo": office.wang.id });
            let answer = office.api.post(&office.zhang, path, &body).await;
            let (answered, said) = answer.said();
            assert_eq!(
                (answered, said.trim_start_matches("批量")),
                (status, message)
            );
        }
        for ids in [
            json!("x"),
            json!([7]),
            json!([null]),
            Value::Null,
            json!({}),
        ] {
            let body = json!({ "customerIds": ids, "assignedTo": office.wang.id });
            let answer = office.api.post(&office.zhang, path, &body).await;
            assert_eq!(answer.status, 400, "{ids}: {}", answer.body);
        }
    }
    database.assert_unchanged_since(&before).await;
}
