use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use shared::db::schema::operation_logs;

use super::in_shanghai;
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    an_assignment_changes_the_customer_and_answers_with_it,
    notification_data_says_what_old_clients_need,
    every_assignment_is_in_the_history_and_in_the_operation_log,
    both_entrances_say_the_same_and_are_told_apart_in_the_history,
    a_reason_is_the_source_and_stays_on_the_customer,
    the_new_and_the_previous_owner_are_told_and_nobody_else,
    an_actor_who_gives_their_own_customer_away_is_not_told_of_it,
    an_actor_who_takes_a_customer_is_told_like_any_owner,
    an_unchanged_owner_writes_nothing_and_tells_nobody,
    the_matching_version_lets_an_assignment_through,
    another_version_is_a_conflict_and_writes_nothing,
);

async fn an_assignment_changes_the_customer_and_answers_with_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let before = office.customer(&lead).await;
    let answer = office.assign(&office.zhang, &lead, &office.wang).await;
    assert_eq!(answer.said(), (200, "客户分配成功"));
    let mut answered = answer.data();
    answered
        .as_object_mut()
        .unwrap()
        .remove("notificationData")
        .unwrap();
    assert_eq!(answered, office.customer(&lead).await);

    let now = &answered["assignedAt"];
    assert!(now.as_str() > before["updatedAt"].as_str(), "{now}");
    let mut expected = before;
    for (field, value) in [
        ("assignedTo", json!(office.wang.id)),
        ("assignedToName", json!("王五")),
        ("assignedBy", json!(office.zhang.id)),
        ("assignedByName", json!("张经理")),
        ("assignedAt", now.clone()),
        ("lastActivityAt", now.clone()),
        ("updatedAt", now.clone()),
        ("version", json!(2)),
    ] {
        expected[field] = value;
    }
    assert_eq!(answered, expected);
}

async fn notification_data_says_what_old_clients_need(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let answer = office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    assert_eq!(
        answer["notificationData"],
        json!({
            "assignedToId": office.wang.id,
            "customerName": "王女士",
            "customerPhone": "138****8999",
            "source": "手动分配",
            "assignerName": "张经理",
            "customerId": lead,
            "assignTime": in_shanghai(&answer["assignedAt"]),
            "serviceCategory": "月嫂",
            "leadSource": "美团",
        })
    );
}

async fn every_assignment_is_in_the_history_and_in_the_operation_log(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let body = json!({ "assignedTo": office.wang.id, "assignmentReason": "就近" });
    let request = office
        .api
        .request(Method::PATCH, &format!("/api/customers/{lead}/assign"));
    let request = request.bearer_auth(&office.zhang.token).json(&body);
    TestApi::send(request.header("x-request-id", "request-7"))
        .await
        .data();

    let history = office.history(&lead).await;
    let customer = office.customer(&lead).await;
    assert_eq!(
        history,
        [json!({
            "id": history[0]["id"],
            "fromUserId": office.li.id,
            "fromUserName": "李四",
            "toUserId": office.wang.id,
            "toUserName": "王五",
            "assignedBy": office.zhang.id,
            "assignedByName": "张经理",
            "entrance": "single",
            "reason": "就近",
            "requestId": "request-7",
            "createdAt": customer["assignedAt"],
        })]
    );

    type Logged = (
        Option<String>,
        String,
        String,
        String,
        String,
        Option<String>,
    );
    let logged: Vec<Logged> = database
        .read(|connection| {
            Ok(operation_logs::table
                .select((
                    operation_logs::actor_id,
                    operation_logs::action,
                    operation_logs::entity,
                    operation_logs::entity_id,
                    operation_logs::detail,
                    operation_logs::request_id,
                ))
                .load(connection)?)
        })
        .await;
    let [(actor, action, entity, entity_id, detail, request_id)] = logged.as_slice() else {
        panic!("{logged:?}");
    };
    assert_eq!(actor.as_ref(), Some(&office.zhang.id));
    assert_eq!(
        (action.as_str(), entity.as_str()),
        ("customer.assign", "customer")
    );
    assert_eq!(
        (entity_id, request_id.as_deref()),
        (&lead, Some("request-7"))
    );
    assert_eq!(
        serde_json::from_str::<Value>(detail).unwrap(),
        json!({
            "from": office.li.id,
            "to": office.wang.id,
            "entrance": "single",
            "fromPublicPool": false,
            "reason": "就近",
        })
    );
}

async fn both_entrances_say_the_same_and_are_told_apart_in_the_history(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    for (path, to) in [
        (format!("/api/customers/{lead}/assign"), &office.wang),
        (
            format!("/api/customers/miniprogram/{lead}/assign"),
            &office.li,
        ),
    ] {
        let answer = office
            .api
            .patch(&office.sun, &path, &json!({ "assignedTo": to.id }))
            .await;
        assert_eq!(answer.said(), (200, "客户分配成功"));
        let data = answer.data();
        assert_eq!(data["assignedTo"], json!(to.id));
        assert_eq!(data["notificationData"]["source"], "手动分配");
    }
    let history = office.history(&lead).await;
    let entrances: Vec<&Value> = history.iter().map(|change| &change["entrance"]).collect();
    assert_eq!(entrances, ["single", "miniprogram"]);
    assert_eq!(history[1]["fromUserId"], json!(office.wang.id));
}

async fn a_reason_is_the_source_and_stays_on_the_customer(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/customers/{lead}/assign");
    let body = json!({ "assignedTo": office.wang.id, "assignmentReason": "  老客户续约 " });
    let answer = office.api.patch(&office.zhang, &path, &body).await.data();
    assert_eq!(answer["assignmentReason"], "老客户续约");
    assert_eq!(answer["notificationData"]["source"], "老客户续约");
    let messages = database.messages().await;
    let to_wang = messages
        .iter()
        .filter(|m| m.recipient_id.as_str() == office.wang.id);
    let sources = to_wang.map(|message| {
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        payload["source"].clone()
    });
    assert_eq!(sources.collect::<Vec<_>>(), ["老客户续约", "老客户续约"]);
    // Blanks are no reason; that of the assignment before does not stay.
    let body = json!({ "assignedTo": office.li.id, "assignmentReason": "  " });
    let answer = office.api.patch(&office.zhang, &path, &body).await.data();
    assert_eq!(answer["assignmentReason"], Value::Null);
    assert_eq!(answer["notificationData"]["source"], "手动分配");
}

async fn the_new_and_the_previous_owner_are_told_and_nobody_else(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned wang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
        ]
    );
    assert_eq!(
        office.inbox(&office.wang).await,
        ["您有新的客户【王女士】，电话：138****8999，来源：美团，请及时跟进！"]
    );
    assert_eq!(
        office.inbox(&office.li).await,
        ["客户 王女士 已由 张经理 转移给 王五"]
    );
}

async fn an_actor_who_gives_their_own_customer_away_is_not_told_of_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.sun).await;
    office.assign(&office.sun, &lead, &office.wang).await.data();
    assert_eq!(
        database.news().await,
        ["customer.assigned wang: inbox wechat_cloud wechat_subscribe"]
    );
}

async fn an_actor_who_takes_a_customer_is_told_like_any_owner(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.zhang)
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned zhang: inbox wechat_cloud wechat_subscribe",
            "customer.transferred_away li: inbox wechat_cloud wechat_subscribe",
        ]
    );
}

async fn an_unchanged_owner_writes_nothing_and_tells_nobody(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for path in [
        format!("/api/customers/{lead}/assign"),
        format!("/api/customers/miniprogram/{lead}/assign"),
    ] {
        let body = json!({ "assignedTo": office.li.id, "assignmentReason": "再分配一次" });
        let answer = office.api.patch(&office.zhang, &path, &body).await;
        assert_eq!(answer.said(), (200, "客户分配成功"));
        let data = answer.data();
        assert_eq!(
            (&data["version"], &data["notificationData"]),
            (&json!(1), &Value::Null)
        );
    }
    database.assert_unchanged_since(&before).await;
}

async fn the_matching_version_lets_an_assignment_through(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    for (version, to) in [
        ("\"1\"", &office.wang),
        ("2", &office.li),
        ("W/\"3\"", &office.wang),
        ("*", &office.li),
    ] {
        let answer = assign_if(&office, &lead, version, &to.id).await;
        assert_eq!(answer.said(), (200, "客户分配成功"), "{version}");
        assert_eq!(answer.data()["assignedTo"], json!(to.id));
    }
}

async fn another_version_is_a_conflict_and_writes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let before = database.contents().await;
    for (version, status, message) in [
        ("1", 409, "客户已被他人修改，请刷新后重试"),
        ("\"3\"", 409, "客户已被他人修改，请刷新后重试"),
        ("abc", 400, "If-Match 必须是客户的版本号"),
        ("1, 2", 400, "If-Match 必须是客户的版本号"),
        ("", 400, "If-Match 必须是客户的版本号"),
        ("99999999999", 400, "If-Match 必须是客户的版本号"),
    ] {
        let answer = assign_if(&office, &lead, version, &office.li.id).await;
        assert_eq!(answer.said(), (status, message), "{version:?}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn assign_if(
    office: &Office<'_>,
    lead: &str,
    version: &str,
    to: &str,
) -> crate::harness::Answer {
    let request = office
        .api
        .request(Method::PATCH, &format!("/api/customers/{lead}/assign"));
    let request = request
        .bearer_auth(&office.zhang.token)
        .header("if-match", version);
    TestApi::send(request.json(&json!({ "assignedTo": to }))).await
}
