use diesel::prelude::*;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::db::schema::repairs;
use shared::domain::OutboxMessageId;
use shared::outbox::{NewMessage, Status, enqueue};

use super::Office;
use crate::harness::{Answer, TestDatabase, message, moment, on_each_database, seconds};

on_each_database!(
    messages_that_are_named_are_repaired_and_put_back,
    all_that_match_are_repaired_if_their_number_is_known,
    what_is_too_much_for_a_request_is_left_to_the_command_line,
    a_repair_that_cannot_be_changes_nothing,
    a_payload_is_edited_and_the_message_requeued,
    it_is_too_late_after_ten_minutes,
);

/// An office, and so many cancelled messages.
async fn office_with(database: &TestDatabase, count: usize) -> (Office<'_>, Vec<OutboxMessageId>) {
    let office = Office::open(database).await;
    let ids = database.cancelled(count).await;
    (office, ids)
}

async fn post(office: &Office<'_>, path: &str, body: &Value) -> Answer {
    office
        .api
        .post(&office.admin, &format!("/api/outbox/{path}"), body)
        .await
}

async fn undo(office: &Office<'_>, repair: &Value) -> Answer {
    let repair = repair.as_str().unwrap();
    post(office, &format!("repairs/{repair}/undo"), &json!({})).await
}

async fn pending(database: &TestDatabase) -> usize {
    let messages = database.messages().await;
    let pending = messages.iter().filter(|row| row.status == Status::Pending);
    pending.count()
}

async fn messages_that_are_named_are_repaired_and_put_back(database: &TestDatabase) {
    let (office, ids) = office_with(database, 3).await;
    let before = database.messages().await;
    let body = json!({ "ids": ids[..2], "reason": "模板已修复" });
    let answer = post(&office, "requeue", &body).await;
    assert_eq!(answer.said(), (200, "已重新排队 2 条消息"));
    let repair = answer.data();
    assert_eq!(repair["changed"], 2);
    assert_eq!(pending(database).await, 2);
    let path = format!("/api/outbox/{}", ids[0]);
    let shown = office.api.get(&office.zhang, &path).await.data();
    let act = &shown["history"][1];
    assert_eq!(
        (&act["actor"], &act["action"], &act["detail"]["reason"]),
        (
            &json!("admin"),
            &json!("outbox.requeue"),
            &json!("模板已修复")
        )
    );
    assert!(act["requestId"].is_string());

    let undone = undo(&office, &repair["repairId"]).await;
    assert_eq!(undone.said(), (200, "已恢复 2 条消息"));
    assert_eq!(undone.data()["moved"], 0);
    assert_eq!(database.messages().await, before);
    let again = undo(&office, &repair["repairId"]).await;
    assert_eq!(again.said(), (409, "该操作已经撤销"));
}

async fn all_that_match_are_repaired_if_their_number_is_known(database: &TestDatabase) {
    let (office, _) = office_with(database, 600).await;
    let body = |expected: u32| json!({ "filter": { "kind": "customer.assigned" }, "expectedCount": expected, "reason": "x" });
    let before = database.contents().await;
    let wrong = post(&office, "requeue", &body(599)).await;
    assert_eq!(
        wrong.said(),
        (
            409,
            "符合条件的消息有 600 条，与 expectedCount（599）不一致，未做任何修改"
        )
    );
    database.assert_unchanged_since(&before).await;
    let right = post(&office, "requeue", &body(600)).await;
    assert_eq!(right.said(), (200, "已重新排队 600 条消息"));
    assert_eq!(pending(database).await, 600);
    let repair = right.data()["repairId"].take();
    assert_eq!(undo(&office, &repair).await.data()["undone"], 600);
    assert_eq!(pending(database).await, 0);
}

async fn what_is_too_much_for_a_request_is_left_to_the_command_line(database: &TestDatabase) {
    let office = Office::open(database).await;
    let messages: Vec<NewMessage> = (0..10_001).map(|_| message()).collect();
    database
        .write(move |transaction| enqueue(transaction, messages, moment()))
        .await;
    let body = json!({ "filter": { "status": "pending" }, "expectedCount": 10_001, "reason": "x" });
    let answer = post(&office, "cancel", &body).await;
    assert_eq!(
        answer.said(),
        (
            422,
            "符合条件的消息有 10001 条，超过 10000 条，请在服务器上使用命令 outbox-relay outbox cancel --all-matching"
        )
    );
    assert_eq!(answer.body["error"]["code"], "UNPROCESSABLE");
    assert_eq!(pending(database).await, 10_001);
}

async fn a_repair_that_cannot_be_changes_nothing(database: &TestDatabase) {
    let (office, ids) = office_with(database, 2).await;
    let waiting = database.enqueue(message()).await;
    let before = database.contents().await;
    let nobody = OutboxMessageId::generate();
    let many: Vec<OutboxMessageId> = (0..1_001).map(|_| nobody.clone()).collect();
    let both = "请提供 ids，或者 filter 和 expectedCount，二者只能选一";
    let count = "ids 必须包含 1 到 1000 个消息编号";
    for (body, status, message) in [
        (json!({ "ids": ids }), 400, "缺少字段：reason"),
        (
            json!({ "ids": ids, "reason": " " }),
            400,
            "字段 reason 不能为空",
        ),
        (
            json!({ "ids": ids, "reason": "长".repeat(201) }),
            400,
            "字段 reason 不能超过200字",
        ),
        (json!({ "ids": [], "reason": "x" }), 400, count),
        (json!({ "ids": many, "reason": "x" }), 400, count),
        (
            json!({ "ids": ["x"], "reason": "x" }),
            400,
            "字段 ids[0] 的值不正确",
        ),
        (json!({ "reason": "x" }), 400, both),
        (
            json!({ "ids": ids, "filter": {}, "expectedCount": 2, "reason": "x" }),
            400,
            both,
        ),
        (
            json!({ "filter": { "kind": "x" }, "reason": "x" }),
            400,
            "按条件操作时必须提供 expectedCount",
        ),
        (
            json!({ "filter": {}, "expectedCount": 2, "reason": "x" }),
            400,
            "filter 至少需要一个条件",
        ),
        (
            json!({ "filter": { "status": "sent" }, "expectedCount": 0, "reason": "x" }),
            400,
            "状态为 sent 的消息不能重新排队",
        ),
        (
            json!({ "filter": { "kind": "x", "color": 1 }, "expectedCount": 0, "reason": "x" }),
            400,
            "不支持的字段：color",
        ),
        (
            json!({ "filter": { "kind": "x" }, "expectedCount": 0, "reason": "x" }),
            404,
            "没有符合条件的消息",
        ),
        (
            json!({ "ids": [ids[0], nobody], "reason": "x" }),
            404,
            &format!("消息不存在：{nobody}"),
        ),
        (
            json!({ "ids": [ids[0], waiting], "reason": "x" }),
            409,
            &format!("消息 {waiting} 的状态为 pending，不能重新排队"),
        ),
    ] {
        let answer = post(&office, "requeue", &body).await;
        assert_eq!(answer.said(), (status, message), "{body}");
    }
    for id in [nobody.as_str(), "x"] {
        let answer = undo(&office, &json!(id)).await;
        assert_eq!(answer.said(), (404, "操作记录不存在"));
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_payload_is_edited_and_the_message_requeued(database: &TestDatabase) {
    let (office, ids) = office_with(database, 1).await;
    let path = format!("/api/outbox/{}/payload", ids[0]);
    let before = database.contents().await;
    for (payload, message) in [
        (json!([1]), "字段 payload 的值不正确"),
        (
            json!({ "phone": "13800138999" }),
            "消息内容不能包含完整的手机号，请使用 138****8999 的形式",
        ),
        (
            json!({ "x": "x".repeat(65_536) }),
            "消息内容过大，最大允许 64 KiB",
        ),
    ] {
        let body = json!({ "payload": payload, "reason": "x" });
        let answer = office.api.patch(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (400, message));
    }
    database.assert_unchanged_since(&before).await;
    let body = json!({ "payload": { "customerName": "李先生" }, "reason": "姓名有误" });
    let answer = office.api.patch(&office.admin, &path, &body).await;
    assert_eq!(answer.said(), (200, "消息内容已修改并重新排队"));
    let row = database.message(&ids[0]).await;
    assert_eq!(
        (row.status, row.payload.as_str()),
        (Status::Pending, r#"{"customerName":"李先生"}"#)
    );
    let undone = undo(&office, &answer.data()["repairId"]).await;
    assert_eq!(undone.data()["undone"], 1);
    let row = database.message(&ids[0]).await;
    assert_eq!(
        (row.status, row.payload.as_str()),
        (Status::Cancelled, r#"{"customerName":"王女士"}"#)
    );
}

async fn it_is_too_late_after_ten_minutes(database: &TestDatabase) {
    let (office, ids) = office_with(database, 1).await;
    let body = json!({ "ids": ids, "reason": "x" });
    let repair = post(&office, "requeue", &body).await.data();
    let long_ago = SystemClock.now().before(seconds(660));
    database
        .write(move |transaction| {
            diesel::update(repairs::table)
                .set(repairs::changed_at.eq(long_ago))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    let answer = undo(&office, &repair["repairId"]).await;
    assert_eq!(answer.said(), (409, "该操作已超过 10 分钟，不能撤销"));
    assert_eq!(pending(database).await, 1);
}
