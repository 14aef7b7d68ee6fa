//! What was said and done with a customer.

use serde_json::{Value, json};
use shared::domain::Role;

use super::Office;
use crate::harness::{Answer, Session, TestDatabase, on_each_database};

on_each_database!(
    a_follow_up_is_kept_and_is_activity_and_no_change,
    the_owner_is_told_if_somebody_else_follows_up,
    follow_ups_are_listed_newest_first_with_their_authors,
    a_follow_up_must_say_something_and_not_too_much,
    who_does_not_see_a_customer_neither_follows_up_nor_reads,
);

async fn follow_up(office: &Office<'_>, by: &Session, id: &str, body: Value) -> Answer {
    let path = format!("/api/customers/{id}/follow-ups");
    office.api.post(by, &path, &body).await
}

async fn listed(office: &Office<'_>, by: &Session, id: &str, query: &str) -> Answer {
    let path = format!("/api/customers/{id}/follow-ups{query}");
    office.api.get(by, &path).await
}

async fn a_follow_up_is_kept_and_is_activity_and_no_change(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = office.customer(&id).await;
    let body = json!({
        "content": " 第一行\n第二行 ", "kind": "电话", "nextFollowUpAt": "2999-01-02T11:04:05+08:00",
    });
    let answer = follow_up(&office, &office.li, &id, body).await;
    assert_eq!(answer.said(), (201, "跟进记录添加成功"));
    let written = answer.data();
    let expected = json!({
        "id": written["id"], "content": "第一行\n第二行", "kind": "电话",
        "nextFollowUpAt": "2999-01-02T03:04:05.000000Z",
        "authorId": office.li.id, "authorName": "李四", "createdAt": written["createdAt"],
    });
    assert_eq!(written, expected);

    let mut expected = before;
    expected["lastActivityAt"] = written["createdAt"].clone();
    expected["lastFollowUpAt"] = written["createdAt"].clone();
    assert_eq!(office.customer(&id).await, expected);
    assert_eq!(database.news().await, [""; 0], "the owner knows");
}

async fn the_owner_is_told_if_somebody_else_follows_up(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let content = format!("回访13800138999\n{}", "好".repeat(60));
    follow_up(&office, &office.zhou, &id, json!({ "content": content }))
        .await
        .data();
    let pooled = database.pooled_lead("赵女士", "13900139000").await;
    let body = json!({ "content": "无人负责" });
    follow_up(&office, &office.zhou, &pooled, body).await.data();
    assert_eq!(
        database.news().await,
        ["customer.follow_up_added li: inbox wechat_cloud wechat_subscribe"]
    );
    let told = format!(
        "周派单 对客户【王女士】添加了跟进记录：回访138****8999 {}",
        "好".repeat(36)
    );
    assert_eq!(office.inbox(&office.li).await, [told]);
}

async fn follow_ups_are_listed_newest_first_with_their_authors(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    for (by, content) in [
        (&office.li, "甲"),
        (&office.zhou, "乙"),
        (&office.admin, "丙"),
    ] {
        let body = json!({ "content": content, "kind": null });
        follow_up(&office, by, &id, body).await.data();
    }
    let page = listed(&office, &office.li, &id, "?pageSize=2").await.data();
    let told: Vec<(&str, &str)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["content"].as_str().unwrap(),
                one["authorName"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("丙", "系统管理员"), ("乙", "周派单")]);
    assert_eq!(
        (&page["total"], &page["totalPages"]),
        (&json!(3), &json!(2))
    );
    let rest = listed(&office, &office.li, &id, "?pageSize=2&page=2").await;
    assert_eq!(rest.data()["items"][0]["content"], "甲");
    let other = database.lead("赵女士", "13900139000", &office.li).await;
    let none = listed(&office, &office.li, &other, "").await.data();
    assert_eq!((&none["total"], &none["items"]), (&json!(0), &json!([])));
}

async fn a_follow_up_must_say_something_and_not_too_much(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let before = database.contents().await;
    for (body, field, message) in [
        (json!({}), "content", "跟进内容不能为空"),
        (json!({ "content": "\n " }), "content", "跟进内容不能为空"),
        (
            json!({ "content": "好".repeat(2_001) }),
            "content",
            "字段 content 不能超过2000字",
        ),
        (
            json!({ "content": "\u{0}" }),
            "content",
            "字段 content 包含不允许的控制字符",
        ),
        (
            json!({ "content": "好", "kind": "短信" }),
            "kind",
            "字段 kind 的值不正确",
        ),
        (
            json!({ "content": "好", "nextFollowUpAt": "2020-01-01T00:00:00Z" }),
            "nextFollowUpAt",
            "下次跟进时间必须晚于当前时间",
        ),
        (
            json!({ "content": "好", "nextFollowUpAt": "明天" }),
            "nextFollowUpAt",
            "字段 nextFollowUpAt 的值不正确",
        ),
        (
            json!({ "content": "好", "authorId": office.wang.id }),
            "authorId",
            "不支持的字段：authorId",
        ),
    ] {
        let answer = follow_up(&office, &office.li, &id, body).await;
        assert_eq!(answer.said(), (400, message));
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    database.assert_unchanged_since(&before).await;
    let longest = json!({ "content": "好".repeat(2_000) });
    follow_up(&office, &office.li, &id, longest).await.data();
}

async fn who_does_not_see_a_customer_neither_follows_up_nor_reads(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let stranger = database.staff("other", "旁人", Role::Employee).await;
    let before = database.contents().await;
    for (by, id) in [(&stranger, id.as_str()), (&office.admin, "nobody")] {
        let body = json!({ "content": "好" });
        let written = follow_up(&office, by, id, body).await;
        assert_eq!(written.said(), (404, "客户不存在"));
        let read = listed(&office, by, id, "").await;
        assert_eq!(read.said(), (404, "客户不存在"));
    }
    database.assert_unchanged_since(&before).await;
}
