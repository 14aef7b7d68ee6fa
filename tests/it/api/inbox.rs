//! Finding, counting and clearing away in the notification centre.

use serde_json::{Value, json};

use super::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    a_part_of_the_text_is_found,
    what_cannot_be_looked_for_is_refused,
    an_entry_is_deleted_by_its_owner_alone,
    everything_is_counted_by_kind_and_priority,
    the_day_begins_at_midnight_in_the_configured_zone,
    the_page_loads_nothing_from_elsewhere,
);

async fn a_part_of_the_text_is_found(database: &TestDatabase) {
    let office = Office::open(database).await;
    for customer in ["王女士", "100%_Ann", "王先生"] {
        database.tell(&office.li, customer).await;
    }
    database.tell(&office.wang, "王女士").await;
    for (search, found) in [
        ("王", vec!["王先生", "王女士"]),
        ("%E7%8E%8B%E5%A5%B3", vec!["王女士"]),
        ("ann", vec!["100%_Ann"]),
        ("%25", vec!["100%_Ann"]),
        ("0%25_", vec!["100%_Ann"]),
        ("_", vec!["100%_Ann"]),
        ("%5C", vec![]),
        ("客户分配通知", vec!["王先生", "100%_Ann", "王女士"]),
        ("%20%20", vec!["王先生", "100%_Ann", "王女士"]),
        ("王女士&kind=customer.created", vec![]),
        (
            "王女士&unreadOnly=true&kind=customer.assigned",
            vec!["王女士"],
        ),
    ] {
        let page = list(&office, &office.li, &format!("?search={search}")).await;
        let names: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["data"]["customerName"].as_str().unwrap())
            .collect();
        assert_eq!(names, found, "{search}");
        assert_eq!(page["total"], found.len(), "{search}");
    }
    for (page_number, items) in [(1, 1), (2, 1), (3, 0)] {
        let query = format!("?search=王&pageSize=1&page={page_number}");
        let page = list(&office, &office.li, &query).await;
        assert_eq!(page["items"].as_array().unwrap().len(), items, "{query}");
        assert_eq!(page["total"], 2, "{query}");
    }
}

async fn what_cannot_be_looked_for_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let long = "长".repeat(101);
    for (query, message) in [
        (format!("search={long}"), "字段 search 不能超过100字"),
        (
            "search=a%00b".to_owned(),
            "字段 search 包含不允许的控制字符",
        ),
        ("kind=customer.sold".to_owned(), "字段 kind 的值不正确"),
        ("unread=true".to_owned(), "不支持的字段：unread"),
        ("pageSize=101".to_owned(), "pageSize 必须在 1 到 100 之间"),
    ] {
        let path = format!("/api/notifications?{query}");
        let answer = office.api.get(&office.li, &path).await;
        assert_eq!(answer.said(), (400, message), "{query}");
    }
    let longest = "长".repeat(100);
    let page = list(&office, &office.li, &format!("?search={longest}")).await;
    assert_eq!(page["total"], 0);
}

async fn an_entry_is_deleted_by_its_owner_alone(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.tell(&office.li, "甲").await;
    let page = list(&office, &office.li, "").await;
    let path = format!(
        "/api/notifications/{}",
        page["items"][0]["id"].as_str().unwrap()
    );
    let before = database.contents().await;
    for (by, path) in [
        (&office.wang, path.as_str()),
        (&office.admin, path.as_str()),
        (&office.li, "/api/notifications/x"),
        (
            &office.li,
            "/api/notifications/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
        ),
    ] {
        let answer = office.api.delete(by, path).await;
        assert_eq!(answer.said(), (404, "通知不存在"), "{path}");
    }
    database.assert_unchanged_since(&before).await;
    let deleted = office.api.delete(&office.li, &path).await;
    assert_eq!(deleted.said(), (200, "删除成功"));
    assert_eq!(list(&office, &office.li, "").await["total"], 0);
    let again = office.api.delete(&office.li, &path).await;
    assert_eq!(again.said(), (404, "通知不存在"));
}

async fn everything_is_counted_by_kind_and_priority(database: &TestDatabase) {
    let office = Office::open(database).await;
    let nothing = json!({ "total": 0, "unread": 0, "today": 0 });
    let with = |name: &str, value: &str, figures: &Value| {
        let mut line = figures.as_object().unwrap().clone();
        line.insert(name.to_owned(), json!(value));
        Value::Object(line)
    };
    let stats = stats(&office, &office.li).await;
    assert_eq!(stats["byKind"], json!([]));
    assert_eq!(
        stats["byPriority"],
        json!([
            with("priority", "high", &nothing),
            with("priority", "medium", &nothing),
            with("priority", "low", &nothing)
        ])
    );
    let lead = database.lead("王女士", "13800138999", &office.zhou).await;
    for to in [&office.li, &office.wang, &office.li] {
        office.assign(&office.zhang, &lead, to).await.data();
    }
    let page = list(&office, &office.li, "").await;
    let read = json!({ "notificationIds": [page["items"][0]["id"]] });
    let marked = "/api/notifications/mark-read";
    office.api.put(&office.li, marked, &read).await.data();

    let stats = super::inbox::stats(&office, &office.li).await;
    assert_eq!(
        (&stats["total"], &stats["unread"], &stats["today"]),
        (&json!(3), &json!(2), &json!(3))
    );
    assert_eq!(
        stats["byKind"],
        json!([
            { "kind": "customer.assigned", "total": 2, "unread": 1, "today": 2 },
            { "kind": "customer.transferred_away", "total": 1, "unread": 1, "today": 1 },
        ])
    );
    let lines = stats["byPriority"].as_array().unwrap();
    let total: i64 = lines.iter().map(|l| l["total"].as_i64().unwrap()).sum();
    assert_eq!(total, 3);
}

async fn the_day_begins_at_midnight_in_the_configured_zone(database: &TestDatabase) {
    let office = Office::open(database).await;
    // Two days old, by its id.
    let old = shared::clock::Clock::now(&shared::clock::SystemClock)
        .before(std::time::Duration::from_secs(2 * 24 * 60 * 60));
    let id = shared::domain::NotificationId::earliest_at(old);
    database.shell(&format!(
        "INSERT INTO notifications (id, user_id, kind, title, content, priority, data, created_at) VALUES \
         ('{id}', '{}', 'customer.assigned', '', '', 'high', '{{}}', '2026-01-01 00:00:00')",
        office.li.id
    ));
    let stats = stats(&office, &office.li).await;
    assert_eq!(
        (&stats["total"], &stats["unread"], &stats["today"]),
        (&json!(1), &json!(1), &json!(0))
    );
}

async fn the_page_loads_nothing_from_elsewhere(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (path, content_type) in [
        ("/inbox", "text/html; charset=utf-8"),
        ("/inbox/inbox.js", "text/javascript; charset=utf-8"),
        ("/inbox/inbox.css", "text/css; charset=utf-8"),
    ] {
        let request = office.api.request(reqwest::Method::GET, path);
        let file = crate::harness::TestApi::send(request).await;
        let header = |name: &str| file.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (file.status, header("content-type")),
            (200, content_type.to_owned())
        );
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = file.body.as_str().unwrap();
        for address in [
            "http://",
            "https://",
            "=\"//",
            "url(",
            "innerHTML",
            "<style",
            " style=",
            " onclick=",
        ] {
            assert!(!text.contains(address), "{address} in {path}");
        }
    }
}

async fn list(office: &Office<'_>, by: &Session, query: &str) -> Value {
    let path = format!("/api/notifications{query}");
    office.api.get(by, &path).await.data()
}

async fn stats(office: &Office<'_>, by: &Session) -> Value {
    office.api.get(by, "/api/notifications/stats").await.data()
}
