use serde_json::json;
use shared::domain::{Channel, RequestId};
use shared::outbox::Priority;

use super::{PATH, messages_of, signed, tell, with};
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    an_event_is_in_the_centre_and_in_the_outbox_at_once,
    an_announcement_goes_to_everybody_of_a_role,
    a_kind_without_a_route_is_told_in_the_centre_alone,
    how_urgent_it_is_may_be_said,
    phone_numbers_are_masked_and_names_of_things_are_not,
    what_the_centre_refuses_is_not_in_the_outbox_either,
    what_became_of_an_event_can_be_asked,
    events_are_counted,
);

async fn an_event_is_in_the_centre_and_in_the_outbox_at_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let request = office.api.request(reqwest::Method::POST, PATH);
    let request = request
        .bearer_auth(&office.admin.token)
        .header("x-request-id", "contract-42")
        .json(&body);
    let answer = TestApi::send(request).await;
    assert_eq!(answer.said(), (202, "事件已受理：通知 1 人"));
    let told = answer.data();
    assert_eq!(
        (&told["kind"], &told["duplicate"], &told["recipients"]),
        (&json!("contract.signed"), &json!(false), &json!(1))
    );
    assert_eq!(
        told["messages"],
        json!({ "wechat_subscribe": 1, "wechat_cloud": 1 })
    );
    assert_eq!(told["notServed"], json!([]));
    assert_eq!(
        office.inbox(&office.li).await,
        ["合同 HT20260102001 已签署完成，客户：王女士，阿姨：陈阿姨"]
    );
    let entries = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    assert_eq!(entries["items"][0]["link"], "/contracts/c-42");
    assert_eq!(entries["items"][0]["priority"], "high");
    let messages = messages_of(database, &told["eventId"]).await;
    assert_eq!(messages.len(), 2);
    let request: RequestId = "contract-42".parse().unwrap();
    for message in &messages {
        assert_eq!(message.kind, "contract.signed");
        assert_eq!(message.recipient_id.as_str(), office.li.id);
        assert_eq!(message.priority, Priority::High);
        assert_eq!(message.request_id.as_ref(), Some(&request));
        assert_eq!(message.due_at, message.created_at);
        assert_eq!(message.expires_at, None);
        // When it happened is filled in.
        assert!(
            message.payload.contains("\"time\":\"20"),
            "{}",
            message.payload
        );
    }
}

async fn an_announcement_goes_to_everybody_of_a_role(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({
        "kind": "system.announcement",
        "recipients": { "roles": ["employee", "manager", "employee"] },
        "data": { "content": "本周五 18:00 系统维护\n请提前保存" },
    });
    let answer = tell(&office, &office.admin, &body).await;
    assert_eq!(answer.said(), (202, "事件已受理：通知 3 人"));
    for person in [&office.zhang, &office.li, &office.wang] {
        assert_eq!(
            office.inbox(person).await,
            ["本周五 18:00 系统维护\n请提前保存"]
        );
    }
    for person in [&office.admin, &office.sun, &office.zhou] {
        assert_eq!(office.inbox(person).await, [""; 0]);
    }
}

async fn a_kind_without_a_route_is_told_in_the_centre_alone(database: &TestDatabase) {
    let office = Office::open(database).await;
    for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
        office
            .switch_off(shared::notification::Kind::ContractSigned, channel)
            .await;
    }
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let told = tell(&office, &office.admin, &body).await.data();
    assert_eq!(
        (&told["recipients"], &told["messages"]),
        (&json!(1), &json!({}))
    );
    assert_eq!(office.inbox(&office.li).await.len(), 1);
    assert!(database.messages().await.is_empty());
}

async fn how_urgent_it_is_may_be_said(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (word, priority) in [("low", Priority::Low), ("high", Priority::High)] {
        let body = with(
            signed(&json!({ "userIds": [office.li.id] })),
            "priority",
            json!(word),
        );
        let told = tell(&office, &office.admin, &body).await.data();
        let messages = messages_of(database, &told["eventId"]).await;
        assert!(messages.iter().all(|message| message.priority == priority));
        let entries = office
            .api
            .get(&office.li, "/api/notifications")
            .await
            .data();
        assert_eq!(entries["items"][0]["priority"], word);
    }
}

async fn phone_numbers_are_masked_and_names_of_things_are_not(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({
        "kind": "resume.created",
        "recipients": { "userIds": [office.li.id] },
        "data": {
            "resumeId": "13800138999", "resumeName": "陈阿姨 13912345678", "phone": "13800138999",
            "jobType": "月嫂", "creatorName": "李娜",
        },
    });
    let told = tell(&office, &office.admin, &body).await.data();
    assert_eq!(
        office.inbox(&office.li).await,
        ["李娜 创建了新简历：陈阿姨 139****5678（138****8999），工种：月嫂"]
    );
    let entries = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    assert_eq!(entries["items"][0]["link"], "/resumes/13800138999");
    for message in messages_of(database, &told["eventId"]).await {
        assert!(message.payload.contains("138****8999"));
        assert!(!message.payload.contains("13912345678"));
    }
}

async fn what_the_centre_refuses_is_not_in_the_outbox_either(database: &TestDatabase) {
    let office = Office::open(database).await;
    crate::harness::refuse_inserts(database, "notifications");
    let before = database.contents().await;
    let body = with(
        signed(&json!({ "userIds": [office.li.id] })),
        "dedupKey",
        json!("contract:42:signed"),
    );
    let answer = tell(&office, &office.admin, &body).await;
    assert_eq!(answer.said(), (500, "服务器内部错误"));
    database.assert_unchanged_since(&before).await;
}

async fn what_became_of_an_event_can_be_asked(database: &TestDatabase) {
    let office = Office::open(database).await;
    let recipients = json!({ "userIds": [office.li.id, office.wang.id, "nobody"] });
    let told = tell(&office, &office.admin, &signed(&recipients))
        .await
        .data();
    let path = format!("{PATH}/{}", told["eventId"].as_str().unwrap());
    database.shell(
        "UPDATE outbox_messages SET status = 'cancelled', finished_at = created_at WHERE channel = 'wechat_cloud'",
    );
    let standing = office.api.get(&office.admin, &path).await.data();
    assert_eq!(
        standing["messages"],
        json!({ "wechat_subscribe": { "pending": 2 }, "wechat_cloud": { "cancelled": 2 } })
    );
    assert_eq!(
        (&standing["inbox"], &standing["sentBy"]),
        (&json!("shown"), &json!("系统管理员"))
    );
    assert_eq!(standing["recipients"], 2);
    assert_eq!(standing["notServed"], told["notServed"]);
    let missing = format!("{PATH}/{}", office.li.id);
    for path in [missing.as_str(), "/api/events/none"] {
        let answer = office.api.get(&office.admin, path).await;
        assert_eq!(answer.said(), (404, "事件不存在"), "{path}");
    }
}

async fn events_are_counted(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = with(
        signed(&json!({ "userIds": [office.li.id] })),
        "dedupKey",
        json!("1"),
    );
    tell(&office, &office.admin, &body).await.data();
    tell(&office, &office.admin, &body).await.data();
    for kind in ["contract.signed", "a.kind.nobody.knows"] {
        let refused =
            json!({ "kind": kind, "recipients": { "userIds": [office.li.id] }, "data": {} });
        assert!(tell(&office, &office.admin, &refused).await.status >= 400);
    }
    let figures = TestApi::send(office.api.request(reqwest::Method::GET, "/metrics")).await;
    let figures = figures.body.as_str().unwrap().to_owned();
    for line in [
        "crm_api_events_total{kind=\"contract.signed\",result=\"accepted\"} 1",
        "crm_api_events_total{kind=\"contract.signed\",result=\"duplicate\"} 1",
        "crm_api_events_total{kind=\"contract.signed\",result=\"refused\"} 1",
        "crm_api_events_total{kind=\"unknown\",result=\"refused\"} 1",
    ] {
        assert!(figures.contains(line), "{line}\n{figures}");
    }
}
