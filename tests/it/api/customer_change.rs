//! Changing what is known of a customer.

use reqwest::header::IF_MATCH;
use serde_json::{Value, json};
use shared::domain::Role;

use super::Office;
use crate::harness::{Answer, Gate, Session, TestApi, TestDatabase, on_each_database};

on_each_database!(
    everything_known_can_be_changed_and_taken_away,
    a_change_that_changes_nothing_writes_nothing,
    one_way_to_reach_a_customer_must_remain,
    a_number_or_wechat_id_of_somebody_else_is_refused,
    what_a_customer_must_not_become_is_refused_and_nothing_is_written,
    the_owner_is_told_of_a_new_contract_status_by_somebody_else_alone,
    who_does_not_see_a_customer_cannot_change_it,
    a_change_may_expect_a_version,
    of_two_changes_that_expect_the_same_version_one_wins,
    of_two_customers_that_want_one_number_at_once_one_gets_it,
);

async fn change(office: &Office<'_>, by: &Session, id: &str, body: Value) -> Answer {
    let path = format!("/api/customers/{id}");
    office.api.patch(by, &path, &body).await
}

async fn everything_known_can_be_changed_and_taken_away(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = office.customer(&id).await;
    let body = json!({
        "name": " 王太太 ", "phone": "13900139000", "wechatId": "wang_1", "leadSource": "抖音",
        "serviceCategory": "保洁", "leadLevel": "B类", "contractStatus": "签约中",
        "remarks": "第一行\n第二行", "autoTransferEnabled": false,
    });
    let answer = change(&office, &office.li, &id, body.clone()).await;
    assert_eq!(answer.said(), (200, "客户更新成功"));
    let after = answer.data();
    let mut expected = before.clone();
    for (field, value) in body.as_object().unwrap() {
        expected[field] = value.clone();
    }
    expected["name"] = json!("王太太");
    expected["version"] = json!(2);
    for moment in ["updatedAt", "lastActivityAt"] {
        assert_ne!(after[moment], before[moment]);
        expected[moment] = after[moment].clone();
    }
    assert_eq!(after, expected);
    assert_eq!(office.customer(&id).await, expected);

    let nothing = json!({
        "phone": null, "serviceCategory": null, "leadLevel": null, "remarks": null,
    });
    let after = change(&office, &office.zhou, &id, nothing.clone())
        .await
        .data();
    for field in nothing.as_object().unwrap().keys() {
        assert_eq!(after[field], Value::Null, "{field}");
    }
    assert_eq!(
        (&after["wechatId"], &after["version"]),
        (&json!("wang_1"), &json!(3))
    );
}

async fn a_change_that_changes_nothing_writes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for same in [
        json!({}),
        json!({ "name": "王女士 ", "phone": "13800138999", "contractStatus": "待定" }),
        json!({ "wechatId": null, "remarks": " " }),
    ] {
        let answer = change(&office, &office.zhang, &id, same).await;
        assert_eq!(answer.said(), (200, "客户更新成功"));
        assert_eq!(answer.data()["version"], 1);
    }
    database.assert_unchanged_since(&before).await;
}

async fn one_way_to_reach_a_customer_must_remain(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for body in [
        json!({ "phone": null }),
        json!({ "phone": "", "wechatId": " ", "name": "无名" }),
    ] {
        let answer = change(&office, &office.li, &id, body).await;
        assert_eq!(answer.said(), (400, "请填写手机号或微信号"));
        assert_eq!(answer.body["error"]["details"]["field"], "phone");
    }
    database.assert_unchanged_since(&before).await;
    let moved = json!({ "phone": null, "wechatId": "wang_1" });
    change(&office, &office.li, &id, moved).await.data();
}

async fn a_number_or_wechat_id_of_somebody_else_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let first = database.lead("王女士", "13800138999", &office.li).await;
    let second = database.lead("赵女士", "13900139000", &office.li).await;
    change(&office, &office.li, &first, json!({ "wechatId": "wang_1" }))
        .await
        .data();
    let before = database.contents().await;
    for (body, message) in [
        (json!({ "phone": "13800138999" }), "该手机号已存在客户记录"),
        (json!({ "wechatId": "wang_1" }), "该微信号已存在客户记录"),
    ] {
        let answer = change(&office, &office.li, &second, body).await;
        assert_eq!(answer.said(), (409, message));
        assert_eq!(answer.body["error"], json!({ "code": "CONFLICT" }));
    }
    database.assert_unchanged_since(&before).await;
}

async fn what_a_customer_must_not_become_is_refused_and_nothing_is_written(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for (field, value, message) in [
        ("name", Value::Null, "字段 name 不能为空"),
        ("name", json!(" "), "字段 name 不能为空"),
        ("name", json!("王".repeat(51)), "字段 name 不能超过50字"),
        ("phone", json!("12800138999"), "手机号格式不正确"),
        (
            "wechatId",
            json!("x".repeat(65)),
            "字段 wechatId 不能超过64字",
        ),
        ("leadSource", Value::Null, "字段 leadSource 不能为空"),
        ("leadSource", json!("微博"), "字段 leadSource 的值不正确"),
        (
            "contractStatus",
            Value::Null,
            "字段 contractStatus 不能为空",
        ),
        (
            "autoTransferEnabled",
            Value::Null,
            "字段 autoTransferEnabled 不能为空",
        ),
        (
            "autoTransferEnabled",
            json!("是"),
            "字段 autoTransferEnabled 的值不正确",
        ),
        (
            "remarks",
            json!("备".repeat(2_001)),
            "字段 remarks 不能超过2000字",
        ),
        ("frozen", json!(true), "不支持的字段：frozen"),
        (
            "assignedTo",
            json!(office.wang.id),
            "负责人不能在此修改，请使用 PATCH /api/customers/{id}/assign 分配客户",
        ),
        (
            "assignedTo",
            Value::Null,
            "负责人不能在此修改，请使用 PATCH /api/customers/{id}/assign 分配客户",
        ),
    ] {
        let answer = change(&office, &office.admin, &id, json!({ field: value })).await;
        assert_eq!(answer.said(), (400, message), "{field}: {value}");
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    database.assert_unchanged_since(&before).await;
}

async fn the_owner_is_told_of_a_new_contract_status_by_somebody_else_alone(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    for (by, status) in [
        (&office.li, "签约中"),
        (&office.zhou, "已签约"),
        // The same again is no change.
        (&office.zhang, "已签约"),
    ] {
        let body = json!({ "contractStatus": status });
        change(&office, by, &id, body).await.data();
    }
    change(&office, &office.zhou, &id, json!({ "remarks": "无" }))
        .await
        .data();
    let pooled = database.pooled_lead("赵女士", "13900139000").await;
    change(
        &office,
        &office.zhou,
        &pooled,
        json!({ "contractStatus": "已签约" }),
    )
    .await
    .data();
    assert_eq!(
        database.news().await,
        ["customer.status_changed li: inbox wechat_cloud wechat_subscribe"]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["客户【王女士】状态由 签约中 变更为 已签约"]
    );
    let message = &database.messages().await[0];
    assert_eq!(message.subject, Some(format!("customer:{id}")));
    let payload: Value = serde_json::from_str(&message.payload).unwrap();
    for (name, value) in [
        ("operatorName", "周派单"),
        ("oldStatus", "签约中"),
        ("newStatus", "已签约"),
        ("source", "状态变更为已签约"),
        ("phone", "138****8999"),
    ] {
        assert_eq!(payload[name], value, "{name}");
    }
}

async fn who_does_not_see_a_customer_cannot_change_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let stranger = database.staff("other", "旁人", Role::Employee).await;
    let before = database.contents().await;
    for (by, id) in [
        (&stranger, id.as_str()),
        (&office.admin, "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff"),
        (&office.admin, "nobody"),
    ] {
        let answer = change(&office, by, id, json!({ "name": "赵" })).await;
        assert_eq!(answer.said(), (404, "客户不存在"));
    }
    database.assert_unchanged_since(&before).await;
}

async fn expecting(office: &Office<'_>, id: &str, version: &str, body: Value) -> Answer {
    let path = format!("/api/customers/{id}");
    let request = office.api.request(reqwest::Method::PATCH, &path);
    let request = request.bearer_auth(&office.zhang.token).json(&body);
    TestApi::send(request.header(IF_MATCH, version)).await
}

async fn a_change_may_expect_a_version(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    let stale = expecting(&office, &id, "\"2\"", json!({ "name": "赵" })).await;
    assert_eq!(stale.said(), (409, "客户已被他人修改，请刷新后重试"));
    database.assert_unchanged_since(&before).await;
    let now = expecting(&office, &id, "\"1\"", json!({ "name": "赵" })).await;
    assert_eq!(now.data()["version"], 2);
}

async fn of_two_changes_that_expect_the_same_version_one_wins(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        expecting(&office, &id, "1", json!({ "name": "甲" })),
        expecting(&office, &id, "1", json!({ "name": "乙" })),
        gate.open_when_waiting(2),
    );
    let (winner, loser) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(loser.said(), (409, "客户已被他人修改，请刷新后重试"));
    assert_eq!(office.customer(&id).await, winner.data());
}

async fn of_two_customers_that_want_one_number_at_once_one_gets_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let first = database.lead("甲", "13800138001", &office.li).await;
    let second = database.lead("乙", "13800138002", &office.li).await;
    let wanted = json!({ "phone": "13900139000" });
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        change(&office, &office.li, &first, wanted.clone()),
        change(&office, &office.zhang, &second, wanted.clone()),
        gate.open_when_waiting(2),
    );
    let mut said = [one.said(), other.said()];
    said.sort_unstable();
    assert_eq!(
        said,
        [(200, "客户更新成功"), (409, "该手机号已存在客户记录")]
    );
}
