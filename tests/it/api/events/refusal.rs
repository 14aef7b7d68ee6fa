use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};

use super::{signed, tell, with};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database, seconds};

on_each_database!(
    what_cannot_be_is_refused_by_name_and_writes_nothing,
    what_this_api_tells_itself_is_refused_with_what_there_is,
    data_is_checked_against_the_template_as_it_is_now,
    a_body_has_a_limit,
);

async fn what_cannot_be_is_refused_by_name_and_writes_nothing(database: &TestDatabase) {
    let office = Office::open(database).await;
    let good = || signed(&json!({ "userIds": [office.li.id] }));
    let now = SystemClock.now();
    let tomorrow = now.after(seconds(86_400));
    let field = |name: &str, value: Value| with(good(), name, value);
    let before = database.contents().await;
    for (body, status, named, said) in [
        (
            field("kind", json!("contract.burnt")),
            400,
            "kind",
            "通知类型不存在，可用：resume.created",
        ),
        (
            field("recipients", json!({})),
            400,
            "recipients",
            "recipients 不能为空：请提供 userIds、roles 或 ownerOf",
        ),
        (
            field("recipients", json!({ "roles": ["boss"] })),
            400,
            "recipients.roles[0]",
            "字段 recipients.roles[0] 的值不正确",
        ),
        (
            field("recipients", json!({ "userId": ["x"] })),
            400,
            "userId",
            "不支持的字段：userId",
        ),
        (
            field("recipients", json!({ "userIds": ["x".repeat(65)] })),
            400,
            "recipients.userIds",
            "recipients.userIds 中的每一项不能超过64字",
        ),
        (
            field("title", json!("x")),
            400,
            "title",
            "不支持的字段：title",
        ),
        (
            field("priority", json!("urgent")),
            400,
            "priority",
            "字段 priority 的值不正确",
        ),
        (
            field("dedupKey", json!("a b")),
            400,
            "dedupKey",
            "dedupKey 必须是1到200个可见字符，不含空白",
        ),
        (
            field("dueAt", json!("tomorrow")),
            400,
            "dueAt",
            "字段 dueAt 的值不正确",
        ),
        (
            field("dueAt", json!(now.before(Duration::from_secs(120)))),
            400,
            "dueAt",
            "dueAt 不能早于当前时间",
        ),
        (
            field("dueAt", json!(now.after(seconds(367 * 86_400)))),
            400,
            "dueAt",
            "dueAt 不能晚于366天之后",
        ),
        (
            field("expiresAt", json!(now.before(seconds(1)))),
            400,
            "expiresAt",
            "expiresAt 必须晚于 dueAt 和当前时间",
        ),
        (
            with(
                field("dueAt", json!(tomorrow)),
                "expiresAt",
                json!(tomorrow),
            ),
            400,
            "expiresAt",
            "expiresAt 必须晚于 dueAt 和当前时间",
        ),
        (
            field("data", json!({ "days": [7] })),
            400,
            "data.days",
            "data.days 必须是文本或数字",
        ),
        (
            field("data", json!({ "contractNumber": "HT1", "price": 7 })),
            422,
            "data",
            "data 缺少：contractId、customerName、workerName；data 中不支持的字段：price",
        ),
    ] {
        let answer = tell(&office, &office.admin, &body).await;
        assert_eq!(answer.status, status, "{said}: {}", answer.body);
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.starts_with(said), "{message} and not {said}");
        assert_eq!(answer.body["error"]["details"]["field"], named, "{said}");
    }
    database.assert_unchanged_since(&before).await;
    // Clocks differ, and a request takes its time.
    let just_now = field("dueAt", json!(now.before(seconds(5))));
    let told = tell(&office, &office.admin, &just_now).await.data();
    assert_ne!(told["dueAt"], just_now["dueAt"], "due at once");
    assert_eq!(office.inbox(&office.li).await.len(), 1);
}

async fn what_this_api_tells_itself_is_refused_with_what_there_is(database: &TestDatabase) {
    let office = Office::open(database).await;
    for kind in [
        "customer.assigned",
        "lead.auto_transfer_in",
        "report.weekly",
        "member.registered",
    ] {
        let body = with(
            signed(&json!({ "userIds": [office.li.id] })),
            "kind",
            json!(kind),
        );
        let answer = tell(&office, &office.admin, &body).await;
        let said = answer.body["message"].as_str().unwrap();
        assert_eq!(answer.status, 422, "{said}");
        assert!(
            said.starts_with(kind) && said.contains("system.announcement"),
            "{said}"
        );
        let kinds = answer.body["error"]["details"]["kinds"].as_array().unwrap();
        assert_eq!(kinds.len(), 11);
    }
}

async fn data_is_checked_against_the_template_as_it_is_now(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = signed(&json!({ "userIds": [office.li.id] }));
    let mut less = body.clone();
    less["data"].as_object_mut().unwrap().remove("workerName");
    let answer = tell(&office, &office.admin, &less).await;
    assert_eq!(answer.said(), (422, "data 缺少：workerName"));
    let details = &answer.body["error"]["details"];
    assert_eq!(details["missing"], json!(["workerName"]));
    assert_eq!(details["unknown"], json!([]));
    assert!(
        details["known"]
            .as_array()
            .unwrap()
            .contains(&json!("workerName"))
    );

    let template = json!({ "content": "合同 {{contractNumber}} 已签署（{{time}}）" });
    let path = "/api/notification-templates/contract.signed";
    office.api.put(&office.admin, path, &template).await.data();
    less["data"]["time"] = json!("今天上午");
    tell(&office, &office.admin, &less).await.data();
    assert_eq!(
        office.inbox(&office.li).await,
        ["合同 HT20260102001 已签署（今天上午）"]
    );
}

async fn a_body_has_a_limit(database: &TestDatabase) {
    let office = Office::open(database).await;
    let ids: Vec<String> = (0..1_000).map(|_| "x".repeat(300)).collect();
    let answer = tell(&office, &office.admin, &signed(&json!({ "userIds": ids }))).await;
    assert_eq!(answer.said(), (413, "请求体过大，最大允许 160 KiB"));
}
