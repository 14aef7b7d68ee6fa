use serde_json::{Value, json};

use super::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    an_entry_shows_text_link_and_data,
    everybody_lists_their_own_newest_first,
    entries_are_filtered_by_kind_and_by_being_unread,
    marking_changes_ones_own_entries_and_counts_what_was_unread,
    marking_all_leaves_other_people_alone,
    what_cannot_be_marked_is_refused,
);

async fn an_entry_shows_text_link_and_data(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let mut entry = entries(&office, &office.li, "").await.remove(0);
    let data = entry["data"].take();
    assert_eq!(
        (&data["customerId"], &data["phone"], &data["assignerName"]),
        (&json!(lead), &json!("138****8999"), &json!("张经理"))
    );
    assert_eq!(
        entry,
        json!({
            "id": entry["id"],
            "kind": "customer.assigned",
            "title": "客户分配通知",
            "content": "您有新的客户【王女士】，电话：138****8999，来源：美团，请及时跟进！",
            "priority": "high",
            "link": format!("/customers/{lead}"),
            "data": null,
            "read": false,
            "readAt": null,
            "createdAt": office.customer(&lead).await["assignedAt"],
        })
    );
}

async fn everybody_lists_their_own_newest_first(database: &TestDatabase) {
    let office = told_three_times(database).await;
    let names = async |by: &Session, query: &str| -> Vec<String> {
        let entries = entries(&office, by, query).await;
        entries
            .iter()
            .map(|e| e["data"]["customerName"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&office.li, "").await, ["丙", "乙", "甲"]);
    assert_eq!(names(&office.li, "?pageSize=2").await, ["丙", "乙"]);
    assert_eq!(names(&office.li, "?pageSize=2&page=2").await, ["甲"]);
    assert_eq!(names(&office.zhou, "").await.len(), 3);
    assert_eq!(names(&office.wang, "").await.len(), 0);
    assert_eq!(
        names(&office.admin, "").await.len(),
        0,
        "nobody reads other people's"
    );
    let page = office
        .api
        .get(&office.li, "/api/notifications?pageSize=2")
        .await
        .data();
    assert_eq!(
        (&page["total"], &page["totalPages"]),
        (&json!(3), &json!(2))
    );
}

async fn entries_are_filtered_by_kind_and_by_being_unread(database: &TestDatabase) {
    let office = told_three_times(database).await;
    let first = entries(&office, &office.li, "").await.remove(2);
    mark(&office, &office.li, json!([first["id"]])).await;
    let lead = first["data"]["customerId"].as_str().unwrap();
    office
        .assign(&office.zhang, lead, &office.wang)
        .await
        .data();
    for (query, count) in [
        ("?kind=customer.assigned", 3),
        ("?kind=customer.transferred_away", 1),
        ("?kind=customer.created", 0),
        ("?unreadOnly=true", 3),
        ("?unreadOnly=false", 4),
        ("?unreadOnly=true&kind=customer.assigned", 2),
    ] {
        assert_eq!(
            entries(&office, &office.li, query).await.len(),
            count,
            "{query}"
        );
    }
}

async fn marking_changes_ones_own_entries_and_counts_what_was_unread(database: &TestDatabase) {
    let office = told_three_times(database).await;
    assert_eq!(unread(&office, &office.li).await, 3);
    let own = entries(&office, &office.li, "").await;
    let others = entries(&office, &office.zhou, "").await;
    let unknown = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
    let ids = json!([
        own[0]["id"],
        own[1]["id"],
        own[0]["id"],
        others[0]["id"],
        unknown
    ]);
    assert_eq!(
        mark(&office, &office.li, ids).await,
        ("成功标记 2 条通知为已读".to_owned(), 2)
    );
    assert_eq!(unread(&office, &office.li).await, 1);
    assert_eq!(
        unread(&office, &office.zhou).await,
        3,
        "other people's stay unread"
    );

    let read = entries(&office, &office.li, "").await;
    assert_eq!(
        (&read[0]["read"], &read[2]["read"]),
        (&json!(true), &json!(false))
    );
    assert!(read[0]["readAt"].is_string() && read[2]["readAt"].is_null());
    let before = database.contents().await;
    let (_, count) = mark(&office, &office.li, json!([own[0]["id"], own[1]["id"]])).await;
    assert_eq!(count, 0, "they were read already");
    database.assert_unchanged_since(&before).await;
}

async fn marking_all_leaves_other_people_alone(database: &TestDatabase) {
    let office = told_three_times(database).await;
    for count in [3, 0] {
        let nothing = Value::Null;
        let answer = office
            .api
            .put(&office.li, "/api/notifications/mark-all-read", &nothing)
            .await;
        assert_eq!(
            answer.body["message"],
            format!("成功标记 {count} 条通知为已读")
        );
        assert_eq!(answer.data(), json!({ "count": count }));
    }
    assert_eq!(
        (
            unread(&office, &office.li).await,
            unread(&office, &office.zhou).await
        ),
        (0, 3)
    );
}

async fn what_cannot_be_marked_is_refused(database: &TestDatabase) {
    let office = told_three_times(database).await;
    let before = database.contents().await;
    let id = entries(&office, &office.li, "").await.remove(0)["id"].clone();
    for (body, message) in [
        (
            json!({ "notificationIds": [] }),
            "通知数量必须在1到1000之间",
        ),
        (
            json!({ "notificationIds": vec![id.clone(); 1_001] }),
            "通知数量必须在1到1000之间",
        ),
        (
            json!({ "notificationIds": [id, "x"] }),
            "字段 notificationIds[1] 的值不正确",
        ),
        (
            json!({ "notificationIds": [7] }),
            "字段 notificationIds[0] 的值不正确",
        ),
        (json!({}), "缺少字段：notificationIds"),
        (json!({ "ids": [] }), "不支持的字段：ids"),
    ] {
        let answer = office
            .api
            .put(&office.li, "/api/notifications/mark-read", &body)
            .await;
        assert_eq!(answer.said(), (400, message));
    }
    database.assert_unchanged_since(&before).await;
}

/// 李四 got three customers of 周派单, one after the other.
async fn told_three_times(database: &TestDatabase) -> Office<'_> {
    let office = Office::open(database).await;
    for (name, phone) in [
        ("甲", "13800138001"),
        ("乙", "13800138002"),
        ("丙", "13800138003"),
    ] {
        let lead = database.lead(name, phone, &office.zhou).await;
        office.assign(&office.zhang, &lead, &office.li).await.data();
    }
    office
}

async fn entries(office: &Office<'_>, by: &Session, query: &str) -> Vec<Value> {
    let page = office
        .api
        .get(by, &format!("/api/notifications{query}"))
        .await
        .data();
    page["items"].as_array().unwrap().clone()
}

async fn unread(office: &Office<'_>, by: &Session) -> i64 {
    let data = office
        .api
        .get(by, "/api/notifications/unread-count")
        .await
        .data();
    data["count"].as_i64().unwrap()
}

async fn mark(office: &Office<'_>, by: &Session, ids: Value) -> (String, i64) {
    let body = json!({ "notificationIds": ids });
    let answer = office
        .api
        .put(by, "/api/notifications/mark-read", &body)
        .await;
    let message = answer.body["message"].as_str().unwrap().to_owned();
    (message, answer.data()["count"].as_i64().unwrap())
}
