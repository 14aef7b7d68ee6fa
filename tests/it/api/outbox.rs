use serde_json::{Value, json};
use shared::domain::Channel;
use shared::outbox::{HoldCause, HoldOrder, hold_channel};

use super::Office;
use crate::harness::{TestDatabase, moment, on_each_database, refused, relay, seconds};

on_each_database!(
    a_message_is_shown_with_its_payload_and_attempts,
    messages_are_listed_newest_first_and_read_on_without_gaps,
    messages_are_filtered,
    the_stats_count_messages_and_name_relays_and_holds,
    a_message_that_does_not_exist_is_not_found,
);

async fn a_message_is_shown_with_its_payload_and_attempts(database: &TestDatabase) {
    let office = assigned(database, 1).await;
    let messages = database.messages().await;
    let message = messages
        .iter()
        .find(|m| m.channel == Channel::WechatSubscribe)
        .unwrap();
    let path = format!("/api/outbox/{}", message.id);
    let waiting = office.api.get(&office.zhang, &path).await.data();
    assert_eq!(
        (
            &waiting["status"],
            &waiting["attempt"],
            &waiting["attempts"]
        ),
        (&json!("pending"), &json!(0), &json!([]))
    );
    assert_eq!(waiting["payload"]["customerName"], "客户0");
    assert_eq!(waiting["priority"], "high");

    let worker = relay("worker");
    let due = message.due_at;
    database.register(&worker, due).await;
    let claimed = database.claim_one(&worker, due).await;
    let leased = office.api.get(&office.zhang, &path).await.data();
    assert_eq!(
        (&leased["status"], &leased["claimedBy"]),
        (&json!("sending"), &json!("worker"))
    );
    database.settle(&worker, &claimed, refused(), due).await;
    let failed = office.api.get(&office.zhang, &path).await.data();
    assert_eq!(
        (&failed["status"], &failed["attempt"]),
        (&json!("failed"), &json!(1))
    );
    assert_eq!(
        (&failed["claimedBy"], &failed["lastErrcode"]),
        (&Value::Null, &json!(45_009))
    );
    let attempt = &failed["attempts"][0];
    assert_eq!(
        *attempt,
        json!({
            "id": attempt["id"],
            "attempt": 1,
            "relay": "worker",
            "startedAt": json!(due),
            "durationMs": 120,
            "verdict": "refused",
            "rule": "test/rule",
            "httpStatus": 200,
            "errcode": 45_009,
            "errmsg": "reach max api daily quota limit",
        })
    );
}

async fn messages_are_listed_newest_first_and_read_on_without_gaps(database: &TestDatabase) {
    let office = assigned(database, 3).await;
    let mut expected: Vec<String> = database
        .messages()
        .await
        .iter()
        .map(|message| message.id.to_string())
        .collect();
    expected.reverse();
    assert_eq!(expected.len(), 6);
    let mut path = "/api/outbox?pageSize=4".to_owned();
    let mut seen = Vec::new();
    for (count, more) in [(4, true), (2, false)] {
        let page = office.api.get(&office.zhang, &path).await.data();
        let items = page["items"].as_array().unwrap();
        assert_eq!((items.len(), page["nextBefore"].is_string()), (count, more));
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        path = format!(
            "/api/outbox?pageSize=4&before={}",
            page["nextBefore"].as_str().unwrap_or("")
        );
    }
    assert_eq!(seen, expected);
    let exact = office
        .api
        .get(&office.zhang, "/api/outbox?pageSize=6")
        .await
        .data();
    assert_eq!(
        exact["nextBefore"],
        Value::Null,
        "there is no page after the last"
    );
    let refused = office
        .api
        .get(&office.zhang, "/api/outbox?pageSize=101")
        .await;
    assert_eq!(refused.said(), (400, "pageSize 必须在 1 到 100 之间"));
}

async fn messages_are_filtered(database: &TestDatabase) {
    let office = assigned(database, 2).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let wang = office.wang.id.as_str();
    for (query, count) in [
        (String::new(), 8),
        ("?channel=wechat_cloud".to_owned(), 4),
        ("?channel=wecom_app".to_owned(), 0),
        ("?kind=customer.transferred_away".to_owned(), 2),
        ("?kind=x".to_owned(), 0),
        ("?status=pending".to_owned(), 8),
        ("?status=sent".to_owned(), 0),
        (format!("?recipientId={wang}"), 2),
        (
            format!("?recipientId={wang}&channel=wechat_cloud&status=pending"),
            1,
        ),
    ] {
        let page = office
            .api
            .get(&office.zhang, &format!("/api/outbox{query}"))
            .await
            .data();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
}

async fn the_stats_count_messages_and_name_relays_and_holds(database: &TestDatabase) {
    let office = assigned(database, 2).await;
    let empty = office
        .api
        .get(&office.zhang, "/api/outbox/stats")
        .await
        .data();
    assert_eq!(
        (&empty["relays"], &empty["holds"]),
        (&json!([]), &json!([]))
    );
    let due = database.messages().await[0].due_at;
    database.register(&relay("worker"), due).await;
    let order = HoldOrder {
        channel: Channel::WechatCloud,
        cause: HoldCause::Platform,
        reason: "invalid appsecret".to_owned(),
        errcode: Some(40_125),
        probe_at: Some(moment().after(seconds(60))),
        held_by: "worker".to_owned(),
    };
    database
        .write(move |transaction| hold_channel(transaction, order, moment()))
        .await;

    let mut stats = office
        .api
        .get(&office.zhang, "/api/outbox/stats")
        .await
        .data();
    let age = stats["oldestDueAgeSeconds"].take().as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    let relay = stats["relays"][0].take();
    assert_eq!(
        (&relay["name"], &relay["inFlight"]),
        (&json!("worker"), &json!(0))
    );
    assert_eq!(
        stats,
        json!({
            "lines": [
                { "channel": "wechat_cloud", "status": "pending", "count": 2 },
                { "channel": "wechat_subscribe", "status": "pending", "count": 2 },
            ],
            "oldestDueAt": json!(due),
            "oldestDueAgeSeconds": null,
            "relays": [null],
            "holds": [{
                "channel": "wechat_cloud",
                "reason": "invalid appsecret",
                "errcode": 40_125,
                "probeAt": json!(moment().after(seconds(60))),
                "heldBy": "worker",
                "heldSince": json!(moment()),
            }],
        })
    );
}

async fn a_message_that_does_not_exist_is_not_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    for id in ["0193e5a0-6e2b-7c4d-8f10-aabbccddeeff", "1"] {
        let answer = office
            .api
            .get(&office.zhang, &format!("/api/outbox/{id}"))
            .await;
        assert_eq!(answer.said(), (404, "消息不存在"));
    }
}

/// The manager has given so many of their own customers to 李四, one by one.
async fn assigned(database: &TestDatabase, count: u32) -> Office<'_> {
    let office = Office::open(database).await;
    for lead in database.leads(count, &office.zhang).await {
        office.assign(&office.zhang, &lead, &office.li).await.data();
    }
    office
}
