use serde_json::{Value, json};

use super::in_shanghai;
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_batch_tells_the_new_owner_once_and_each_previous_owner_once,
    a_batch_of_one_is_told_like_a_single_assignment,
    each_customer_of_a_batch_has_its_own_outcome,
    repeated_customers_of_a_batch_count_once,
    a_batch_that_changes_nothing_writes_nothing,
    notification_data_of_a_batch_names_only_what_changed_hands,
    a_thousand_customers_are_one_message_per_person_and_channel,
);

async fn a_batch_tells_the_new_owner_once_and_each_previous_owner_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let batch = [
        database.lead("王女士", "13800138001", &office.li).await,
        database.lead("赵先生", "13800138002", &office.li).await,
        database.lead("钱女士", "13800138003", &office.zhou).await,
        database.lead("孙先生", "13800138004", &office.sun).await,
    ];
    let answer = office.batch(&office.sun, &batch, &office.wang).await;
    assert_eq!(answer.said(), (200, "批量分配完成：成功 4 个，失败 0 个"));
    assert_eq!(
        database.news().await,
        [
            "customer.batch_assigned wang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away zhou: inbox wechat_cloud wechat_subscribe",
        ]
    );
    assert_eq!(
        office.inbox(&office.wang).await,
        ["孙运营 分配了 4 个客户给您，请及时跟进！"]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["客户 王女士等2个客户 已由 孙运营 转移给 王五"]
    );
    assert_eq!(
        office.inbox(&office.zhou).await,
        ["客户 钱女士 已由 孙运营 转移给 王五"]
    );

    for message in database.messages().await {
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        let (name, count, source) = match message.recipient_id.as_str() {
            id if id == office.wang.id => ("4个客户", json!(4), "批量分配"),
            id if id == office.li.id => ("王女士等2个客户", json!(2), "已转移给王五"),
            _ => ("钱女士", Value::Null, "已转移给王五"),
        };
        assert_eq!(
            (&payload["customerName"], &payload["count"]),
            (&json!(name), &count)
        );
        assert_eq!(payload["source"], source);
    }
}

async fn a_batch_of_one_is_told_like_a_single_assignment(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .batch(&office.zhang, &[lead], &office.wang)
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned wang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
        ]
    );
}

async fn each_customer_of_a_batch_has_its_own_outcome(database: &TestDatabase) {
    let office = Office::open(database).await;
    let unknown = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff".to_owned();
    let batch = [
        database.lead("王女士", "13800138001", &office.li).await,
        "nobody".to_owned(),
        database.lead("赵先生", "13800138002", &office.wang).await,
        unknown.clone(),
        database.pooled_lead("钱女士", "13800138003").await,
    ];
    let untouched = office.customer(&batch[2]).await;
    let answer = office.batch(&office.zhang, &batch, &office.wang).await;
    assert_eq!(answer.said(), (200, "批量分配完成：成功 2 个，失败 2 个"));
    let mut data = answer.data();
    assert_eq!(
        data["notificationData"].take()["customerIds"],
        json!([batch[0], batch[4]])
    );
    assert_eq!(
        data,
        json!({
            "success": 2,
            "failed": 2,
            "unchanged": 1,
            "errors": [
                { "customerId": "nobody", "error": "客户不存在" },
                { "customerId": unknown, "error": "客户不存在" },
            ],
            "notificationData": null,
        })
    );
    assert_eq!(office.customer(&batch[2]).await, untouched);
    for id in [&batch[0], &batch[4]] {
        let customer = office.customer(id).await;
        assert_eq!(customer["assignedTo"], json!(office.wang.id));
        assert_eq!(customer["inPublicPool"], json!(false));
        let history = office.history(id).await;
        assert_eq!(history.len(), 1);
        assert_eq!(history[0]["entrance"], "batch");
    }
    assert_eq!(
        database.news().await,
        [
            "customer.batch_assigned wang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
        ]
    );
}

async fn repeated_customers_of_a_batch_count_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let nobody = "nobody".to_owned();
    let batch = [
        lead.clone(),
        nobody.clone(),
        lead.to_uppercase(),
        lead.clone(),
        nobody,
    ];
    let answer = office.batch(&office.zhang, &batch, &office.wang).await;
    assert_eq!(answer.said(), (200, "批量分配完成：成功 1 个，失败 1 个"));
    assert_eq!(office.history(&lead).await.len(), 1);
    assert_eq!(office.customer(&lead).await["version"], 2);
}

async fn a_batch_that_changes_nothing_writes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let mut batch = database.leads(3, &office.wang).await;
    batch.push("nobody".to_owned());
    let before = database.contents().await;
    let answer = office.batch(&office.zhang, &batch, &office.wang).await;
    assert_eq!(answer.said(), (200, "批量分配完成：成功 0 个，失败 1 个"));
    let data = answer.data();
    assert_eq!(
        (&data["unchanged"], &data["notificationData"]),
        (&json!(3), &Value::Null)
    );
    database.assert_unchanged_since(&before).await;
}

async fn notification_data_of_a_batch_names_only_what_changed_hands(database: &TestDatabase) {
    let office = Office::open(database).await;
    let batch = [
        database.lead("王女士", "13800138001", &office.li).await,
        database.lead("赵先生", "13800138002", &office.wang).await,
        "nobody".to_owned(),
    ];
    let data = office
        .batch(&office.zhang, &batch, &office.wang)
        .await
        .data();
    let customer = office.customer(&batch[0]).await;
    assert_eq!(
        data["notificationData"],
        json!({
            "assignedToId": office.wang.id,
            "source": "批量分配",
            "assignerName": "张经理",
            "assignTime": in_shanghai(&customer["assignedAt"]),
            "customerCount": 1,
            "customerIds": [batch[0]],
        })
    );
}

async fn a_thousand_customers_are_one_message_per_person_and_channel(database: &TestDatabase) {
    let office = Office::open(database).await;
    let batch = database.leads(1_000, &office.li).await;
    let answer = office.batch(&office.zhang, &batch, &office.wang).await;
    assert_eq!(
        answer.said(),
        (200, "批量分配完成：成功 1000 个，失败 0 个")
    );
    assert_eq!(
        answer.data()["notificationData"]["customerIds"],
        json!(batch)
    );
    assert_eq!(
        database.news().await,
        [
            "customer.batch_assigned wang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
        ]
    );
    assert_eq!(
        office.inbox(&office.wang).await,
        ["张经理 分配了 1000 个客户给您，请及时跟进！"]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["客户 客户0等1000个客户 已由 张经理 转移给 王五"]
    );
    let path = format!("/api/customers?assignedTo={}&pageSize=1", office.wang.id);
    let page = office.api.get(&office.admin, &path).await.data();
    assert_eq!(page["total"], 1_000);
    // One transaction, one moment.
    let first = office.customer(&batch[0]).await;
    let last = office.customer(&batch[999]).await;
    assert_eq!(first["assignedAt"], last["assignedAt"]);
    assert_eq!(office.history(&batch[999]).await.len(), 1);
}
