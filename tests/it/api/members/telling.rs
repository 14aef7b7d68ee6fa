use serde_json::{Value, json};

use super::{CREATE, MEMBERS, Office, anna, create, office, payload, withdraw};
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    the_request_is_kept_on_what_it_caused,
    nobody_is_forgotten_where_the_triggers_are_missing,
);

async fn the_request_is_kept_on_what_it_caused(database: &TestDatabase) {
    let office = office(database).await;
    let request = office
        .api
        .request(reqwest::Method::POST, CREATE)
        .bearer_auth(&office.admin.token)
        .header("x-request-id", "request-of-a-test")
        .json(&anna());
    TestApi::send(request).await.data();
    let request_ids = async || -> Vec<Option<String>> {
        let messages = database.messages().await;
        messages
            .iter()
            .map(|message| message.request_id.as_ref().map(ToString::to_string))
            .collect()
    };
    assert_eq!(request_ids().await, [Some("request-of-a-test".to_owned())]);
    withdraw(database).await;
    database.shell("UPDATE members SET city = '杭州'");
    assert_eq!(request_ids().await[1], None, "no request caused this");
}

/// The same acts with and without triggers leave the same messages.
async fn nobody_is_forgotten_where_the_triggers_are_missing(database: &TestDatabase) {
    let office = office(database).await;
    let mut left = Vec::new();
    for number in ["A", "B"] {
        database.shell("DELETE FROM outbox_messages");
        acts(&office, number).await;
        let mut messages = Vec::new();
        for message in database.messages().await {
            let mut said = payload(&message);
            said.as_object_mut().unwrap().remove("memberId");
            assert!(
                said["time"]
                    .as_str()
                    .unwrap()
                    .ends_with(|c: char| c.is_ascii_digit())
            );
            said.as_object_mut().unwrap().remove("time");
            assert!(message.request_id.is_some(), "{message:?}");
            assert_eq!(message.due_at, message.created_at);
            messages.push((
                (
                    message.kind,
                    message.channel,
                    message.recipient_id.to_string(),
                ),
                (message.status, message.priority, message.attempts_max),
                said.to_string().replace(&format!("\"{number}\""), "\"\""),
            ));
        }
        // Ids of one millisecond are in no order.
        messages.sort();
        left.push(messages);
        for trigger in ["members_inserted", "members_updated"] {
            let on_table = if database.url().is_embedded() {
                ""
            } else {
                " ON members"
            };
            if number == "A" {
                database.shell(&format!("DROP TRIGGER {trigger}{on_table}"));
            }
        }
    }
    assert!(left[0].len() >= 8, "{:?}", left[0]);
    assert_eq!(left[0], left[1]);
}

async fn acts(office: &Office<'_>, number: &str) {
    let database = office.database;
    // In the part that is masked.
    let digit = u32::from(number == "B");
    let change = async |id: &str, body: Value| {
        office
            .api
            .patch(&office.admin, &format!("{MEMBERS}/{id}"), &body)
            .await
            .data();
    };
    let body = json!({
        "member_no": number, "wechat": format!("wx-{number}"), "phone": format!("138{digit}0138000"),
        "gender": "male", "height": 180, "education": "phd", "province": "浙江", "city": "杭州",
    });
    let id = create(&office.api, &office.admin, &body).await.data()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The registration waits still.
    change(&id, json!({ "nickname": "小满 \"😀\"" })).await;
    withdraw(database).await;
    for body in [
        json!({ "nickname": null }),
        json!({ "gender": "female", "birth_year": 1990, "height": 170, "weight": 60 }),
        json!({ "province": "上海", "city": "上海", "district": "徐汇区" }),
    ] {
        change(&id, body).await;
    }
    withdraw(database).await;
    for body in [
        json!({ "education": "master", "occupation": "it", "income": "30万" }),
        json!({ "marital_status": "single", "self_introduction": "长".repeat(2_000) }),
        json!({ "partner_requirements": "x", "phone": format!("139{digit}0139000"), "wechat": format!("{number}-wx") }),
    ] {
        change(&id, body).await;
        withdraw(database).await;
    }
    for status in ["INACTIVE", "ACTIVE"] {
        change(&id, json!({ "status": status })).await;
    }
    // Comes back a second time before the first was told.
    office
        .api
        .post(&office.admin, &format!("{MEMBERS}/{id}/revoke"), &json!({}))
        .await
        .data();
    change(&id, json!({ "city": "苏州" })).await;
    change(&id, json!({ "status": "ACTIVE", "city": "无锡" })).await;
    withdraw(database).await;
    // On one more channel from here on.
    office
        .api
        .put(
            &office.admin,
            "/api/notification-routes/member.updated/wecom_robot",
            &json!({ "enabled": true, "recipients": "红娘群" }),
        )
        .await
        .data();
    change(&id, json!({ "city": "南京" })).await;
    office
        .api
        .put(
            &office.admin,
            "/api/notification-routes/member.updated/wecom_robot",
            &json!({ "enabled": false }),
        )
        .await
        .data();
    change(&id, json!({ "district": null })).await;
}
