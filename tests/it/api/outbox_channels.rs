use diesel::prelude::*;
use serde_json::{Value, json};
use shared::db::schema::operation_logs;
use shared::domain::Channel;

use super::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    channels_are_listed_with_their_settings_and_holds,
    an_admin_sets_how_relays_use_a_channel,
    an_admin_holds_a_channel_and_lifts_it_again,
    settings_that_cannot_be_are_refused,
);

const CHANNEL: &str = "/api/outbox/channels/wechat_subscribe";

/// The subscribe messages' channel, as it is listed.
async fn listed(office: &Office<'_>) -> Value {
    let channels = office
        .api
        .get(&office.zhang, "/api/outbox/channels")
        .await
        .data();
    let channels = channels.as_array().unwrap();
    assert_eq!(channels.len(), Channel::ALL.len());
    channels[0].clone()
}

async fn channels_are_listed_with_their_settings_and_holds(database: &TestDatabase) {
    let office = Office::open(database).await;
    assert_eq!(
        listed(&office).await,
        json!({
            "channel": "wechat_subscribe",
            "configured": true,
            "unknownOutcome": "resend",
            "concurrency": null,
            "ratePerMinute": null,
            "hold": null,
        })
    );
}

async fn an_admin_sets_how_relays_use_a_channel(database: &TestDatabase) {
    let office = Office::open(database).await;
    let body = json!({ "unknownOutcome": "assume_sent", "concurrency": 16, "ratePerMinute": 600 });
    let set = office.api.put(&office.admin, CHANNEL, &body).await.data();
    assert_eq!(set, listed(&office).await);
    assert_eq!(set["unknownOutcome"], "assume_sent");
    assert_eq!(set["concurrency"], 16);
    assert_eq!(set["ratePerMinute"], 600);

    let body = json!({ "unknownOutcome": "resend" });
    let set = office.api.put(&office.admin, CHANNEL, &body).await.data();
    assert_eq!(set["concurrency"], Value::Null);
    let recorded: i64 = database
        .read(|connection| {
            let recorded = operation_logs::table.filter(operation_logs::action.eq("channel.set"));
            Ok(recorded.count().get_result(connection)?)
        })
        .await;
    assert_eq!(recorded, 2);
}

async fn an_admin_holds_a_channel_and_lifts_it_again(database: &TestDatabase) {
    let office = Office::open(database).await;
    let hold = format!("{CHANNEL}/hold");
    let lift = format!("{CHANNEL}/lift");
    let body = json!({ "reason": "小程序升级" });
    let answer = office.api.post(&office.admin, &lift, &body).await;
    assert_eq!(answer.said(), (409, "渠道 wechat_subscribe 没有暂停发送"));

    let held = office.api.post(&office.admin, &hold, &body).await.data();
    assert_eq!(held["hold"]["cause"], "operator");
    assert_eq!(held["hold"]["reason"], "小程序升级");
    assert_eq!(held["hold"]["probeAt"], Value::Null);
    assert_eq!(held, listed(&office).await);

    let lifted = office.api.post(&office.admin, &lift, &body).await.data();
    assert_eq!(lifted["hold"], Value::Null);
    assert_eq!(lifted, listed(&office).await);
}

async fn settings_that_cannot_be_are_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    for (body, said) in [
        (
            json!({ "unknownOutcome": "forget" }),
            "unknownOutcome 必须是 resend、hold_for_operator 或 assume_sent",
        ),
        (
            json!({ "unknownOutcome": "resend", "concurrency": 0 }),
            "concurrency 必须在 1 到 4096 之间",
        ),
        (
            json!({ "unknownOutcome": "resend", "ratePerMinute": 6_000_001 }),
            "ratePerMinute 必须在 1 到 6000000 之间",
        ),
    ] {
        let answer = office.api.put(&office.admin, CHANNEL, &body).await;
        assert_eq!(answer.said(), (400, said));
    }
    let body = json!({ "unknownOutcome": "resend" });
    let unknown = "/api/outbox/channels/sms";
    let answer = office.api.put(&office.admin, unknown, &body).await;
    assert_eq!(answer.said(), (404, "通知渠道不存在"));
    let hold = format!("{CHANNEL}/hold");
    let body = json!({ "reason": " " });
    let answer = office.api.post(&office.admin, &hold, &body).await;
    assert_eq!(answer.said(), (400, "字段 reason 不能为空"));
    assert_eq!(listed(&office).await["hold"], Value::Null);
}
