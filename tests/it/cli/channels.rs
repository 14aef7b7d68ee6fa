use serde_json::{Value, json};
use shared::domain::Channel;
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    what_the_platform_held_is_shown_and_lifted,
    an_operator_holds_a_channel_until_somebody_lifts_it,
    settings_are_changed_one_by_one,
    a_wish_that_cannot_be_met_changes_nothing,
    what_recipients_and_robots_may_have_is_shown,
);

async fn enqueue_one(stage: &RelayStage<'_>) {
    let employee = stage.employee().await;
    stage
        .assign(&[employee.id], &[Channel::WechatSubscribe])
        .await;
}

fn subscribe(stage: &RelayStage<'_>) -> Value {
    let channels = stage.command(&["channels", "--json"]).json();
    let found = channels.as_array().unwrap().iter();
    found
        .clone()
        .find(|state| state["channel"] == "wechat_subscribe")
        .unwrap()
        .clone()
}

async fn what_the_platform_held_is_shown_and_lifted(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    enqueue_one(&stage).await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 48_001));
    stage.deliver().await;
    let hold = subscribe(&stage)["hold"].clone();
    assert_eq!(
        (&hold["cause"], &hold["errcode"]),
        (&json!("platform"), &json!(48_001))
    );
    assert!(stage.command(&["channels"]).said.contains("48001"));
    let lifted = stage.command(&["lift", "wechat_subscribe", "--reason", "granted"]);
    assert_eq!(lifted.said, "channel wechat_subscribe is no longer held\n");
    assert_eq!(subscribe(&stage)["hold"], Value::Null);
    // The command line follows the database's clock.
    assert!(stage.command(&["run", "--once"]).status.success());
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn an_operator_holds_a_channel_until_somebody_lifts_it(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    enqueue_one(&stage).await;
    let held = stage.command(&["hold", "wechat_subscribe", "--reason", "template wrong"]);
    assert!(held.status.success(), "{}", held.said);
    assert!(stage.command(&["run", "--once"]).status.success());
    assert_eq!(stage.only_message().await.status, Status::Pending);
    assert!(stage.command(&["channels"]).said.contains("template wrong"));
    stage.command(&["lift", "wechat_subscribe", "--reason", "template mended"]);
    assert!(stage.command(&["run", "--once"]).status.success());
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn settings_are_changed_one_by_one(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let of = |words: &[&str]| {
        let all = [&["channels", "set", "wechat_subscribe"][..], words].concat();
        let set = stage.command(&all).json();
        (
            set["unknownOutcome"].clone(),
            set["concurrency"].clone(),
            set["ratePerMinute"].clone(),
        )
    };
    let (resend, hold) = (json!("resend"), json!("hold_for_operator"));
    assert_eq!(
        of(&["--concurrency", "8"]),
        (resend.clone(), json!(8), Value::Null)
    );
    assert_eq!(
        of(&["--rate-per-minute", "600"]),
        (resend, json!(8), json!(600))
    );
    assert_eq!(
        of(&[
            "--unknown-outcome",
            "hold_for_operator",
            "--concurrency",
            "default"
        ]),
        (hold.clone(), Value::Null, json!(600))
    );
    let last = of(&["--rate-per-minute", "none"]);
    assert_eq!(last, (hold, Value::Null, Value::Null));
}

async fn a_wish_that_cannot_be_met_changes_nothing(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let before = database.contents().await;
    for (words, complaint) in [
        (
            &["lift", "wechat_cloud", "--reason", "x"][..],
            "channel wechat_cloud is not held",
        ),
        (&["hold", "sms", "--reason", "x"], "is not a channel"),
        (&["hold", "wechat_cloud"], "--reason"),
        (&["channels", "set", "wechat_cloud"], "nothing to set"),
        (
            &["channels", "set", "wechat_cloud", "--concurrency", "0"],
            "must be 1 to 4096, or default",
        ),
        (
            &[
                "channels",
                "set",
                "wechat_cloud",
                "--unknown-outcome",
                "pray",
            ],
            "known: resend, hold_for_operator, assume_sent",
        ),
    ] {
        let refused = stage.command(words);
        assert!(!refused.status.success(), "{words:?}");
        assert!(
            refused.said.contains(complaint),
            "{words:?}: {}",
            refused.said
        );
    }
    database.assert_unchanged_since(&before).await;
}

async fn what_recipients_and_robots_may_have_is_shown(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let channels = stage.command(&["channels", "--json"]).json();
    for state in channels.as_array().unwrap() {
        let (rate, limit) = match state["channel"].as_str().unwrap() {
            "wecom_app" => (Value::Null, json!({"perMinute": 30, "perHour": 1_000})),
            "wecom_robot" => (json!(20), Value::Null),
            _ => (Value::Null, Value::Null),
        };
        assert_eq!(state["ratePerMinute"], rate, "{state}");
        assert_eq!(state["recipientLimit"], limit, "{state}");
    }
    let table = stage.command(&["channels"]).said;
    assert!(table.contains("30/min, 1000/h"), "{table}");
}
