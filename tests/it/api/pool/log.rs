use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    the_log_tells_who_put_it_in_and_took_it_out_why_and_when,
    the_log_is_for_whoever_sees_the_customer,
);

async fn the_log_tells_who_put_it_in_and_took_it_out_why_and_when(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = office
        .api
        .customer(&office.li, "王女士", "13800138999")
        .await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    office
        .release(&office.zhang, &lead, "长期未跟进")
        .await
        .data();
    office
        .claim(&office.zhou, std::slice::from_ref(&lead))
        .await
        .data();
    office.release(&office.zhou, &lead, "暂无意向").await.data();
    office.assign(&office.sun, &lead, &office.li).await.data();

    let path = format!("/api/customers/{lead}/public-pool-logs");
    let page = office.api.get(&office.admin, &path).await.data();
    assert_eq!(page["total"], 4);
    let told: Vec<Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert!(item["createdAt"].is_string() && item["id"].is_string());
            json!([
                item["action"],
                item["entrance"],
                item["operatorName"],
                item["previousOwnerName"],
                item["newOwnerName"],
                item["reason"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["left", "single", "孙运营", null, "李四", null]),
            json!(["entered", "release", "周派单", "周派单", null, "暂无意向"]),
            json!(["left", "claim", "周派单", null, "周派单", null]),
            json!(["entered", "release", "张经理", "王五", null, "长期未跟进"]),
        ]
    );
    let second = office
        .api
        .get(&office.admin, &format!("{path}?page=2&pageSize=3"))
        .await
        .data();
    assert_eq!(second["items"], json!([page["items"][3]]));
}

async fn the_log_is_for_whoever_sees_the_customer(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{lead}/public-pool-logs");
    let hidden = office.api.get(&office.wang, &path).await;
    assert_eq!(hidden.said(), (404, "客户不存在"));
    office.release(&office.li, &lead, "暂无意向").await.data();
    let page = office.api.get(&office.wang, &path).await.data();
    assert_eq!(page["total"], 1);
    let unknown = format!("/api/customers/{}/public-pool-logs", office.li.id);
    let unknown = office.api.get(&office.admin, &unknown).await;
    assert_eq!(unknown.said(), (404, "客户不存在"));
}
