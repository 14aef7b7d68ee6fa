use reqwest::Method;
use serde_json::{Value, json};
use shared::db::Topic;

use super::Office;
use crate::harness::{TestApi, TestDatabase, eventually, moment, on_each_database, relay, seconds};

on_each_database!(
    relays_are_woken_and_the_queue_is_told,
    a_look_changes_nothing,
);

const PATH: &str = "/api/wecom/process-queue";

async fn relays_are_woken_and_the_queue_is_told(database: &TestDatabase) {
    let office = Office::open(database).await;
    // Somebody must be there to be woken.
    database.register(&relay("worker"), moment()).await;
    for (id, channel, finished) in [
        ("1", "wechat_cloud", false),
        ("2", "wecom_app", false),
        ("3", "wecom_app", false),
        ("4", "wecom_robot", true),
    ] {
        let (status, finished_at) = if finished {
            ("sent", "'2026-01-02 03:04:06'")
        } else {
            ("pending", "NULL")
        };
        database.shell(&format!(
            "INSERT INTO outbox_messages (id, kind, channel, recipient_id, payload, status, priority, attempts_max, \
             due_at, created_at, sent_at, finished_at) VALUES ('{id}', 'member.registered', '{channel}', '@all', '{{}}', \
             '{status}', 0, 10, '2026-01-02 03:04:05', '2026-01-02 03:04:05', {finished_at}, {finished_at})"
        ));
    }
    let mut woken = database.database().listen(Topic::Outbox).await.unwrap();
    woken.mark_unchanged();
    let answer = office.api.post(&office.li, PATH, &json!({})).await;
    assert_eq!(answer.said(), (200, "已通知发送程序处理队列"));
    assert_eq!(
        answer.data(),
        json!({ "statistics": { "pending": 2, "sending": 0, "sent": 1, "failed": 0 } })
    );
    tokio::time::timeout(seconds(30), woken.changed())
        .await
        .expect("a signal comes")
        .unwrap();

    // A body is not needed.
    let request = office
        .api
        .request(Method::POST, PATH)
        .bearer_auth(&office.admin.token);
    assert_eq!(TestApi::send(request).await.status, 200);
    eventually("a second signal comes", async || {
        woken.has_changed().unwrap()
    })
    .await;
}

async fn a_look_changes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let answer = office.api.get(&office.admin, PATH).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "POST");
    assert_eq!(answer.body["data"], Value::Null);
    let nobody = office.api.request(Method::POST, PATH);
    assert_eq!(TestApi::send(nobody).await.status, 401);
    office
        .api
        .post(&office.admin, PATH, &json!({}))
        .await
        .data();
    database.assert_unchanged_since(&before).await;
}
