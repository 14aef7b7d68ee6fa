//! Freezing a customer, and letting it go again.

use serde_json::{Value, json};
use shared::outbox::Status;

use super::Office;
use crate::harness::{Answer, TestDatabase, on_each_database};

on_each_database!(
    a_frozen_customer_says_who_froze_it_and_why_until_it_is_let_go,
    what_waits_to_say_that_it_is_theirs_is_cancelled,
    a_frozen_one_is_not_frozen_again_nor_a_free_one_let_go,
    a_reason_must_be_given_and_be_short,
);

async fn freeze(office: &Office<'_>, id: &str, body: Value) -> Answer {
    let path = format!("/api/customers/{id}/freeze");
    office.api.patch(&office.admin, &path, &body).await
}

async fn unfreeze(office: &Office<'_>, id: &str) -> Answer {
    let path = format!("/api/customers/{id}/unfreeze");
    office.api.patch(&office.admin, &path, &json!({})).await
}

async fn a_frozen_customer_says_who_froze_it_and_why_until_it_is_let_go(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = office.customer(&id).await;
    let answer = freeze(&office, &id, json!({ "reason": " 投诉处理中 " })).await;
    assert_eq!(answer.said(), (200, "线索冻结成功"));
    let frozen = answer.data();
    let mut expected = before.clone();
    expected["frozen"] = json!(true);
    expected["frozenBy"] = json!(office.admin.id);
    expected["frozenByName"] = json!("系统管理员");
    expected["frozenReason"] = json!("投诉处理中");
    expected["version"] = json!(2);
    for moment in ["frozenAt", "updatedAt"] {
        assert!(frozen[moment].is_string());
        expected[moment] = frozen[moment].clone();
    }
    assert_eq!(frozen, expected);

    let answer = unfreeze(&office, &id).await;
    assert_eq!(answer.said(), (200, "线索解冻成功"));
    let free = answer.data();
    let mut expected = before;
    expected["version"] = json!(3);
    expected["updatedAt"] = free["updatedAt"].clone();
    assert_eq!(free, expected);
    assert_eq!(database.news().await, [""; 0], "nobody is told");
}

async fn what_waits_to_say_that_it_is_theirs_is_cancelled(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    office.assign(&office.zhang, &id, &office.wang).await.data();
    freeze(&office, &id, json!({ "reason": "投诉" }))
        .await
        .data();
    let mut stand: Vec<String> = database
        .messages()
        .await
        .into_iter()
        .map(|message| {
            let why = message.last_error.unwrap_or_default();
            format!("{} {} {why}", message.kind, message.status)
        })
        .collect();
    stand.sort();
    let cancelled = "customer.assigned cancelled superseded: the customer was frozen";
    let waiting = "customer.transferred_away pending ";
    assert_eq!(stand, [cancelled, cancelled, waiting, waiting]);

    unfreeze(&office, &id).await.data();
    let messages = database.messages().await.into_iter();
    let pending = messages.filter(|message| message.status == Status::Pending);
    assert_eq!(pending.count(), 2, "what was cancelled stays so");
}

async fn a_frozen_one_is_not_frozen_again_nor_a_free_one_let_go(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    let free = unfreeze(&office, &id).await;
    assert_eq!(free.said(), (409, "该线索未被冻结"));
    database.assert_unchanged_since(&before).await;
    freeze(&office, &id, json!({ "reason": "投诉" }))
        .await
        .data();
    let before = database.contents().await;
    let again = freeze(&office, &id, json!({ "reason": "再次" })).await;
    assert_eq!(again.said(), (409, "该线索已被冻结，无需重复冻结"));
    database.assert_unchanged_since(&before).await;
}

async fn a_reason_must_be_given_and_be_short(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for (body, message) in [
        (json!({}), "冻结原因不能为空"),
        (json!({ "reason": null }), "冻结原因不能为空"),
        (
            json!({ "reason": " \n" }),
            "字段 reason 包含不允许的控制字符",
        ),
        (json!({ "reason": "  " }), "冻结原因不能为空"),
        (
            json!({ "reason": "因".repeat(201) }),
            "冻结原因不能超过200字",
        ),
        (json!({ "reason": "因", "until": 1 }), "不支持的字段：until"),
    ] {
        let answer = freeze(&office, &id, body).await;
        assert_eq!(answer.said(), (400, message));
    }
    let path = "/api/customers/nobody/unfreeze";
    let nobody = office.api.patch(&office.admin, path, &json!({})).await;
    assert_eq!(nobody.said(), (404, "客户不存在"));
    let nobody = freeze(&office, "nobody", json!({ "reason": "因" })).await;
    assert_eq!(nobody.said(), (404, "客户不存在"));
    database.assert_unchanged_since(&before).await;
    let longest = json!({ "reason": "因".repeat(200) });
    freeze(&office, &id, longest).await.data();
}
