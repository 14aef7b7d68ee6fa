use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Role;

use super::{body, counters, execute, get, rule};
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_rule_is_made_read_changed_switched_and_deleted,
    what_cannot_be_is_refused_with_the_field,
    people_who_cannot_take_part_are_named,
    no_two_rules_have_one_name,
    counters_are_kept_whoever_comes_and_goes,
    a_refused_change_changes_nothing,
    rules_are_logged_with_who_changed_them,
);

const RULES: &str = "/api/lead-transfer/rules";

async fn a_rule_is_made_read_changed_switched_and_deleted(database: &TestDatabase) {
    let office = Office::open(database).await;
    let made = office
        .api
        .post(
            &office.zhang,
            RULES,
            &body("规则", &[&office.li], &[&office.wang], json!({})),
        )
        .await;
    assert_eq!(made.said(), (201, "规则创建成功"));
    let made = made.data();
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        made["conditions"],
        json!({
            "inactiveHours": 48, "transferCooldownHours": 24, "maxTransferCount": 0,
            "contractStatuses": [], "leadSources": [], "createdDateRange": null,
        })
    );
    assert_eq!(
        made["window"],
        json!({ "enabled": true, "start": "09:30", "end": "18:30" })
    );
    assert_eq!(
        (&made["enabled"], &made["strategy"]),
        (&json!(true), &json!("balanced"))
    );
    assert_eq!(get(&office, &format!("rules/{id}")).await, made);
    assert_eq!(get(&office, "rules").await["items"], json!([made]));

    let path = format!("{RULES}/{id}");
    let change = json!({
        "name": "夜间", "strategy": "round_robin",
        "conditions": { "inactiveHours": 1, "leadSources": ["抖音", "抖音", "转介绍"],
            "createdDateRange": { "start": "2026-01-01", "end": "2026-01-01" } },
        "window": { "start": "22:00", "end": "06:00" },
    });
    let changed = office.api.patch(&office.admin, &path, &change).await;
    assert_eq!(changed.said(), (200, "规则更新成功"));
    let changed = changed.data();
    assert_eq!(
        changed["window"],
        json!({ "enabled": true, "start": "22:00", "end": "06:00" })
    );
    assert_eq!(
        changed["conditions"]["leadSources"],
        json!(["抖音", "转介绍"])
    );
    // What is not given stays.
    assert_eq!(changed["conditions"]["transferCooldownHours"], 24);
    assert_eq!(changed["sourceUserIds"], made["sourceUserIds"]);
    assert_eq!(changed["version"], 2);
    let without = json!({ "conditions": { "createdDateRange": null } });
    let without = office
        .api
        .patch(&office.admin, &path, &without)
        .await
        .data();
    assert_eq!(without["conditions"]["createdDateRange"], Value::Null);

    let toggle = format!("{path}/toggle");
    let off = toggled(&office, &toggle, &Value::Null).await;
    assert_eq!(off, ("规则已停用".to_owned(), false));
    let again = toggled(&office, &toggle, &json!({ "enabled": false })).await;
    assert!(!again.1);
    let on = toggled(&office, &toggle, &json!({})).await;
    assert_eq!(on, ("规则已启用".to_owned(), true));

    let removed = office.api.delete(&office.zhang, &path).await;
    assert_eq!(removed.said(), (200, "规则已删除"));
    for answer in [
        office.api.get(&office.zhang, &path).await,
        office.api.delete(&office.zhang, &path).await,
        office.api.patch(&office.zhang, &path, &json!({})).await,
        office.api.patch(&office.zhang, &toggle, &json!({})).await,
        office
            .api
            .get(&office.zhang, &format!("{path}/predict"))
            .await,
        office
            .api
            .get(&office.zhang, &format!("{RULES}/nothing"))
            .await,
    ] {
        assert_eq!(answer.said(), (404, "流转规则不存在"));
    }
}

/// What switching a rule says, and whether it is on then.
async fn toggled(office: &Office<'_>, path: &str, wish: &Value) -> (String, bool) {
    let mut request = office
        .api
        .request(Method::PATCH, path)
        .bearer_auth(&office.zhang.token);
    if !wish.is_null() {
        request = request.json(wish);
    }
    let answer = TestApi::send(request).await;
    let said = answer.said().1.to_owned();
    (said, answer.data()["enabled"].as_bool().unwrap())
}

async fn what_cannot_be_is_refused_with_the_field(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "原有", &[&office.li], &[&office.wang], json!({})).await;
    let nobody = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
    for (change, field, message) in [
        (json!({ "name": " " }), "name", "字段 name 不能为空"),
        (
            json!({ "name": "名".repeat(51) }),
            "name",
            "字段 name 不能超过50字",
        ),
        (
            json!({ "sourceUserIds": [] }),
            "sourceUserIds",
            "请至少选择一个流出用户",
        ),
        (
            json!({ "targetUserIds": [] }),
            "targetUserIds",
            "请至少选择一个流入用户",
        ),
        (
            json!({ "targetUserIds": [office.li.id] }),
            "targetUserIds",
            "李四 的线索没有可流入的用户，请至少再选择一个流入用户",
        ),
        (
            json!({ "sourceUserIds": [office.li.id, office.wang.id] }),
            "targetUserIds",
            "王五 的线索没有可流入的用户，请至少再选择一个流入用户",
        ),
        (
            json!({ "targetUserIds": [nobody] }),
            "targetUserIds",
            "用户不存在：0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
        ),
        (
            json!({ "sourceUserIds": ["某人"] }),
            "sourceUserIds",
            "用户不存在：某人",
        ),
        (
            json!({ "conditions": { "inactiveHours": 0 } }),
            "conditions.inactiveHours",
            "conditions.inactiveHours 必须在 1 到 8760 之间",
        ),
        (
            json!({ "conditions": { "inactiveHours": 8761 } }),
            "conditions.inactiveHours",
            "conditions.inactiveHours 必须在 1 到 8760 之间",
        ),
        (
            json!({ "conditions": { "transferCooldownHours": -1 } }),
            "conditions.transferCooldownHours",
            "conditions.transferCooldownHours 必须在 0 到 8760 之间",
        ),
        (
            json!({ "conditions": { "maxTransferCount": 1001 } }),
            "conditions.maxTransferCount",
            "conditions.maxTransferCount 必须在 0 到 1000 之间",
        ),
        (
            json!({ "conditions": { "contractStatuses": ["签了"] } }),
            "conditions.contractStatuses[0]",
            "字段 conditions.contractStatuses[0] 的值不正确",
        ),
        (
            json!({ "conditions": { "leadSources": ["微博"] } }),
            "conditions.leadSources[0]",
            "字段 conditions.leadSources[0] 的值不正确",
        ),
        (
            json!({ "conditions": { "createdDateRange": { "start": "2026-02-02", "end": "2026-02-01" } } }),
            "conditions.createdDateRange",
            "创建日期范围的结束日期不能早于开始日期",
        ),
        (
            json!({ "conditions": { "createdDateRange": { "start": "2026-02-30" } } }),
            "conditions.createdDateRange.start",
            "字段 conditions.createdDateRange.start 的值不正确",
        ),
        (
            json!({ "window": { "start": "09:00", "end": "09:00" } }),
            "window",
            "执行时间段的开始和结束不能相同",
        ),
        (
            json!({ "window": { "start": "18:30" } }),
            "window",
            "执行时间段的开始和结束不能相同",
        ),
        (
            json!({ "window": { "end": "24:00" } }),
            "window.end",
            "字段 window.end 的值不正确",
        ),
        (
            json!({ "strategy": "random" }),
            "strategy",
            "字段 strategy 的值不正确",
        ),
        (json!({ "colour": "red" }), "colour", "不支持的字段：colour"),
        (
            json!({ "conditions": { "colour": "red" } }),
            "colour",
            "不支持的字段：colour",
        ),
    ] {
        let path = format!("{RULES}/{id}");
        let changed = office.api.patch(&office.zhang, &path, &change).await;
        let made = body("新规则", &[&office.li], &[&office.wang], change.clone());
        let made = office.api.post(&office.zhang, RULES, &made).await;
        for answer in [changed, made] {
            assert_eq!(answer.said(), (400, message), "{change}");
            assert_eq!(answer.body["error"]["details"]["field"], field, "{change}");
        }
    }
    let nameless = json!({ "sourceUserIds": [office.li.id], "targetUserIds": [office.wang.id] });
    let answer = office.api.post(&office.zhang, RULES, &nameless).await;
    assert_eq!(answer.said(), (400, "字段 name 不能为空"));
    assert_eq!(get(&office, "rules").await["total"], 1);
}

async fn people_who_cannot_take_part_are_named(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    let path = format!("/api/users/{}", office.zhou.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    let body = body(
        "新规则",
        &[&office.li],
        &[&office.wang, &office.zhou],
        json!({}),
    );
    let answer = office.api.post(&office.zhang, RULES, &body).await;
    assert_eq!(answer.said(), (400, "流入用户未激活：周派单"));
    // Whoever leaves is where leads come from.
    let change = json!({ "sourceUserIds": [office.zhou.id] });
    office
        .api
        .patch(&office.zhang, &format!("{RULES}/{id}"), &change)
        .await
        .data();
    // And whoever was deactivated meanwhile does not keep the rule from being edited.
    let path = format!("/api/users/{}", office.wang.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "active": false }))
        .await
        .data();
    let change = json!({ "targetUserIds": [office.wang.id, office.sun.id] });
    office
        .api
        .patch(&office.zhang, &format!("{RULES}/{id}"), &change)
        .await
        .data();
}

async fn no_two_rules_have_one_name(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "甲", &[&office.li], &[&office.wang], json!({})).await;
    let other = rule(&office, "乙", &[&office.li], &[&office.wang], json!({})).await;
    let body = body("甲", &[&office.li], &[&office.wang], json!({}));
    let made = office.api.post(&office.zhang, RULES, &body).await;
    let path = format!("{RULES}/{other}");
    let renamed = office
        .api
        .patch(&office.zhang, &path, &json!({ "name": "甲" }))
        .await;
    for answer in [made, renamed] {
        assert_eq!(answer.said(), (409, "规则名称已存在"));
    }
}

async fn counters_are_kept_whoever_comes_and_goes(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(
        &office,
        "规则",
        &[&office.li],
        &[&office.wang, &office.zhou],
        json!({}),
    )
    .await;
    database.leads(4, &office.li).await;
    assert_eq!(execute(&office, &json!({})).await["moved"], 4);
    let path = format!("{RULES}/{id}");
    let without = json!({ "sourceUserIds": [office.sun.id], "targetUserIds": [office.zhou.id] });
    let rule = office
        .api
        .patch(&office.zhang, &path, &without)
        .await
        .data();
    assert_eq!(counters(&rule, &office.wang), (0, 2));
    assert_eq!(
        (counters(&rule, &office.li), counters(&rule, &office.zhou)),
        ((4, 0), (0, 2))
    );
    assert_eq!(rule["targetUserIds"], json!([office.zhou.id]));
    let with = json!({ "targetUserIds": [office.li.id, office.wang.id] });
    let rule = office.api.patch(&office.zhang, &path, &with).await.data();
    assert_eq!(rule["targetUserIds"], json!([office.li.id, office.wang.id]));
    assert_eq!(
        (counters(&rule, &office.li), counters(&rule, &office.wang)),
        ((4, 0), (0, 2))
    );
}

async fn a_refused_change_changes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    let before = database.contents().await;
    let change = json!({ "name": "新名", "targetUserIds": [office.li.id] });
    let answer = office
        .api
        .patch(&office.zhang, &format!("{RULES}/{id}"), &change)
        .await;
    assert_eq!(answer.status, 400);
    database.assert_unchanged_since(&before).await;
}

async fn rules_are_logged_with_who_changed_them(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    let path = format!("{RULES}/{id}");
    office
        .api
        .patch(&office.admin, &path, &json!({ "name": "新名" }))
        .await
        .data();
    office.api.delete(&office.zhang, &path).await.data();
    let log = database
        .read(move |connection| {
            shared::operation_log::history(connection, "lead_transfer_rule", &id)
        })
        .await;
    let log: Vec<(&str, &str)> = log
        .iter()
        .map(|line| (line.action.as_str(), line.actor.as_str()))
        .collect();
    assert_eq!(
        log,
        [
            ("lead_transfer.create_rule", "zhang"),
            ("lead_transfer.change_rule", "admin"),
            ("lead_transfer.delete_rule", "zhang"),
        ]
    );
    // An employee may see none of it.
    let refused = office.api.get(&office.li, RULES).await;
    assert_eq!(refused.said(), (403, "没有权限管理线索流转规则"));
    let staff = database.staff("qian", "钱经理", Role::Manager).await;
    assert_eq!(office.api.get(&staff, RULES).await.status, 200);
}
