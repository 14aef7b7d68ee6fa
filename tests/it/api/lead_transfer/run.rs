use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{counters, execute, execute_sql, get, owners, rule};
use crate::api::Office;
use crate::harness::{Gate, TestDatabase, on_each_database};

on_each_database!(
    a_run_moves_leads_as_the_system_and_tells_each_person_once,
    nobody_gets_a_lead_that_was_ever_theirs,
    whoever_is_not_active_gets_nothing,
    leads_are_spread_within_one_and_who_gave_more_comes_first,
    round_robin_goes_on_where_the_last_run_stopped,
    two_rules_that_want_one_lead_move_it_once_and_tell_once,
    a_run_takes_no_more_of_each_rule_than_was_asked,
    only_the_rule_that_was_asked_for_runs,
    a_lead_that_was_touched_meanwhile_stays,
    a_rule_that_is_switched_off_meanwhile_stops,
    orders_that_cannot_be_are_refused,
    records_and_statistics_tell_what_moved,
);

async fn a_run_moves_leads_as_the_system_and_tells_each_person_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(
        &office,
        "四十八小时",
        &[&office.li],
        &[&office.wang, &office.zhou],
        json!({}),
    )
    .await;
    let leads = database.leads(4, &office.li).await;
    let run = execute(&office, &json!({})).await;
    assert_eq!(
        (&run["status"], &run["moved"], &run["skipped"]),
        (&json!("finished"), &json!(4), &json!(0))
    );
    assert_eq!(
        (&run["origin"], &run["startedByName"]),
        (&json!("manual"), &json!("张经理"))
    );
    for lead in &leads {
        let customer = office.customer(lead).await;
        assert_ne!(customer["assignedTo"], json!(office.li.id));
        assert_eq!(customer["assignedBy"], Value::Null);
        assert_eq!(
            (&customer["transferCount"], &customer["version"]),
            (&json!(1), &json!(2))
        );
        assert_eq!(customer["lastTransferredAt"], customer["assignedAt"]);
        let history = office.history(lead).await;
        assert_eq!(history.len(), 1);
        assert_eq!(history[0]["entrance"], "auto_transfer");
        assert_eq!(history[0]["assignedBy"], Value::Null);
        assert_eq!(history[0]["reason"], "自动流转：四十八小时");
        let asked = lead.clone();
        let log = database
            .read(move |connection| shared::operation_log::history(connection, "customer", &asked))
            .await;
        assert_eq!((log.len(), log[0].actor.as_str()), (1, "system"));
    }
    assert_eq!(
        database.news().await,
        [
            "lead.auto_transfer_in wang: inbox wechat_cloud wechat_subscribe",
            "lead.auto_transfer_in zhou: inbox wechat_cloud wechat_subscribe",
            "lead.auto_transfer_out li: inbox wechat_cloud wechat_subscribe",
        ]
    );
    let told = office.inbox(&office.li).await.remove(0);
    assert!(
        told.starts_with("您有 4 条线索已于 20") && told.ends_with(" 自动流转给其他同事"),
        "{told}"
    );
    let told = office.inbox(&office.wang).await.remove(0);
    assert!(
        told.starts_with("您有 2 条新线索已于 20") && told.ends_with(" 自动流转给您"),
        "{told}"
    );
    for message in database.messages().await {
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        let count = payload["count"].as_i64().unwrap();
        assert_eq!(payload["customerName"], format!("{count}条线索"));
        assert_eq!(payload["assignerName"], "系统");
    }
    let rule = get(&office, &format!("rules/{id}")).await;
    assert_eq!(counters(&rule, &office.li), (4, 0));
    assert_eq!(
        (counters(&rule, &office.wang), counters(&rule, &office.zhou)),
        ((0, 2), (0, 2))
    );

    // What has just moved is not touched again, and nobody is told of nothing.
    let again = execute(&office, &json!({})).await;
    assert_eq!(
        (&again["status"], &again["moved"]),
        (&json!("finished"), &json!(0))
    );
    assert_eq!(database.news().await.len(), 3);
}

async fn nobody_gets_a_lead_that_was_ever_theirs(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(
        &office,
        "规则",
        &[&office.li],
        &[&office.wang, &office.zhou, &office.li],
        json!({}),
    )
    .await;
    let leads = database.leads(6, &office.wang).await;
    for lead in &leads {
        office.assign(&office.zhang, lead, &office.li).await.data();
    }
    let untouched = database.lead("王女士", "13800138999", &office.li).await;
    execute_sql(
        database,
        "UPDATE customers SET last_activity_at = created_at",
    );
    assert_eq!(execute(&office, &json!({})).await["moved"], 7);
    let owners = owners(&office, &leads).await;
    assert!(
        owners.iter().all(|owner| *owner == office.zhou.id),
        "{owners:?}"
    );
    assert_eq!(
        office.customer(&untouched).await["assignedTo"],
        json!(office.wang.id)
    );
    // Now there is nobody left for them.
    execute_sql(
        database,
        "UPDATE customers SET last_activity_at = created_at, last_transferred_at = NULL",
    );
    rule(
        &office,
        "反向",
        &[&office.zhou],
        &[&office.wang, &office.li],
        json!({}),
    )
    .await;
    assert_eq!(execute(&office, &json!({})).await["moved"], 0);
}

async fn whoever_is_not_active_gets_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(
        &office,
        "规则",
        &[&office.li],
        &[&office.wang, &office.zhou],
        json!({}),
    )
    .await;
    let leads = database.leads(4, &office.li).await;
    for (user, active) in [(&office.wang, false), (&office.li, false)] {
        let path = format!("/api/users/{}", user.id);
        let body = json!({ "active": active });
        office.api.patch(&office.admin, &path, &body).await.data();
    }
    assert_eq!(execute(&office, &json!({})).await["moved"], 4);
    let owners = owners(&office, &leads).await;
    assert!(
        owners.iter().all(|owner| *owner == office.zhou.id),
        "{owners:?}"
    );
    // Whoever has left is not told.
    assert_eq!(
        database.news().await,
        ["lead.auto_transfer_in zhou: inbox wechat_cloud wechat_subscribe"]
    );
}

/// How many leads everybody has got in all.
async fn received(office: &Office<'_>) -> BTreeMap<String, usize> {
    let page = get(office, "records?pageSize=100").await;
    let mut counts = BTreeMap::new();
    for record in page["items"].as_array().unwrap() {
        let name = record["toUserName"].as_str().unwrap().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

async fn leads_are_spread_within_one_and_who_gave_more_comes_first(database: &TestDatabase) {
    let office = Office::open(database).await;
    let targets = [&office.wang, &office.zhou, &office.sun];
    let id = rule(&office, "规则", &[&office.li], &targets, json!({})).await;
    // Zhou has given more than he got.
    execute_sql(
        database,
        &format!(
            "UPDATE lead_transfer_rule_users SET out_count = 5 WHERE user_id = '{}'",
            office.zhou.id
        ),
    );
    database.leads(10, &office.li).await;
    execute(&office, &json!({ "ruleId": id })).await;
    let counts = received(&office).await;
    assert_eq!(counts["周派单"], 4, "{counts:?}");
    assert_eq!((counts["王五"], counts["孙运营"]), (3, 3));
}

async fn round_robin_goes_on_where_the_last_run_stopped(database: &TestDatabase) {
    let office = Office::open(database).await;
    let targets = [&office.wang, &office.zhou, &office.sun];
    let more = json!({ "strategy": "round_robin" });
    rule(&office, "规则", &[&office.li], &targets, more).await;
    let leads = database.leads(5, &office.li).await;
    assert_eq!(
        execute(&office, &json!({ "batchSize": 2 })).await["moved"],
        2
    );
    assert_eq!(execute(&office, &json!({})).await["moved"], 3);
    let names = [
        &office.wang,
        &office.zhou,
        &office.sun,
        &office.wang,
        &office.zhou,
    ];
    let expected: Vec<String> = names.iter().map(|person| person.id.clone()).collect();
    assert_eq!(owners(&office, &leads).await, expected);
}

async fn two_rules_that_want_one_lead_move_it_once_and_tell_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(6, &office.li).await;
    for (name, to) in [("甲", &office.wang), ("乙", &office.zhou)] {
        // Both take and give on: what came by one must not go on by the other.
        let from = [
            &office.li,
            if name == "甲" {
                &office.zhou
            } else {
                &office.wang
            },
        ];
        rule(
            &office,
            name,
            &from,
            &[to, &office.sun],
            json!({ "conditions": { "transferCooldownHours": 0 } }),
        )
        .await;
    }
    let run = execute(&office, &json!({ "batchSize": 4 })).await;
    assert_eq!(run["moved"], 6);
    for lead in &leads {
        assert_eq!(office.history(lead).await.len(), 1);
    }
    for line in database.news().await {
        assert!(
            line.ends_with(": inbox wechat_cloud wechat_subscribe"),
            "{line}"
        );
    }
    assert_eq!(office.inbox(&office.li).await.len(), 1);
    assert!(office.inbox(&office.li).await[0].starts_with("您有 6 条线索"));
}

async fn a_run_takes_no_more_of_each_rule_than_was_asked(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "甲", &[&office.li], &[&office.sun], json!({})).await;
    rule(&office, "乙", &[&office.wang], &[&office.sun], json!({})).await;
    database.leads(5, &office.li).await;
    database.lead("王女士", "13800138999", &office.wang).await;
    let run = execute(&office, &json!({ "batchSize": 3 })).await;
    assert_eq!((&run["moved"], &run["batchSize"]), (&json!(4), &json!(3)));
    let counts = get(&office, "statistics").await["byRule"].clone();
    assert_eq!(
        (&counts[0]["transfers"], &counts[1]["transfers"]),
        (&json!(3), &json!(1))
    );
}

async fn only_the_rule_that_was_asked_for_runs(database: &TestDatabase) {
    let office = Office::open(database).await;
    // Nobody waits for a window who starts a run by hand.
    let shut = json!({ "window": { "enabled": true, "start": "00:00", "end": "00:01" } });
    let one = rule(&office, "甲", &[&office.li], &[&office.sun], shut).await;
    rule(&office, "乙", &[&office.wang], &[&office.sun], json!({})).await;
    let off = rule(
        &office,
        "丙",
        &[&office.li],
        &[&office.sun],
        json!({ "enabled": false }),
    )
    .await;
    let leads = [
        database.lead("王女士", "13800138001", &office.li).await,
        database.lead("赵先生", "13800138002", &office.wang).await,
    ];
    let run = execute(&office, &json!({ "ruleId": one })).await;
    assert_eq!((&run["moved"], &run["ruleId"]), (&json!(1), &json!(one)));
    assert_eq!(
        owners(&office, &leads).await,
        [office.sun.id.clone(), office.wang.id.clone()]
    );
    let path = "/api/lead-transfer/execute-now";
    let refused = office
        .api
        .post(&office.zhang, path, &json!({ "ruleId": off }))
        .await;
    assert_eq!(refused.said(), (409, "规则未启用，请先启用后再执行"));
}

async fn a_lead_that_was_touched_meanwhile_stays(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    // Somebody follows up on it just as the run is about to lock it.
    let change = "UPDATE customers SET last_activity_at = '2099-01-01 00:00:00'";
    let gate = Gate::behind(database, change);
    let order = json!({});
    let (run, ()) = tokio::join!(execute(&office, &order), gate.open_when_waiting(1));
    assert_eq!(
        (&run["status"], &run["moved"]),
        (&json!("finished"), &json!(0))
    );
    assert_eq!(
        office.customer(&lead).await["assignedTo"],
        json!(office.li.id)
    );
    assert_eq!(database.news().await, [""; 0]);
}

async fn a_rule_that_is_switched_off_meanwhile_stops(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let change = "UPDATE lead_transfer_rules SET enabled = FALSE, version = version + 1";
    let gate = Gate::behind(database, change);
    let order = json!({});
    let (run, ()) = tokio::join!(execute(&office, &order), gate.open_when_waiting(1));
    assert_eq!(
        (&run["status"], &run["moved"]),
        (&json!("finished"), &json!(0))
    );
    assert_eq!(
        office.customer(&lead).await["assignedTo"],
        json!(office.li.id)
    );
}

async fn orders_that_cannot_be_are_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let nobody = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
    for (order, status, message) in [
        (
            json!({ "batchSize": 0 }),
            400,
            "batchSize 必须在 1 到 1000 之间",
        ),
        (
            json!({ "batchSize": 1001 }),
            400,
            "batchSize 必须在 1 到 1000 之间",
        ),
        (
            json!({ "batchSize": "x" }),
            400,
            "字段 batchSize 的值不正确",
        ),
        (json!({ "all": true }), 400, "不支持的字段：all"),
        (json!({ "ruleId": nobody }), 404, "流转规则不存在"),
        (json!({ "ruleId": "x" }), 404, "流转规则不存在"),
    ] {
        let path = "/api/lead-transfer/execute-now";
        let answer = office.api.post(&office.zhang, path, &order).await;
        assert_eq!(answer.said(), (status, message), "{order}");
    }
    assert_eq!(get(&office, "runs").await["total"], 0);
    let path = format!("/api/lead-transfer/runs/{nobody}");
    let answer = office.api.get(&office.zhang, &path).await;
    assert_eq!(answer.said(), (404, "流转任务不存在"));
    // Without rules there is nothing to move.
    let run = execute(&office, &json!({ "batchSize": 1000 })).await;
    assert_eq!(
        (&run["status"], &run["moved"]),
        (&json!("finished"), &json!(0))
    );
}

async fn records_and_statistics_tell_what_moved(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = rule(
        &office,
        "规则",
        &[&office.li],
        &[&office.wang, &office.zhou],
        json!({}),
    )
    .await;
    let leads = database.leads(3, &office.li).await;
    let run = execute(&office, &json!({})).await;
    let run_id = run["id"].as_str().unwrap();
    for (filter, count) in [
        (String::new(), 3),
        (format!("runId={run_id}"), 3),
        (format!("ruleId={id}"), 3),
        (format!("customerId={}", leads[0]), 1),
        (format!("fromUserId={}", office.li.id), 3),
        (format!("toUserId={}", office.li.id), 0),
        ("startDate=2026-01-01".to_owned(), 3),
        ("startDate=2026-01-01&endDate=2026-01-02".to_owned(), 0),
    ] {
        let page = get(&office, &format!("records?{filter}")).await;
        assert_eq!(page["total"], count, "{filter}");
    }
    let page = get(&office, &format!("records?customerId={}", leads[0])).await;
    let record = &page["items"][0];
    assert_eq!(record["customerName"], "客户0");
    assert_eq!(
        (&record["fromUserName"], &record["ruleName"]),
        (&json!("李四"), &json!("规则"))
    );
    let path = "/api/lead-transfer/records?startDate=2026-02-02&endDate=2026-02-01";
    let refused = office.api.get(&office.zhang, path).await;
    assert_eq!(refused.said(), (400, "结束日期不能早于开始日期"));

    let statistics = get(&office, "statistics").await;
    for field in [
        "totalTransfers",
        "todayTransfers",
        "last7DaysTransfers",
        "last30DaysTransfers",
    ] {
        assert_eq!(statistics[field], 3, "{field}");
    }
    assert_eq!(
        statistics["byRule"],
        json!([{ "ruleId": id, "ruleName": "规则", "enabled": true, "transfers": 3 }])
    );
    assert_eq!(statistics["lastRun"], run);
    let of_li = get(&office, &format!("user-statistics/{}", office.li.id)).await;
    assert_eq!(
        (&of_li["out"], &of_li["in"], &of_li["balance"]),
        (&json!(3), &json!(0), &json!(3))
    );
    assert_eq!(
        (&of_li["todayOut"], &of_li["byRule"][0]["isSource"]),
        (&json!(3), &json!(true))
    );
    let path = "/api/lead-transfer/user-statistics/nobody";
    let unknown = office.api.get(&office.zhang, path).await;
    assert_eq!(unknown.said(), (404, "用户不存在"));
    // The records outlive the rule.
    let path = format!("/api/lead-transfer/rules/{id}");
    office.api.delete(&office.zhang, &path).await.data();
    assert_eq!(
        get(&office, &format!("records?ruleId={id}")).await["total"],
        3
    );
}
