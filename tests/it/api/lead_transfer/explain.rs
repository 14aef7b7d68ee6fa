use serde_json::{Value, json};

use super::{execute, execute_sql, get, rule};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    every_condition_is_told_with_its_values,
    what_the_explanation_says_is_what_a_run_does,
);

/// A rule that every condition of can fail.
fn strict() -> Value {
    json!({
        "window": { "enabled": false },
        "conditions": {
            "inactiveHours": 48, "transferCooldownHours": 24, "maxTransferCount": 2,
            "contractStatuses": ["待定", "匹配中"],
            "createdDateRange": { "start": "2026-01-02", "end": "2026-01-02" },
        },
    })
}

async fn failed(office: &Office<'_>, lead: &str) -> Vec<(String, String, String)> {
    let explanation = get(office, &format!("explain/{lead}")).await;
    let rule = &explanation["rules"][0];
    let clauses = rule["conditions"].as_array().unwrap();
    assert_eq!(clauses.len(), 13);
    let failed: Vec<(String, String, String)> = clauses
        .iter()
        .filter(|clause| clause["passed"] == json!(false))
        .map(|clause| {
            let text = |name: &str| clause[name].as_str().unwrap().to_owned();
            (text("condition"), text("expected"), text("actual"))
        })
        .collect();
    assert_eq!(rule["wouldMove"], json!(failed.is_empty()));
    failed
}

async fn every_condition_is_told_with_its_values(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "规则", &[&office.li], &[&office.wang], strict()).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    assert_eq!(failed(&office, &lead).await, []);
    let whole = |condition: &str, expected: &str, actual: &str| {
        vec![(condition.to_owned(), expected.to_owned(), actual.to_owned())]
    };
    for (change, undo, expected) in [
        (
            "contract_status = '已签约'",
            "contract_status = '待定'",
            whole("contractStatus", "待定、匹配中", "已签约"),
        ),
        (
            "lead_source = '转介绍'",
            "lead_source = '美团'",
            whole("leadSource", "除转介绍外", "转介绍"),
        ),
        (
            "frozen = TRUE",
            "frozen = FALSE",
            whole("notFrozen", "未冻结", "已冻结"),
        ),
        (
            "auto_transfer_enabled = FALSE",
            "auto_transfer_enabled = TRUE",
            whole("autoTransferEnabled", "允许", "不允许"),
        ),
        (
            "transfer_count = 2",
            "transfer_count = 1",
            whole("transferCount", "少于 2 次", "2 次"),
        ),
        (
            "created_at = '2026-01-02 16:00:00'",
            "created_at = '2026-01-02 15:59:59'",
            whole("createdDate", "2026-01-02 至 2026-01-02", "2026-01-03"),
        ),
        (
            "created_at = '2026-01-01 15:59:59'",
            "created_at = '2026-01-01 16:00:00'",
            whole("createdDate", "2026-01-02 至 2026-01-02", "2026-01-01"),
        ),
        (
            "last_activity_at = '2099-01-01 00:00:00'",
            "last_activity_at = '2026-01-02 00:00:00'",
            whole("inactive", "至少 48 小时", "0 小时 0 分钟"),
        ),
        (
            "last_transferred_at = '2099-01-01 00:00:00'",
            "last_transferred_at = '2026-01-02 00:00:00'",
            whole("cooldown", "至少 24 小时", "0 小时 0 分钟"),
        ),
    ] {
        execute_sql(database, &format!("UPDATE customers SET {change}"));
        assert_eq!(failed(&office, &lead).await, expected, "{change}");
        execute_sql(database, &format!("UPDATE customers SET {undo}"));
        assert_eq!(failed(&office, &lead).await, [], "{undo}");
    }

    execute_sql(
        database,
        "UPDATE customers SET assigned_to = NULL, in_public_pool = TRUE",
    );
    let pooled = failed(&office, &lead).await;
    assert_eq!(pooled[0], whole("owner", "李四", "无负责人")[0]);
    assert_eq!(pooled[1], whole("notPooled", "不在公海", "在公海")[0]);
    let back = format!(
        "UPDATE customers SET assigned_to = '{}', in_public_pool = FALSE",
        office.li.id
    );
    execute_sql(database, &back);

    let path = format!("/api/lead-transfer/rules/{id}");
    let off = json!({ "enabled": false });
    office.api.patch(&office.zhang, &path, &off).await.data();
    assert_eq!(
        failed(&office, &lead).await,
        whole("ruleEnabled", "启用", "停用")
    );
    // A minute that is over or is to come, whatever time it is.
    let on =
        json!({ "enabled": true, "window": { "enabled": true, "start": "03:00", "end": "03:01" } });
    let on_early =
        json!({ "enabled": true, "window": { "enabled": true, "start": "15:00", "end": "15:01" } });
    office.api.patch(&office.zhang, &path, &on).await.data();
    let mut shut = failed(&office, &lead).await;
    if shut.is_empty() {
        office
            .api
            .patch(&office.zhang, &path, &on_early)
            .await
            .data();
        shut = failed(&office, &lead).await;
    }
    assert_eq!((shut.len(), shut[0].0.as_str()), (1, "window"));
    let open = json!({ "window": { "enabled": false } });
    office.api.patch(&office.zhang, &path, &open).await.data();

    // Whose it was once, and who has left, gets it no more.
    let gone = json!({ "active": false });
    let user = format!("/api/users/{}", office.wang.id);
    office.api.patch(&office.admin, &user, &gone).await.data();
    let left = failed(&office, &lead).await;
    assert_eq!(
        left,
        whole(
            "receivers",
            "王五 中未曾负责过该客户的在职用户",
            "无：流入用户都已停用或曾经负责过该客户"
        )
    );
    let unknown = office
        .api
        .get(&office.zhang, "/api/lead-transfer/explain/nobody")
        .await;
    assert_eq!(unknown.said(), (404, "客户不存在"));
}

async fn what_the_explanation_says_is_what_a_run_does(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "规则", &[&office.li], &[&office.wang], strict()).await;
    let leads = database.leads(6, &office.li).await;
    for (lead, change) in leads.iter().zip([
        "frozen = TRUE",
        "transfer_count = 2",
        "contract_status = '已签约'",
        "lead_source = '转介绍'",
    ]) {
        execute_sql(
            database,
            &format!("UPDATE customers SET {change} WHERE id = '{lead}'"),
        );
    }
    let mut expected = Vec::new();
    for lead in &leads {
        let moves = failed(&office, lead).await.is_empty();
        expected.push(if moves {
            office.wang.id.clone()
        } else {
            office.li.id.clone()
        });
    }
    assert_eq!(execute(&office, &json!({})).await["moved"], 2);
    assert_eq!(super::owners(&office, &leads).await, expected);
}
