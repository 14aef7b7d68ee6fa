use serde_json::{Value, json};
use shared::notification::Kind;

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_route_is_put_replaced_and_listed,
    a_route_on_a_channel_that_is_not_configured_says_so,
    a_route_decides_at_once_what_goes_out,
    what_is_no_route_is_refused_and_nothing_is_written,
    a_route_of_members_says_who_gets_it,
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
        assert_eq!(
            routes.len(),
            2 * Kind::ALL.len() + 4 + 1,
            "every kind on two channels, those of members on two more, digests on one more, none twice"
        );
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
                "format": null,
                "recipients": null,
                "fallback": null,
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
    for (kind_and_channel, fields, field, message) in [
        (
            "customer.assigned/wechat_subscribe",
            json!({ "headline": "{{customerName}}" }),
            "fields.headline",
            "字段 headline 不是订阅消息的字段，应为类型加编号，例如 thing1、time2、name3",
        ),
        (
            "customer.assigned/wechat_subscribe",
            json!({ "thing1": "{{customer}}" }),
            "fields.thing1",
            "字段 fields.thing1 中的占位符不存在：customer。可用：customerId、customerName、phone、leadSource、serviceCategory、count、customerCount、source、assignerName、operatorName、newOwner、time、assignTime",
        ),
        (
            "customer.assigned/wechat_subscribe",
            json!({ "phrase1": "this is no phrase" }),
            "fields.phrase1",
            "字段 phrase1 的内容不符合该类型的要求：the character 't' does not fit this field",
        ),
        (
            "customer.assigned/wecom_app",
            json!({ "thing1": "x" }),
            "fields.thing1",
            "字段 thing1 不存在，可用：title、description、url、btntxt、content",
        ),
    ] {
        let path = format!("/api/notification-routes/{kind_and_channel}");
        let body = json!({ "enabled": true, "fields": fields });
        let answer = office.api.put(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (422, message));
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_route_of_members_says_who_gets_it(database: &TestDatabase) {
    let office = Office::open_with(database, |config| {
        config.wecom_corpid = Some("ww1".to_owned());
        config.wecom_agentid = Some(1_000_002);
    })
    .await;
    let routes = office
        .api
        .get(&office.admin, "/api/notification-routes")
        .await
        .data();
    let of_wecom: Vec<String> = routes
        .as_array()
        .unwrap()
        .iter()
        .filter(|route| route["channel"].as_str().unwrap().starts_with("wecom"))
        .filter(|route| route["kind"].as_str().unwrap().starts_with("member."))
        .map(|route| {
            assert_eq!(route["recipients"], Value::Null);
            let text = |field: &str| route[field].to_string().replace('"', "");
            let fields = ["kind", "channel", "enabled", "configured", "format"];
            fields.map(text).join(" ")
        })
        .collect();
    assert_eq!(
        of_wecom,
        [
            "member.registered wecom_app false true textcard",
            "member.registered wecom_robot false false markdown",
            "member.updated wecom_app false true textcard",
            "member.updated wecom_robot false false markdown",
        ],
        "there from the start, and off"
    );
    let before = database.contents().await;
    let long = vec!["x"; 1_001].join("|");
    for (path, body, message) in [
        (
            "member.registered/wecom_app",
            json!({ "enabled": true }),
            "启用会员通知前请先指定接收人",
        ),
        (
            "member.updated/wecom_robot",
            json!({ "enabled": true, "recipients": "" }),
            "启用会员通知前请先指定接收人",
        ),
        (
            "member.updated/wechat_subscribe",
            json!({ "enabled": true, "recipients": "@all" }),
            "会员通知只能通过企业微信发送",
        ),
        (
            "customer.assigned/wecom_app",
            json!({ "enabled": true, "recipients": "@all" }),
            "此类通知发给相关员工本人，不能指定接收人",
        ),
        (
            "member.registered/wecom_app",
            json!({ "enabled": true, "recipients": "li||wang" }),
            "接收人之间用一个 | 分隔",
        ),
        (
            "member.registered/wecom_app",
            json!({ "enabled": true, "recipients": "li wang" }),
            "接收人不能有空格或控制字符",
        ),
        (
            "member.registered/wecom_app",
            json!({ "enabled": true, "recipients": long }),
            "接收人不能超过1000个",
        ),
        (
            "member.registered/wecom_app",
            json!({ "enabled": true, "recipients": "@all", "format": "html" }),
            "消息格式必须是 text、textcard 或 markdown",
        ),
    ] {
        let path = format!("/api/notification-routes/{path}");
        let answer = office.api.put(&office.admin, &path, &body).await;
        assert_eq!(answer.said(), (400, message), "{path}");
    }
    database.assert_unchanged_since(&before).await;
    for body in [
        json!({ "enabled": true, "recipients": "li|wang", "format": "text" }),
        json!({ "enabled": false, "recipients": "@all" }),
        json!({ "enabled": false }),
    ] {
        let path = "/api/notification-routes/member.registered/wecom_app";
        let route = office.api.put(&office.admin, path, &body).await.data();
        for field in ["enabled", "recipients", "format"] {
            assert_eq!(route[field], body[field]);
        }
    }
}
