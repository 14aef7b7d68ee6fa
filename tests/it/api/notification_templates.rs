use diesel::prelude::*;
use serde_json::{Value, json};
use shared::db::schema::outbox_messages;
use shared::notification::Kind;
use shared::outbox::Priority;

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    every_kind_has_a_template_from_the_start,
    an_edited_template_is_what_everybody_is_told_in_from_then_on,
    what_is_not_edited_stays_as_the_program_has_it,
    what_could_never_be_filled_or_shown_is_refused_by_name,
    of_two_edits_of_one_version_one_is_refused,
    who_edited_what_is_remembered,
);

const PATH: &str = "/api/notification-templates/customer.assigned";

async fn every_kind_has_a_template_from_the_start(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = "/api/notification-templates";
    let all = office.api.get(&office.admin, path).await.data();
    let mut listed: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|template| {
            assert_eq!(template["edited"], json!([]));
            assert_eq!(template["version"], 0);
            template["kind"].as_str().unwrap()
        })
        .collect();
    let mut kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    listed.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(listed, kinds, "a new kind needs a row by a migration");

    let one = office.api.get(&office.admin, PATH).await.data();
    assert_eq!(
        one,
        json!({
            "kind": "customer.assigned",
            "title": "客户分配通知",
            "content": "您有新的客户【{{customerName}}】，电话：{{phone}}，来源：{{leadSource}}，请及时跟进！",
            "priority": "high",
            "link": "/customers/{{customerId}}",
            "button": "查看客户",
            "edited": [],
            "placeholders": [
                "customerId", "customerName", "phone", "leadSource", "serviceCategory", "count",
                "customerCount", "source", "assignerName", "operatorName", "newOwner", "time",
                "assignTime"
            ],
            "version": 0,
            "updatedBy": null,
            "updatedByName": null,
            "updatedAt": null,
        })
    );
}

async fn an_edited_template_is_what_everybody_is_told_in_from_then_on(database: &TestDatabase) {
    let office = Office::open(database).await;
    let other_process = crate::harness::TestApi::on(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    let body = json!({
        "title": "新客户 {{customerName}}",
        "content": "{{assignerName}} 给了您 {{ customerName }}\n{{serviceCategory}}",
        "priority": "low",
        "link": "https://crm.example.com/c/{{customerId}}",
        "button": "去看看",
    });
    let answer = office.api.put(&office.admin, PATH, &body).await;
    assert_eq!(answer.said(), (200, "通知模板已保存"));
    let saved = answer.data();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(saved[field], *value);
    }
    assert_eq!(
        saved["edited"],
        json!(["title", "content", "priority", "link", "button"])
    );
    assert_eq!(
        (&saved["version"], &saved["updatedByName"]),
        (&json!(1), &json!("系统管理员"))
    );

    other_process
        .assign(&office.zhang, &lead, &office.li)
        .await
        .data();
    let inbox = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    let told = &inbox["items"][0];
    assert_eq!(told["title"], "新客户 王女士");
    assert_eq!(told["content"], "张经理 给了您 王女士\n月嫂");
    assert_eq!(told["priority"], "low");
    assert_eq!(told["link"], format!("https://crm.example.com/c/{lead}"));
    let priorities: Vec<Priority> = outbox_messages::table
        .select(outbox_messages::priority)
        .load(&mut database.connection())
        .unwrap();
    assert_eq!(priorities, [Priority::Low, Priority::Low]);
}

async fn what_is_not_edited_stays_as_the_program_has_it(database: &TestDatabase) {
    let office = Office::open(database).await;
    let default = office.api.get(&office.admin, PATH).await.data();
    let put = async |body: Value| office.api.put(&office.admin, PATH, &body).await.data();
    let one = put(json!({ "title": "新客户", "content": null, "button": " " })).await;
    assert_eq!(
        (&one["title"], &one["edited"]),
        (&json!("新客户"), &json!(["title"]))
    );
    assert_eq!(one["content"], default["content"]);

    // Whoever sends back what they were shown has edited nothing.
    let shown = ["title", "content", "priority", "link", "button"]
        .map(|field| (field.to_owned(), default[field].clone()));
    let back = put(Value::Object(shown.into_iter().collect())).await;
    assert_eq!((&back["edited"], &back["version"]), (&json!([]), &json!(2)));
    let reset = put(json!({})).await;
    for field in ["title", "content", "priority", "link", "button"] {
        assert_eq!(reset[field], default[field]);
    }
}

async fn what_could_never_be_filled_or_shown_is_refused_by_name(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let put = async |path: &str, body: &Value| office.api.put(&office.admin, path, body).await;
    let kind = "/api/notification-templates/lead.auto_transfer_in";
    for (field, text) in [
        ("title", "{{customerName}}"),
        ("content", "{{count}} 条，{{nobody}}{{customerName}}"),
        ("link", "/customers/{{customerName}}"),
    ] {
        let answer = put(kind, &json!({ field: text })).await;
        let unknown = answer.body["error"]["details"]["unknown"].clone();
        assert_eq!(answer.status, 422, "{field}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("字段 {field} 中的占位符不存在："))
                && message.ends_with("可用：count、time"),
            "{message}"
        );
        assert_eq!(answer.body["error"]["details"]["field"], field);
        assert!(!unknown.as_array().unwrap().contains(&json!("count")));
    }
    for text in [
        "{{count",
        "{{}}",
        "{{#if count}}",
        "{{count|upper}}",
        "{{数量}}",
    ] {
        let answer = put(kind, &json!({ "content": text })).await;
        let message = "字段 content 的占位符格式不正确，应为 {{名称}}";
        assert_eq!(answer.said(), (422, message), "{text}");
    }
    for (path, body, message) in [
        (
            PATH,
            json!({ "title": "x".repeat(65) }),
            "字段 title 不能超过64字",
        ),
        (
            PATH,
            json!({ "title": "a\nb" }),
            "字段 title 包含不允许的控制字符",
        ),
        (
            PATH,
            json!({ "content": "x".repeat(1_001) }),
            "字段 content 不能超过1000字",
        ),
        (
            PATH,
            json!({ "button": "查看这个客户" }),
            "字段 button 不能超过4字",
        ),
        (
            PATH,
            json!({ "link": "javascript:alert(1)" }),
            "链接必须以 / 或 https:// 开头",
        ),
        (
            PATH,
            json!({ "link": "//evil.example.com" }),
            "链接必须以 / 或 https:// 开头",
        ),
        (
            PATH,
            json!({ "priority": "urgent" }),
            "字段 priority 的值不正确",
        ),
        (PATH, json!({ "text": "x" }), "不支持的字段：text"),
        (
            "/api/notification-templates/member.updated",
            json!({ "priority": "high" }),
            "会员通知由数据库触发器写入，优先级不能修改",
        ),
    ] {
        assert_eq!(put(path, &body).await.said(), (400, message), "{body}");
    }
    let unknown = put("/api/notification-templates/fax.sent", &json!({})).await;
    assert_eq!(unknown.said(), (404, "通知类型不存在"));
    database.assert_unchanged_since(&before).await;
}

async fn of_two_edits_of_one_version_one_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let put = async |title: &str| {
        let request = office
            .api
            .request(reqwest::Method::PUT, PATH)
            .header("if-match", "0")
            .bearer_auth(&office.admin.token)
            .json(&json!({ "title": title }));
        crate::harness::TestApi::send(request).await
    };
    let (one, other) = tokio::join!(put("甲"), put("乙"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let (won, lost) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(lost.said(), (409, "模板已被他人修改，请刷新后重试"));
    let stands = office.api.get(&office.admin, PATH).await.data();
    assert_eq!(stands["title"], won.body["data"]["title"]);
    assert_eq!(stands["version"], 1);
}

async fn who_edited_what_is_remembered(database: &TestDatabase) {
    let office = Office::open(database).await;
    for title in ["甲", "乙"] {
        let body = json!({ "title": title });
        office.api.put(&office.admin, PATH, &body).await.data();
    }
    let path = format!("{PATH}/history");
    let history = office.api.get(&office.admin, &path).await.data();
    let told: Vec<(&Value, &Value, &Value)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| {
            (
                &edit["actor"],
                &edit["detail"]["version"],
                &edit["detail"]["title"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (&json!("admin"), &json!(1), &json!("甲")),
            (&json!("admin"), &json!(2), &json!("乙")),
        ]
    );

    let route = "/api/notification-routes/customer.assigned/wechat_subscribe";
    let body = json!({ "enabled": true, "templateId": "t-1" });
    office.api.put(&office.admin, route, &body).await.data();
    let path = format!("{route}/history");
    let history = office.api.get(&office.admin, &path).await.data();
    assert_eq!(history[0]["detail"]["templateId"], "t-1");
    assert_eq!(history[0]["actor"], "admin");
}
