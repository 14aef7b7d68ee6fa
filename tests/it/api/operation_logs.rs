//! Who did what with a customer.

use serde_json::{Value, json};

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    everything_done_with_a_customer_is_told_newest_first_without_whole_numbers,
    what_nobody_has_done_anything_with_is_empty_and_what_never_was_is_missing,
);

async fn everything_done_with_a_customer_is_told_newest_first_without_whole_numbers(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let id = office
        .api
        .customer(&office.li, "王女士", "13800138999")
        .await;
    let path = format!("/api/customers/{id}");
    let change = json!({
        "phone": "13900139000", "remarks": "原号13800138999", "leadLevel": "A类", "name": "王女士",
    });
    office.api.patch(&office.zhou, &path, &change).await.data();
    let said = json!({ "content": "机密", "kind": "微信" });
    office
        .api
        .post(&office.li, &format!("{path}/follow-ups"), &said)
        .await
        .data();
    let why = json!({ "reason": "投诉" });
    office
        .api
        .patch(&office.admin, &format!("{path}/freeze"), &why)
        .await
        .data();
    office
        .api
        .patch(&office.admin, &format!("{path}/unfreeze"), &json!({}))
        .await
        .data();

    let logs = format!("{path}/operation-logs");
    let page = office.api.get(&office.admin, &logs).await.data();
    let items = page["items"].as_array().unwrap();
    let told: Vec<String> = items
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            format!("{} {} {}", text("action"), text("actor"), text("actorName"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "customer.unfreeze admin 系统管理员",
            "customer.freeze admin 系统管理员",
            "customer.follow_up li 李四",
            "customer.update zhou 周派单",
            "customer.assign li 李四",
            "customer.create li 李四",
        ]
    );
    assert_eq!(
        items[3]["detail"],
        json!({ "changed": {
            "phone": { "from": "138****8999", "to": "139****9000" },
            "remarks": { "from": null, "to": "原号138****8999" },
            "leadLevel": { "from": null, "to": "A类" },
        } })
    );
    assert!(items.iter().all(|line| line["requestId"].is_string()));
    let text = page.to_string();
    for secret in ["13800138999", "13900139000", "机密"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }

    let second = format!("{logs}?pageSize=4&page=2");
    let rest = office.api.get(&office.admin, &second).await.data();
    assert_eq!(rest["items"], json!(items[4..]));
    assert_eq!(
        (&rest["total"], &rest["totalPages"]),
        (&json!(6), &json!(2))
    );
}

async fn what_nobody_has_done_anything_with_is_empty_and_what_never_was_is_missing(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{id}/operation-logs");
    let page = office.api.get(&office.admin, &path).await.data();
    assert_eq!((&page["total"], &page["items"]), (&json!(0), &json!([])));
    for nobody in ["nobody", "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff"] {
        let path = format!("/api/customers/{nobody}/operation-logs");
        let answer = office.api.get(&office.admin, &path).await;
        assert_eq!(answer.said(), (404, "客户不存在"));
        assert_eq!(answer.body["data"], Value::Null);
    }
}
