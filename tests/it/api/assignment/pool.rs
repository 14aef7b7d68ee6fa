use std::slice;

use serde_json::{Value, json};

use super::in_shanghai;
use crate::api::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    leaving_the_pool_clears_the_lost_level_and_counts_the_claim,
    leaving_the_pool_keeps_a_level_that_is_not_lost,
    every_entrance_takes_a_customer_out_of_the_pool,
    a_customer_that_is_not_in_the_pool_is_refused,
    pool_customers_are_told_in_one_message,
    notification_data_says_that_it_came_from_the_pool,
    the_reason_has_two_names_and_the_short_one_comes_first,
);

async fn leaving_the_pool_clears_the_lost_level_and_counts_the_claim(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.pooled_lead("王女士", "13800138999").await;
    let before = office.customer(&lead).await;
    assert_eq!(
        (&before["leadLevel"], &before["inPublicPool"]),
        (&json!("流失"), &json!(true))
    );
    let answer = office
        .assign_from_pool(&office.zhang, slice::from_ref(&lead), &office.wang)
        .await;
    assert_eq!(answer.said(), (200, "分配完成：成功 1 个，失败 0 个"));

    let after = office.customer(&lead).await;
    let now = after["assignedAt"].clone();
    let mut expected = before;
    for (field, value) in [
        ("assignedTo", json!(office.wang.id)),
        ("assignedToName", json!("王五")),
        ("assignedBy", json!(office.zhang.id)),
        ("assignedByName", json!("张经理")),
        ("assignedAt", now.clone()),
        ("lastActivityAt", now.clone()),
        ("updatedAt", now),
        ("leadLevel", Value::Null),
        ("claimCount", json!(1)),
        ("inPublicPool", json!(false)),
        ("publicPoolEntryTime", Value::Null),
        ("publicPoolReason", Value::Null),
        ("version", json!(2)),
    ] {
        expected[field] = value;
    }
    assert_eq!(after, expected);

    // Nobody lost it: it was nobody's.
    assert_eq!(
        database.news().await,
        ["customer.assigned_from_pool wang: inbox wechat_cloud wechat_subscribe"]
    );
    assert_eq!(
        office.inbox(&office.wang).await,
        ["管理员从公海分配了客户 王女士 给您，请及时跟进"]
    );
    let history = office.history(&lead).await;
    assert_eq!(
        (&history[0]["entrance"], &history[0]["fromUserId"]),
        (&json!("pool"), &Value::Null)
    );
}

async fn leaving_the_pool_keeps_a_level_that_is_not_lost(database: &TestDatabase) {
    use diesel::connection::SimpleConnection;

    let office = Office::open(database).await;
    let lead = database.pooled_lead("王女士", "13800138999").await;
    let keep = "UPDATE customers SET lead_level = 'B类', claim_count = 4";
    database.connection().batch_execute(keep).unwrap();
    office
        .assign_from_pool(&office.zhang, slice::from_ref(&lead), &office.wang)
        .await
        .data();
    let customer = office.customer(&lead).await;
    assert_eq!(
        (&customer["leadLevel"], &customer["claimCount"]),
        (&json!("B类"), &json!(5))
    );

    // Lost is cleared on the way out of the pool, not by every assignment.
    database
        .connection()
        .batch_execute("UPDATE customers SET lead_level = '流失'")
        .unwrap();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let customer = office.customer(&lead).await;
    assert_eq!(
        (&customer["leadLevel"], &customer["claimCount"]),
        (&json!("流失"), &json!(5))
    );
}

async fn every_entrance_takes_a_customer_out_of_the_pool(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(3).await;
    let body = json!({ "assignedTo": office.wang.id });
    for path in [
        format!("/api/customers/{}/assign", leads[0]),
        format!("/api/customers/miniprogram/{}/assign", leads[1]),
    ] {
        office.api.patch(&office.sun, &path, &body).await.data();
    }
    office
        .batch(&office.sun, &leads[2..], &office.wang)
        .await
        .data();
    for lead in &leads {
        let customer = office.customer(lead).await;
        assert_eq!(customer["assignedTo"], json!(office.wang.id));
        assert_eq!(
            (
                &customer["inPublicPool"],
                &customer["leadLevel"],
                &customer["claimCount"]
            ),
            (&json!(false), &Value::Null, &json!(1))
        );
    }
}

async fn a_customer_that_is_not_in_the_pool_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let owned = database.lead("王女士", "13800138001", &office.li).await;
    // Also of somebody whose it is already: the pool gives only what is in the pool.
    let theirs = database.lead("赵先生", "13800138002", &office.wang).await;
    let batch = [owned.clone(), "nobody".to_owned(), theirs.clone()];
    let before = database.contents().await;
    let answer = office
        .assign_from_pool(&office.zhang, &batch, &office.wang)
        .await;
    assert_eq!(answer.said(), (200, "分配完成：成功 0 个，失败 3 个"));
    assert_eq!(
        answer.data(),
        json!({
            "success": 0,
            "failed": 3,
            "unchanged": 0,
            "errors": [
                { "customerId": "nobody", "error": "客户不存在" },
                { "customerId": owned, "error": "客户不在公海中" },
                { "customerId": theirs, "error": "客户不在公海中" },
            ],
            "notificationData": null,
        })
    );
    database.assert_unchanged_since(&before).await;
}

async fn pool_customers_are_told_in_one_message(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(12).await;
    let answer = office
        .assign_from_pool(&office.zhang, &leads, &office.wang)
        .await;
    assert_eq!(answer.said(), (200, "分配完成：成功 12 个，失败 0 个"));
    assert_eq!(
        database.news().await,
        ["customer.batch_assigned wang: inbox wechat_cloud wechat_subscribe"]
    );
    for message in database.messages().await {
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        assert_eq!(payload["customerName"], "12个客户");
        assert_eq!(payload["source"], "从公海分配");
    }
}

async fn notification_data_says_that_it_came_from_the_pool(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(2).await;
    let data = office
        .assign_from_pool(&office.zhang, &leads, &office.wang)
        .await
        .data();
    let customer = office.customer(&leads[0]).await;
    assert_eq!(
        data["notificationData"],
        json!({
            "assignedToId": office.wang.id,
            "source": "从公海分配",
            "assignerName": "张经理",
            "assignTime": in_shanghai(&customer["assignedAt"]),
            "customerCount": 2,
            "customerIds": leads,
            "fromPublicPool": true,
        })
    );
}

async fn the_reason_has_two_names_and_the_short_one_comes_first(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.pooled_leads(3).await;
    let assign = async |lead: &str, reasons: Value, to: &Session| {
        let mut body = json!({ "customerIds": [lead], "assignedTo": to.id });
        body.as_object_mut()
            .unwrap()
            .extend(reasons.as_object().unwrap().clone());
        office
            .api
            .post(&office.zhang, "/api/customers/public-pool/assign", &body)
            .await
    };
    for (lead, reasons, reason) in [
        (&leads[0], json!({ "reason": "短" }), "短"),
        (&leads[1], json!({ "assignmentReason": "长" }), "长"),
        (
            &leads[2],
            json!({ "reason": "短", "assignmentReason": "长" }),
            "短",
        ),
    ] {
        let data = assign(lead, reasons, &office.wang).await.data();
        assert_eq!(data["notificationData"]["source"], reason);
        assert_eq!(office.customer(lead).await["assignmentReason"], reason);
    }
    let refused = assign(
        &leads[0],
        json!({ "reason": "因".repeat(201) }),
        &office.wang,
    )
    .await;
    assert_eq!(refused.said(), (400, "分配原因不能超过200字"));
}
