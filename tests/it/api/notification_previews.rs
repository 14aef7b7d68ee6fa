use serde_json::{Value, json};
use wechat_sandbox::{DEMO_AGENTID, DEMO_CORPID, DEMO_TEMPLATE_ID};

use super::Office;
use crate::harness::{Answer, CRM_URL, TestDatabase, on_each_database};

on_each_database!(
    the_example_is_shown_as_the_platform_would_get_it,
    what_is_not_saved_yet_is_shown_and_stays_unsaved,
    what_does_not_fit_is_told_with_both_texts,
    the_notification_centre_is_shown_too,
    what_cannot_be_sent_is_refused_by_name,
);

/// An office that has every channel, and says where it is in the web.
async fn open(database: &TestDatabase) -> Office<'_> {
    Office::open_with(database, |config| {
        config.wecom_corpid = Some(DEMO_CORPID.to_owned());
        config.wecom_agentid = Some(DEMO_AGENTID);
        config.crm_url = Some(CRM_URL.parse().unwrap());
    })
    .await
}

async fn preview(office: &Office<'_>, of: &str, body: &Value) -> Answer {
    let path = format!("/api/notification-templates/{of}/preview");
    office.api.post(&office.admin, &path, body).await
}

async fn the_example_is_shown_as_the_platform_would_get_it(database: &TestDatabase) {
    let office = open(database).await;
    let before = database.contents().await;
    let shown = preview(&office, "customer.assigned/wecom_app", &json!({})).await;
    assert_eq!(shown.said(), (200, "获取成功"));
    let shown = shown.data();
    assert_eq!(shown["path"], "/cgi-bin/message/send");
    let body = &shown["body"];
    assert_eq!(
        (&body["touser"], &body["agentid"], &body["msgtype"]),
        (
            &json!("RECIPIENT"),
            &json!(DEMO_AGENTID),
            &json!("textcard")
        )
    );
    let card = &body["textcard"];
    assert_eq!(card["title"], "客户分配通知");
    assert_eq!(
        card["description"],
        "您有新的客户【王女士】，电话：138****8999，来源：抖音，请及时跟进！"
    );
    let link = card["url"].as_str().unwrap();
    let page = "/customers/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff?message=";
    assert!(link.starts_with(&format!("{CRM_URL}{page}")), "{link}");
    assert_eq!(
        (&shown["warnings"], &shown["configured"], &shown["enabled"]),
        (&json!([]), &json!(true), &json!(false)),
        "no route sends it there yet"
    );
    assert_eq!(shown["data"]["customerName"], "王女士");

    let event = preview(&office, "customer.assigned/wechat_cloud", &json!({})).await;
    let event = event.data();
    assert_eq!(event["path"], "/tcb/invokecloudfunction");
    assert_eq!(event["body"]["notificationData"]["customerName"], "王女士");
    assert_eq!(event["enabled"], true);
    // It needs no body at all.
    let path = "/api/notification-templates/customer.assigned/wecom_robot/preview";
    let robot = office.api.post(&office.admin, path, &Value::Null).await;
    assert_eq!(robot.status, 400, "null is no object");
    let request = office.api.request(reqwest::Method::POST, path);
    let robot = crate::harness::TestApi::send(request.bearer_auth(&office.admin.token))
        .await
        .data();
    assert_eq!(robot["body"]["msgtype"], "markdown");
    assert_eq!(robot["configured"], false);
    database.assert_unchanged_since(&before).await;
}

async fn what_is_not_saved_yet_is_shown_and_stays_unsaved(database: &TestDatabase) {
    let office = open(database).await;
    let before = database.contents().await;
    let body = json!({
        "data": { "customerName": "赵先生", "customerId": "c 1/2", "phone": 110 },
        "template": { "title": "新客户 {{customerName}}", "content": "{{phone}}", "button": "去看" },
        "route": { "enabled": true, "format": "textcard", "fields": { "description": "电话 {{phone}}" } },
    });
    let shown = preview(&office, "customer.assigned/wecom_app", &body)
        .await
        .data();
    let card = &shown["body"]["textcard"];
    assert_eq!(
        (&card["title"], &card["description"], &card["btntxt"]),
        (&json!("新客户 赵先生"), &json!("电话 110"), &json!("去看"))
    );
    assert!(
        card["url"]
            .as_str()
            .unwrap()
            .contains("/customers/c%201%2F2?")
    );
    assert_eq!(
        (&shown["enabled"], &shown["warnings"]),
        (&json!(true), &json!([]))
    );
    database.assert_unchanged_since(&before).await;
}

async fn what_does_not_fit_is_told_with_both_texts(database: &TestDatabase) {
    let office = open(database).await;
    let body = json!({
        "data": { "customerName": "一位名字非常非常长以至于放不下的客户女士", "source": "抖音" },
        "route": {
            "enabled": true,
            "templateId": DEMO_TEMPLATE_ID,
            "fields": { "thing1": "{{customerName}}老客户", "thing2": "{{leadSource}}" },
            "page": "pages/index",
        },
    });
    let shown = preview(&office, "customer.assigned/wechat_subscribe", &body)
        .await
        .data();
    assert_eq!(
        shown["body"],
        json!({
            "touser": "RECIPIENT",
            "template_id": DEMO_TEMPLATE_ID,
            "page": "pages/index",
            "data": {
                "thing1": { "value": "一位名字非常非常长以至于放不下的客户女…" },
                "thing2": { "value": "-" },
            },
            "miniprogram_state": "formal",
            "lang": "zh_CN",
        })
    );
    assert_eq!(
        shown["warnings"],
        json!([
            {
                "code": "missing",
                "field": "thing2",
                "message": "thing2 中的 {{leadSource}} 没有值，显示为 -",
            },
            {
                "code": "unfit",
                "field": "thing1",
                "message": "thing1 的内容有 23 个字符，最多 20 个，已调整",
                "full": "一位名字非常非常长以至于放不下的客户女士老客户",
                "shown": "一位名字非常非常长以至于放不下的客户女…",
            },
        ])
    );
}

async fn the_notification_centre_is_shown_too(database: &TestDatabase) {
    let office = open(database).await;
    let body = json!({ "data": { "newOwner": "李四" }, "template": { "priority": "low" } });
    let shown = preview(&office, "customer.transferred_away/inbox", &body)
        .await
        .data();
    assert_eq!(shown["path"], Value::Null);
    let entry = &shown["body"];
    assert_eq!(entry["title"], "客户转移通知");
    assert_eq!(entry["content"], "客户 - 已由 - 转移给 李四");
    assert_eq!(entry["priority"], "low");
    let warnings = shown["warnings"].as_array().unwrap();
    assert!(warnings.iter().all(|warning| warning["code"] == "missing"));
    assert!(warnings.iter().any(|warning| warning["field"] == "content"));
}

async fn what_cannot_be_sent_is_refused_by_name(database: &TestDatabase) {
    let office = open(database).await;
    for (of, body, status, message, field) in [
        (
            "fax.sent/wecom_app",
            json!({}),
            404,
            "通知类型不存在",
            Value::Null,
        ),
        (
            "customer.assigned/fax",
            json!({}),
            404,
            "通知渠道不存在",
            Value::Null,
        ),
        (
            "customer.assigned/wechat_subscribe",
            json!({}),
            422,
            "渠道设置中没有订阅消息的模板编号，请填写小程序后台的模板 ID",
            json!("templateId"),
        ),
        (
            "contract.signed/wecom_app",
            json!({ "data": { "customerNam": "王女士" } }),
            422,
            "data 中的名称不存在：customerNam。可用：contractId、contractNumber、customerName、workerName、time",
            json!("data"),
        ),
        (
            "contract.signed/wecom_app",
            json!({ "data": { "time": ["本周"] } }),
            422,
            "data.time 必须是文字、数字或 true/false",
            json!("data.time"),
        ),
        (
            "contract.signed/wecom_app",
            json!({ "data": { "time": "长".repeat(30_000) } }),
            400,
            "data 不能超过 64 KiB",
            json!("data"),
        ),
        (
            "customer.assigned/wecom_app",
            json!({ "route": { "enabled": true, "fields": { "thing1": "x" } } }),
            422,
            "字段 thing1 不存在，可用：title、description、url、btntxt、content",
            json!("fields.thing1"),
        ),
        (
            "customer.assigned/wecom_app",
            json!({ "route": { "enabled": true, "fields": { "url": "crm.example.com" } } }),
            422,
            "链接 crm.example.com 不是网址，必须以 https:// 开头，或以 / 开头表示 CRM 的页面",
            json!("url"),
        ),
        (
            "customer.assigned/wecom_robot",
            json!({ "route": { "enabled": true, "format": "text" }, "data": { "leadSource": "长".repeat(900) } }),
            422,
            "content 有 2841 字节，平台最多接受 2048 字节，请缩短",
            json!("content"),
        ),
        (
            "customer.assigned/inbox",
            json!({ "route": { "enabled": true } }),
            400,
            "站内通知没有渠道设置",
            json!("route"),
        ),
        (
            "customer.assigned/inbox",
            json!({ "template": { "title": "{{customer}}" } }),
            422,
            "",
            json!("title"),
        ),
        (
            "customer.assigned/inbox",
            json!({ "words": {} }),
            400,
            "不支持的字段：words",
            json!("words"),
        ),
    ] {
        let answer = preview(&office, of, &body).await;
        let told = format!("{of} {body}: {}", answer.body);
        assert_eq!(answer.status, status, "{told}");
        if !message.is_empty() {
            assert_eq!(answer.said().1, message, "{told}");
        }
        assert_eq!(answer.body["error"]["details"]["field"], field, "{told}");
    }
}
