use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{execute, get, rule};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_prediction_comes_true_if_nothing_changes,
    a_prediction_writes_nothing,
    a_prediction_of_the_whole_run_leaves_what_earlier_rules_take,
    a_prediction_says_whether_the_rule_is_due,
);

/// Which lead goes from whom to whom.
fn pairs(items: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| {
            let pair = (text(&item["fromUserId"]), text(&item["toUserId"]));
            (text(&item["customerId"]), pair)
        })
        .collect()
}

async fn a_prediction_comes_true_if_nothing_changes(database: &TestDatabase) {
    let office = Office::open(database).await;
    for strategy in ["balanced", "round_robin"] {
        let targets = [&office.wang, &office.zhou, &office.sun, &office.li];
        let more = json!({ "strategy": strategy });
        let id = rule(
            &office,
            strategy,
            &[&office.li, &office.wang],
            &targets,
            more,
        )
        .await;
        super::execute_sql(database, "DELETE FROM customers");
        database.leads(40, &office.li).await;
        database.lead("王女士", "13800138999", &office.wang).await;
        // Three times: the seed changes with every run that moves something, the law does not.
        for batch_size in [7, 11, 100] {
            let path = format!("rules/{id}/predict?batchSize={batch_size}");
            let prediction = get(&office, &path).await;
            let order = json!({ "ruleId": id, "batchSize": batch_size });
            let run = execute(&office, &order).await;
            assert_eq!(run["moved"], prediction["total"]);
            let records = format!("records?pageSize=100&runId={}", run["id"].as_str().unwrap());
            let records = get(&office, &records).await;
            assert_eq!(pairs(&records["items"]), pairs(&prediction["items"]));
            assert_eq!(
                records["total"],
                batch_size.min(41 - 18 * i32::from(batch_size == 100))
            );
        }
        let path = format!("/api/lead-transfer/rules/{id}");
        office.api.delete(&office.zhang, &path).await.data();
    }
}

async fn a_prediction_writes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    database.leads(3, &office.li).await;
    let before = database.contents().await;
    let prediction = get(&office, &format!("rules/{id}/predict")).await;
    assert_eq!(
        (&prediction["total"], &prediction["batchSize"]),
        (&json!(3), &json!(100))
    );
    assert_eq!(
        prediction["byTarget"],
        json!([{ "userId": office.wang.id, "userName": "王五", "count": 3 }])
    );
    assert_eq!(prediction["items"][0]["customerName"], "客户0");
    let path = format!("/api/lead-transfer/rules/{id}/predict");
    for query in ["batchSize=0", "batchSize=1001", "scope=all", "x=1"] {
        let answer = office
            .api
            .get(&office.zhang, &format!("{path}?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_prediction_of_the_whole_run_leaves_what_earlier_rules_take(database: &TestDatabase) {
    let office = Office::open(database).await;
    let always =
        json!({ "window": { "enabled": false }, "conditions": { "leadSources": ["美团"] } });
    rule(
        &office,
        "甲",
        &[&office.li],
        &[&office.wang],
        always.clone(),
    )
    .await;
    let second = rule(
        &office,
        "乙",
        &[&office.li],
        &[&office.zhou],
        json!({ "window": { "enabled": false } }),
    )
    .await;
    let leads = database.leads(3, &office.li).await;
    super::execute_sql(
        database,
        &format!(
            "UPDATE customers SET lead_source = '抖音' WHERE id = '{}'",
            leads[2]
        ),
    );
    let alone = get(&office, &format!("rules/{second}/predict")).await;
    let whole = get(&office, &format!("rules/{second}/predict?scope=run")).await;
    assert_eq!((&alone["total"], &whole["total"]), (&json!(3), &json!(1)));
    assert_eq!(whole["batchSize"], Value::Null);
    execute(&office, &json!({})).await;
    assert_eq!(
        office.customer(&leads[2]).await["assignedTo"],
        json!(office.zhou.id)
    );
    assert_eq!(
        office.customer(&leads[0]).await["assignedTo"],
        json!(office.wang.id)
    );
}

async fn a_prediction_says_whether_the_rule_is_due(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (name, more, due) in [
        ("总是", json!({ "window": { "enabled": false } }), true),
        (
            "停用",
            json!({ "enabled": false, "window": { "enabled": false } }),
            false,
        ),
    ] {
        let id = rule(&office, name, &[&office.li], &[&office.wang], more).await;
        let prediction = get(&office, &format!("rules/{id}/predict")).await;
        assert_eq!(prediction["isDue"], due, "{name}");
    }
}
