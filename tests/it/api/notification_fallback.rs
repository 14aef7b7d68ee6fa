use serde_json::{Value, json};
use shared::domain::Channel;
use shared::outbox::{FallbackCause, FallbackChannels, Settlement, Status, Verdict, settle};

use super::Office;
use crate::harness::{Answer, Gate, TestDatabase, moment, on_each_database, relay, settlement};

on_each_database!(
    a_fallback_is_saved_listed_and_kept_in_the_history,
    from_then_on_the_second_channel_waits_for_its_turn,
    a_fallback_that_makes_no_sense_is_refused_and_named,
    of_two_who_close_a_circle_at_once_one_is_refused,
    the_operators_views_show_where_a_message_went,
    what_has_gone_on_is_overtaken_by_the_message_to_the_new_owner,
);

const ROUTES: &str = "/api/notification-routes";

async fn put(office: &Office<'_>, route: &str, fallback: Value) -> Answer {
    let body = json!({ "enabled": true, "fallback": fallback });
    let path = format!("{ROUTES}/{route}");
    office.api.put(&office.admin, &path, &body).await
}

async fn a_fallback_is_saved_listed_and_kept_in_the_history(database: &TestDatabase) {
    let office = Office::open(database).await;
    let route = "customer.assigned/wechat_subscribe";
    for fallback in [json!("wechat_cloud"), Value::Null, json!("")] {
        let saved = put(&office, route, fallback.clone()).await.data();
        let shown = if fallback == "" {
            &Value::Null
        } else {
            &fallback
        };
        assert_eq!(&saved["fallback"], shown);
        let routes = office.api.get(&office.admin, ROUTES).await.data();
        let listed = routes.as_array().unwrap().iter().find(|listed| {
            listed["kind"] == "customer.assigned" && listed["channel"] == "wechat_subscribe"
        });
        assert_eq!(listed, Some(&saved));
    }
    let path = format!("{ROUTES}/{route}/history");
    let history = office.api.get(&office.admin, &path).await.data();
    let changes: Vec<&Value> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["detail"]["fallback"])
        .collect();
    assert_eq!(
        changes,
        [&json!("wechat_cloud"), &Value::Null, &Value::Null]
    );
}

async fn from_then_on_the_second_channel_waits_for_its_turn(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    put(
        &office,
        "customer.assigned/wechat_subscribe",
        json!("wechat_cloud"),
    )
    .await
    .data();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    assert_eq!(
        database.news().await,
        ["customer.assigned li: inbox wechat_subscribe"]
    );
    let messages = database.messages().await;
    assert_eq!(
        messages[0].fallbacks.as_ref().map(FallbackChannels::as_str),
        Some("wechat_cloud")
    );
}

async fn a_fallback_that_makes_no_sense_is_refused_and_named(database: &TestDatabase) {
    let office = Office::open(database).await;
    for route in ["customer.assigned/wecom_app", "report.weekly/wecom_app"] {
        put(&office, route, Value::Null).await.data();
    }
    put(
        &office,
        "customer.assigned/wechat_cloud",
        json!("wechat_subscribe"),
    )
    .await
    .data();
    let before = database.contents().await;
    for (route, fallback, message) in [
        (
            "customer.assigned/wecom_app",
            "wecom_app",
            "后备渠道不能是该渠道本身",
        ),
        (
            "customer.assigned/wecom_app",
            "pigeon",
            "后备渠道不存在，可用：wechat_subscribe、wechat_cloud、wecom_app、wecom_robot",
        ),
        (
            "customer.assigned/wecom_app",
            "wecom_robot",
            "wecom_robot 发送到群而不是个人，不能设置或用作后备渠道",
        ),
        (
            "customer.assigned/wecom_robot",
            "wecom_app",
            "wecom_robot 发送到群而不是个人，不能设置或用作后备渠道",
        ),
        (
            "report.weekly/wecom_app",
            "wechat_cloud",
            "云函数只发送客户分配类通知，不能用作此类通知的后备渠道",
        ),
        (
            "customer.created/wechat_subscribe",
            "wecom_app",
            "此类通知在 wecom_app 上还没有设置，请先保存该渠道",
        ),
        (
            "customer.assigned/wecom_app",
            "wechat_subscribe",
            "该渠道已是 wechat_cloud 的后备渠道，请先在 wechat_cloud 上清除",
        ),
        (
            "customer.assigned/wechat_subscribe",
            "wechat_cloud",
            "后备渠道不能循环：wechat_subscribe → wechat_cloud → wechat_subscribe",
        ),
    ] {
        let answer = put(&office, route, json!(fallback)).await;
        assert_eq!(answer.said(), (422, message), "{route} {fallback}");
        assert_eq!(answer.body["error"]["details"]["field"], "fallback");
    }
    let body = json!({ "enabled": true, "recipients": "@all", "fallback": "wecom_robot" });
    let path = format!("{ROUTES}/member.registered/wecom_app");
    let answer = office.api.put(&office.admin, &path, &body).await;
    assert_eq!(
        answer.said(),
        (422, "会员通知按渠道指定接收人，不能设置后备渠道")
    );
    database.assert_unchanged_since(&before).await;
}

async fn of_two_who_close_a_circle_at_once_one_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let gate = Gate::before(database, "notification_templates");
    let (one, other, ()) = tokio::join!(
        put(
            &office,
            "customer.assigned/wechat_subscribe",
            json!("wechat_cloud")
        ),
        put(
            &office,
            "customer.assigned/wechat_cloud",
            json!("wechat_subscribe")
        ),
        gate.open_when_waiting(2),
    );
    let mut statuses = [one.said().0, other.said().0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422]);
}

async fn the_operators_views_show_where_a_message_went(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    put(
        &office,
        "customer.assigned/wechat_subscribe",
        json!("wechat_cloud"),
    )
    .await
    .data();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    go_on(database).await;
    let list = office.api.get(&office.admin, "/api/outbox").await.data();
    let (next, first) = (&list["items"][0], &list["items"][1]);
    assert_eq!(
        (
            &first["fellBackTo"],
            &first["fallbacks"],
            &first["fallbackOf"]
        ),
        (&next["id"], &json!(["wechat_cloud"]), &Value::Null)
    );
    assert_eq!(
        (&next["fellBackTo"], &next["fallbacks"], &next["fallbackOf"]),
        (&Value::Null, &json!([]), &first["id"])
    );
    let explain = async |message: &Value| {
        let path = format!("/api/outbox/{}/explain", message["id"].as_str().unwrap());
        office.api.get(&office.admin, &path).await.data()
    };
    let told = explain(first).await;
    let id = next["id"].as_str().unwrap();
    assert_eq!(
        told["text"],
        format!("接收人未绑定该应用；已改由 wechat_cloud 发送：{id}")
    );
    assert_eq!(told["fix"], Value::Null);
    assert_eq!(
        told["fellBackTo"],
        json!({ "id": id, "channel": "wechat_cloud", "status": "pending" })
    );
    let told = explain(next).await;
    assert_eq!(told["fallbackOf"]["id"], first["id"]);
    let failures = office
        .api
        .get(&office.admin, "/api/outbox/failures")
        .await
        .data();
    assert_eq!(failures[0]["lastWeekFellBack"], 1);
}

/// A relay finds the one message that is due out of reach on its channel.
async fn go_on(database: &TestDatabase) {
    let name = relay("a");
    let now = database.messages().await[0].due_at;
    let claimed = database
        .claim_on(Channel::WechatSubscribe, &name, 1, now)
        .await;
    let mut ended = Settlement {
        falls_back: Some(FallbackCause::NoBinding),
        ..settlement(&claimed[0], Verdict::Pointless, moment())
    };
    ended.report.errcode = None;
    ended.report.error = Some("the recipient has no binding for this app".to_owned());
    database
        .write(move |transaction| settle(transaction, &name, &[ended], now))
        .await;
}

async fn what_has_gone_on_is_overtaken_by_the_message_to_the_new_owner(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    put(
        &office,
        "customer.assigned/wechat_subscribe",
        json!("wechat_cloud"),
    )
    .await
    .data();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    go_on(database).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let messages = database.messages().await;
    let to = |who: &str, channel| {
        messages
            .iter()
            .find(|one| {
                one.kind == "customer.assigned"
                    && one.recipient_id.as_str() == who
                    && one.channel == channel
            })
            .unwrap()
    };
    let gone_on = to(&office.li.id, Channel::WechatCloud);
    let new = to(&office.wang.id, Channel::WechatSubscribe);
    assert_eq!(
        (gone_on.status, gone_on.superseded_by.as_ref()),
        (Status::Cancelled, Some(&new.id))
    );
}
