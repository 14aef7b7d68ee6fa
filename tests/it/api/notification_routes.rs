use serde_json::{Value, json};

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_route_is_put_replaced_and_listed,
    a_route_on_a_channel_that_is_not_configured_says_so,
    a_route_decides_at_once_what_goes_out,
    what_is_no_route_is_refused_and_nothing_is_written,
);

const PATH: &str = "/api/notification-routes/customer.assigned/wechat_subscribe";

async fn a_route_is_put_replaced_and_listed(database: &TestDatabase) {
    let office = Office::open(database).await;
    let listed = async || {
        let routes = office
            .api
            .get(&office.admin, "/api/notification-routes")
            .await
            .data();
        let routes = routes.as_array().unwrap().clone();
        assert_eq!(routes.len(), 10, "five kinds on two channels, none twice");
        let wanted = |route: &&Value| {
            route["kind"] == "customer.assigned" && route["channel"] == "wechat_subscribe"
        };
        routes.iter().find(wanted).unwrap().clone()
    };
    let first = json!({
        "enabled": true, "templateId": "template-1", "page": "pages/lead?id={{customerId}}",
        "fields": { "thing1": "{{customerName}}", "time4": "{{time}}" },
    });
    for (body, enabled, template, page, fields) in [
        (
            first.clone(),
            true,
            &first["templateId"],
            &first["page"],
            &first["fields"],
        ),
        (
            json!({ "enabled": false }),
            false,
            &Value::Null,
            &Value::Null,
            &json!({}),
        ),
    ] {
        let answer = office.api.put(&office.admin, PATH, &body).await;
        assert_eq!(answer.said(), (200, "通知渠道已保存"));
        let route = answer.data();
        assert_eq!(
            route,
            json!({
                "kind": "customer.assigned",
                "channel": "wechat_subscribe",
                "enabled": enabled,
                "configured": true,
                "templateId": template,
                "page": page,
                "fields": fields,
            })
        );
        assert_eq!(listed().await, route);
    }
}

async fn a_route_on_a_channel_that_is_not_configured_says_so(database: &TestDatabase) {
    let office = Office::open(database).await;
    let path = "/api/notification-routes/customer.assigned/wecom_app";
    let route = office
        .api
        .put(&office.admin, path, &json!({ "enabled": true }))
        .await
        .data();
    assert_eq!(
        (&route["enabled"], &route["configured"]),
        (&json!(true), &json!(false))
    );
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    assert_eq!(
        database.news().await,
        ["customer.assigned li: inbox wechat_cloud wechat_subscribe"]
    );
}

async fn a_route_decides_at_once_what_goes_out(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    office
        .api
        .put(&office.admin, PATH, &json!({ "enabled": false }))
        .await
        .data();
    office
        .assign(&office.zhang, &lead, &office.zhang)
        .await
        .data();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    assert_eq!(
        database.news().await,
        ["customer.assigned li: inbox wechat_cloud"]
    );
}

async fn what_is_no_route_is_refused_and_nothing_is_written(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let right = json!({ "enabled": true });
    let many: Value = (0..21).map(|n| (format!("thing{n}"), json!("x"))).collect();
    for (path, body, message) in [
        (
            "/api/notification-routes/x/wechat_cloud",
            &right,
            "通知类型不存在",
        ),
        (
            "/api/notification-routes/customer.assigned/fax",
            &right,
            "通知渠道不存在",
        ),
        (PATH, &json!({}), "缺少字段：enabled"),
        (
            PATH,
            &json!({ "enabled": "yes" }),
            "字段 enabled 的值不正确",
        ),
        (
            PATH,
            &json!({ "enabled": true, "template": "x" }),
            "不支持的字段：template",
        ),
        (
            PATH,
            &json!({ "enabled": true, "templateId": "x".repeat(65) }),
            "字段 templateId 不能超过64字",
        ),
        (
            PATH,
            &json!({ "enabled": true, "page": "x".repeat(257) }),
            "字段 page 不能超过256字",
        ),
        (
            PATH,
            &json!({ "enabled": true, "page": "a\nb" }),
            "字段 page 包含不允许的控制字符",
        ),
        (
            PATH,
            &json!({ "enabled": true, "fields": many }),
            "fields 不能超过20项",
        ),
        (
            PATH,
            &json!({ "enabled": true, "fields": { "thing1": "x".repeat(201) } }),
            "字段 fields.thing1 不能超过200字",
        ),
        (
            PATH,
            &json!({ "enabled": true, "fields": { " ": "x" } }),
            "字段 fields 不能为空",
        ),
        (
            PATH,
            &json!({ "enabled": true, "fields": { "thing1": 7 } }),
            "字段 fields.thing1 的值不正确",
        ),
    ] {
        let answer = office.api.put(&office.admin, path, body).await;
        assert_eq!(answer.said(), (400, message), "{path} {body}");
    }
    database.assert_unchanged_since(&before).await;
}
