use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_release_puts_the_customer_into_the_pool_as_lost,
    who_releases_their_own_is_told_nothing,
    the_mini_program_releases_too,
    a_release_needs_a_reason,
    what_is_frozen_or_in_the_pool_is_refused,
    who_may_release_their_own_only_is_told_so,
    a_release_of_another_version_is_refused,
    a_batch_tells_each_owner_once,
    a_batch_refuses_one_by_one,
    a_thousand_go_into_the_pool_and_out_of_it_at_once,
    a_release_that_cannot_be_told_is_not_made,
);

async fn a_release_puts_the_customer_into_the_pool_as_lost(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let before = office.customer(&lead).await;
    let answer = office.release(&office.zhang, &lead, " 长期未跟进 ").await;
    assert_eq!(answer.said(), (200, "客户释放成功"));
    let data = answer.data();
    assert_eq!(data["phone"], "138****8999");

    let after = office.customer(&lead).await;
    let now = after["publicPoolEntryTime"].clone();
    assert!(now.is_string());
    let mut expected = before;
    for (field, value) in [
        ("assignedTo", Value::Null),
        ("assignedToName", Value::Null),
        ("assignedBy", Value::Null),
        ("assignedByName", Value::Null),
        ("assignedAt", Value::Null),
        ("inPublicPool", json!(true)),
        ("publicPoolEntryTime", now.clone()),
        ("publicPoolReason", json!("长期未跟进")),
        ("leadLevel", json!("流失")),
        ("lastActivityAt", now.clone()),
        ("updatedAt", now),
        ("version", json!(3)),
    ] {
        expected[field] = value;
    }
    assert_eq!(after, expected);

    let history = office.history(&lead).await;
    let last = &history[1];
    assert_eq!(
        (
            &last["entrance"],
            &last["fromUserId"],
            &last["toUserId"],
            &last["assignedByName"],
            &last["reason"]
        ),
        (
            &json!("release"),
            &json!(office.li.id),
            &Value::Null,
            &json!("张经理"),
            &json!("长期未跟进")
        )
    );
    let everywhere = "inbox wechat_cloud wechat_subscribe";
    assert_eq!(
        database.news().await,
        [
            format!("customer.assigned li: {everywhere}"),
            format!("customer.reclaimed li: {everywhere}"),
            format!("customer.transferred_away zhou: {everywhere}"),
        ]
    );
    assert_eq!(
        office.inbox(&office.li).await[1],
        "您的客户 王女士 已被回收到公海，原因：长期未跟进"
    );
}

async fn who_releases_their_own_is_told_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let answer = office.release(&office.li, &lead, "暂无意向").await;
    assert_eq!(answer.said(), (200, "客户释放成功"));
    assert_eq!(database.news().await, [""; 0]);
    assert_eq!(office.history(&lead).await.len(), 1);
}

async fn the_mini_program_releases_too(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/miniprogram/{lead}/release-to-pool");
    let body = json!({ "reason": "暂无意向" });
    let answer = office.api.post(&office.li, &path, &body).await;
    assert_eq!(answer.said(), (200, "客户释放成功"));
    assert_eq!(office.customer(&lead).await["inPublicPool"], true);
}

async fn a_release_needs_a_reason(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    let paths = [
        format!("/api/customers/{lead}/release-to-pool"),
        format!("/api/customers/miniprogram/{lead}/release-to-pool"),
        "/api/customers/batch-release-to-pool".to_owned(),
    ];
    for path in paths {
        for (reason, message) in [
            (Value::Null, "释放原因不能为空"),
            (json!("  "), "释放原因不能为空"),
            (json!("因".repeat(201)), "释放原因不能超过200字"),
        ] {
            let mut body = json!({ "reason": reason });
            if path.contains("batch") {
                body["customerIds"] = json!([lead]);
            }
            let refused = office.api.post(&office.li, &path, &body).await;
            assert_eq!(refused.said(), (400, message), "{path}");
            assert_eq!(refused.body["error"]["details"]["field"], "reason");
        }
    }
    database.assert_unchanged_since(&before).await;
}

async fn what_is_frozen_or_in_the_pool_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let frozen = database.lead("王女士", "13800138001", &office.li).await;
    database
        .connection()
        .batch_execute("UPDATE customers SET frozen = TRUE")
        .unwrap();
    let pooled = database.pooled_lead("赵先生", "13800138002").await;
    let before = database.contents().await;
    for (id, by, said) in [
        (
            frozen.as_str(),
            &office.li,
            (409, "该线索已被冻结，无法释放到公海"),
        ),
        (
            &frozen,
            &office.admin,
            (409, "该线索已被冻结，无法释放到公海"),
        ),
        (&pooled, &office.li, (409, "客户已在公海中")),
        (&pooled, &office.admin, (409, "客户已在公海中")),
        (&office.li.id, &office.admin, (404, "客户不存在")),
        ("nobody", &office.admin, (404, "客户不存在")),
    ] {
        let refused = office.release(by, id, "测试").await;
        assert_eq!(refused.said(), said, "{id}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn who_may_release_their_own_only_is_told_so(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.wang).await;
    let before = database.contents().await;
    for by in [&office.zhou, &office.li] {
        let refused = office.release(by, &lead, "测试").await;
        assert_eq!(refused.said(), (403, "没有权限释放他人的客户"));
        assert_eq!(refused.body["error"]["code"], "FORBIDDEN");
        let batch = office
            .batch_release(by, std::slice::from_ref(&lead), "测试")
            .await;
        assert_eq!(batch.said(), (200, "批量释放完成：成功 0 个，失败 1 个"));
        assert_eq!(
            batch.data()["errors"],
            json!([{ "customerId": lead, "error": "没有权限释放他人的客户" }])
        );
    }
    database.assert_unchanged_since(&before).await;
    for by in [&office.sun, &office.zhang, &office.admin] {
        office.release(by, &lead, "测试").await.data();
        office.assign(&office.sun, &lead, &office.wang).await.data();
    }
}

async fn a_release_of_another_version_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{lead}/release-to-pool");
    let release = async |version: &str| {
        let request = office.api.request(reqwest::Method::POST, &path);
        let request = request
            .bearer_auth(&office.li.token)
            .header("if-match", version)
            .json(&json!({ "reason": "测试" }));
        TestApi::send(request).await
    };
    assert_eq!(
        release("2").await.said(),
        (409, "客户已被他人修改，请刷新后重试")
    );
    assert_eq!(release("1").await.said(), (200, "客户释放成功"));
}

async fn a_batch_tells_each_owner_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let mut leads = database.leads(3, &office.li).await;
    leads.push(database.lead("王女士", "13800138001", &office.wang).await);
    leads.push(database.lead("赵先生", "13800138002", &office.zhang).await);
    // Named twice, it counts once.
    leads.push(leads[0].clone());
    let answer = office.batch_release(&office.zhang, &leads, "清理").await;
    assert_eq!(answer.said(), (200, "批量释放完成：成功 5 个，失败 0 个"));
    assert_eq!(
        answer.data(),
        json!({ "success": 5, "failed": 0, "errors": [] })
    );
    let everywhere = "inbox wechat_cloud wechat_subscribe";
    assert_eq!(
        database.news().await,
        [
            format!("customer.reclaimed li: {everywhere}"),
            format!("customer.reclaimed wang: {everywhere}"),
        ]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["您的客户 客户0等3个客户 已被回收到公海，原因：清理"]
    );
    assert_eq!(
        office.inbox(&office.wang).await,
        ["您的客户 王女士 已被回收到公海，原因：清理"]
    );
}

async fn a_batch_refuses_one_by_one(database: &TestDatabase) {
    let office = Office::open(database).await;
    let own = database.lead("王女士", "13800138001", &office.li).await;
    let pooled = database.pooled_lead("赵先生", "13800138002").await;
    let batch = [pooled.clone(), "nobody".to_owned(), own];
    let answer = office.batch_release(&office.li, &batch, "清理").await;
    assert_eq!(answer.said(), (200, "批量释放完成：成功 1 个，失败 2 个"));
    assert_eq!(
        answer.data()["errors"],
        json!([
            { "customerId": "nobody", "error": "客户不存在" },
            { "customerId": pooled, "error": "客户已在公海中" },
        ])
    );
    let too_many: Vec<String> = (0..1_001).map(|n| format!("nobody-{n}")).collect();
    for batch in [&too_many[..0], &too_many[..]] {
        let refused = office.batch_release(&office.li, batch, "清理").await;
        assert_eq!(refused.said(), (400, "客户数量必须在1到1000之间"));
    }
    let thousand = office
        .batch_release(&office.li, &too_many[1..], "清理")
        .await;
    assert_eq!(
        thousand.said(),
        (200, "批量释放完成：成功 0 个，失败 1000 个")
    );
}

async fn a_thousand_go_into_the_pool_and_out_of_it_at_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(1_000, &office.li).await;
    let released = office.batch_release(&office.zhang, &leads, "清理").await;
    assert_eq!(
        released.said(),
        (200, "批量释放完成：成功 1000 个，失败 0 个")
    );
    assert_eq!(
        database.news().await,
        ["customer.reclaimed li: inbox wechat_cloud wechat_subscribe"]
    );
    let assigned = office
        .assign_from_pool(&office.zhang, &leads, &office.wang)
        .await;
    assert_eq!(assigned.said(), (200, "分配完成：成功 1000 个，失败 0 个"));
    let path = "/api/customers/public-pool/statistics";
    let statistics = office.api.get(&office.li, path).await.data();
    assert_eq!(
        (
            &statistics["total"],
            &statistics["todayEntered"],
            &statistics["todayClaimed"]
        ),
        (&json!(0), &json!(1_000), &json!(1_000))
    );
}

async fn a_release_that_cannot_be_told_is_not_made(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    crate::harness::refuse_inserts(database, "outbox_messages");
    let before = database.contents().await;
    let answer = office.release(&office.zhang, &lead, "测试").await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    database.assert_unchanged_since(&before).await;
}
