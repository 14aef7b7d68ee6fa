use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::UtcTimestamp;
use shared::outbox::Message;

use super::Office;
use crate::harness::{TestDatabase, message, on_each_database, refused, relay, seconds};

on_each_database!(
    a_message_is_explained_in_chinese,
    what_is_stuck_is_grouped_by_cause,
    failures_are_counted,
    relays_are_listed_with_what_they_hold,
    messages_are_filtered_by_everything_that_operators_ask_for,
    a_query_that_cannot_be_is_refused,
);

/// An assignment that waits on both channels.
async fn assigned<'a>(database: &'a TestDatabase) -> (Office<'a>, Vec<Message>) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let messages = database.messages().await;
    (office, messages)
}

async fn get(office: &Office<'_>, path: &str) -> Value {
    office.api.get(&office.zhang, path).await.data()
}

/// Ahead of the server's clock, so that a relay which was heard of then stays alive.
fn soon() -> UtcTimestamp {
    SystemClock.now().after(seconds(600))
}

async fn a_message_is_explained_in_chinese(database: &TestDatabase) {
    let (office, messages) = assigned(database).await;
    let id = &messages[0].id;
    let path = format!("/api/outbox/{id}/explain");
    assert_eq!(
        get(&office, &path).await,
        json!({
            "id": id,
            "status": "pending",
            "cause": { "code": "no_live_relay" },
            "text": "没有正在运行的发送程序",
            "expectedAt": null,
            "fix": "请启动发送程序 outbox-relay",
            "fellBackTo": null,
            "fallbackOf": null,
        })
    );
    database.register(&relay("worker"), soon()).await;
    let told = get(&office, &path).await;
    assert_eq!(told["cause"]["code"], "in_line");
    assert!(
        told["text"].as_str().unwrap().ends_with("前面还有 0 条"),
        "{told}"
    );
    let unknown = "/api/outbox/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff/explain";
    let answer = office.api.get(&office.zhang, unknown).await;
    assert_eq!(answer.said(), (404, "消息不存在"));
}

async fn what_is_stuck_is_grouped_by_cause(database: &TestDatabase) {
    let (office, _) = assigned(database).await;
    assert_eq!(
        get(&office, "/api/outbox/stuck?waitingSeconds=86400").await,
        json!([])
    );
    let groups = get(&office, "/api/outbox/stuck?waitingSeconds=0").await;
    let groups = groups.as_array().unwrap();
    assert_eq!(groups.len(), 2, "one per channel");
    assert_eq!(groups[0]["count"], 1);
    assert_eq!(groups[0]["text"], "没有正在运行的发送程序");
    let answer = office
        .api
        .get(&office.zhang, "/api/outbox/stuck?waitingSeconds=86401")
        .await;
    assert_eq!(
        answer.said(),
        (400, "waitingSeconds 必须在 0 到 86400 之间")
    );
}

async fn failures_are_counted(database: &TestDatabase) {
    let (office, messages) = assigned(database).await;
    assert_eq!(get(&office, "/api/outbox/failures").await, json!([]));
    let due = messages[0].due_at;
    let claimed = database.claim_one(&relay("a"), due).await;
    database.settle(&relay("a"), &claimed, refused(), due).await;
    assert_eq!(
        get(&office, "/api/outbox/failures").await,
        json!([{
            "status": "failed",
            "errcode": 45_009,
            "kind": "customer.assigned",
            "channel": "wechat_subscribe",
            "lastHour": 1,
            "lastDay": 1,
            "lastWeek": 1,
            "lastWeekFellBack": 0,
            "lastAt": json!(due),
            "example": "reach max api daily quota limit",
        }])
    );
}

async fn relays_are_listed_with_what_they_hold(database: &TestDatabase) {
    database.leases_may_remain();
    let (office, messages) = assigned(database).await;
    assert_eq!(get(&office, "/api/outbox/relays").await, json!([]));
    database.register(&relay("worker"), soon()).await;
    database
        .claim_one(&relay("worker"), messages[0].due_at)
        .await;
    let relays = get(&office, "/api/outbox/relays").await;
    assert_eq!(
        (&relays[0]["name"], &relays[0]["life"], &relays[0]["leased"]),
        (
            &json!("worker"),
            &json!("alive"),
            &json!({ "wechat_subscribe": 1 })
        )
    );
    assert_eq!(relays[0]["inFlight"], 0);
}

async fn messages_are_filtered_by_everything_that_operators_ask_for(database: &TestDatabase) {
    let (office, messages) = assigned(database).await;
    let due = messages[0].due_at;
    let claimed = database.claim_one(&relay("a"), due).await;
    database.settle(&relay("a"), &claimed, refused(), due).await;
    database.enqueue(message()).await;
    let request_id = messages[0].request_id.as_ref().unwrap();
    let subject = messages[0].subject.as_ref().unwrap();
    for (query, count) in [
        ("errcode=45009".to_owned(), 1),
        ("errcode=1".to_owned(), 0),
        (format!("requestId={request_id}"), 2),
        (format!("subject={subject}"), 2),
        ("text=%E7%8E%8B%E5%A5%B3%E5%A3%AB".to_owned(), 3),
        ("text=DAILY%20quota".to_owned(), 1),
        ("text=%25".to_owned(), 0),
        (format!("createdBefore={due}"), 1),
        (format!("createdAfter={due}"), 2),
    ] {
        let page = get(&office, &format!("/api/outbox?{query}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
}

async fn a_query_that_cannot_be_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let long = format!("text={}", "x".repeat(101));
    for (query, message) in [
        ("status=gone", "字段 status 的值不正确"),
        ("errcode=x", "字段 errcode 的值不正确"),
        ("createdBefore=yesterday", "字段 createdBefore 的值不正确"),
        ("age=1", "不支持的字段：age"),
        (long.as_str(), "字段 text 不能超过100字"),
    ] {
        let path = format!("/api/outbox?{query}");
        let answer = office.api.get(&office.zhang, &path).await;
        assert_eq!(answer.said(), (400, message), "{query}");
    }
}
