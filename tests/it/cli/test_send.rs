use serde_json::Value;
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{Ended, RelayStage, TestDatabase, on_each_database};

on_each_database!(
    one_message_that_is_clearly_a_test_reaches_a_member_and_the_outbox_does_not_see_it,
    one_reaches_the_group,
    the_step_that_failed_is_named_with_what_to_do,
    what_is_not_configured_is_said_before_anything_is_asked,
);

/// The steps, each with its state and its text.
fn steps(ended: &Ended) -> Vec<(String, String, String)> {
    let steps: Vec<Value> = serde_json::from_str(&ended.printed).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps
        .iter()
        .map(|step| {
            (
                text(&step["step"]),
                text(&step["state"]),
                text(&step["text"]),
            )
        })
        .collect()
}

/// It failed at this step, the last one, saying this.
#[track_caller]
fn failed_at(ended: &Ended, step: &str, words: &[&str]) {
    assert!(!ended.status.success(), "{}", ended.said);
    let steps = steps(ended);
    let (last, before) = steps.split_last().unwrap();
    assert_eq!(
        (last.0.as_str(), last.1.as_str()),
        (step, "failed"),
        "{last:?}"
    );
    assert!(before.iter().all(|step| step.1 == "ok"), "{before:?}");
    for word in words {
        assert!(last.2.contains(word), "{word}: {}", last.2);
    }
}

async fn one_message_that_is_clearly_a_test_reaches_a_member_and_the_outbox_does_not_see_it(
    database: &TestDatabase,
) {
    let stage = RelayStage::wecom(database).await;
    let before = database.contents().await;
    for count in 1..=2 {
        let sent = stage.command(&["test-send", "wecom_app", "--to", "zhangsan"]);
        assert!(sent.status.success(), "{}", sent.said);
        for step in ["config", "token", "content", "send"] {
            assert!(sent.said.contains(&format!("{step:8} ok")), "{}", sent.said);
        }
        let arrived = stage.delivered_to("zhangsan");
        assert_eq!(arrived.len(), count);
        assert!(
            arrived[count - 1].is_shown(),
            "a second test is not a repeat"
        );
        let title = arrived[count - 1].data()["title"].clone();
        assert!(title.as_str().unwrap().contains("测试消息"), "{title}");
    }
    database.assert_unchanged_since(&before).await;
}

async fn one_reaches_the_group(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let sent = stage.command(&["test-send", "wecom_robot", "--json"]);
    assert!(sent.status.success(), "{}", sent.said);
    let names: Vec<String> = steps(&sent).into_iter().map(|step| step.0).collect();
    assert_eq!(names, ["config", "content", "send"]);
    let arrived = stage.delivered_to("会员登记群").remove(0).data();
    assert!(arrived["content"].as_str().unwrap().contains("测试消息"));
}

async fn the_step_that_failed_is_named_with_what_to_do(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let to =
        |recipient: &str| stage.command(&["test-send", "wecom_app", "--to", recipient, "--json"]);
    failed_at(&to("nobody"), "send", &["81013", "visible range"]);
    failed_at(
        &to("unlicensed|zhangsan"),
        "send",
        &["unlicenseduser unlicensed"],
    );
    failed_at(
        &to(&vec!["u"; 1_001].join("|")),
        "content",
        &["at most 1000"],
    );
    for (errcode, way_out) in [
        (40_013, "WECOM_CORPID"),
        (40_001, "WECOM_SECRET"),
        (60_020, "企业可信IP"),
    ] {
        stage
            .sandbox
            .add_fault(Fault::errcode(Api::WecomToken, errcode));
        failed_at(&to("zhangsan"), "token", &[&errcode.to_string(), way_out]);
    }
    let silent = Fault::on(Api::WecomSend, FaultAction::ResetBeforeAnswer).unprocessed();
    stage.sandbox.add_fault(silent);
    failed_at(&to("zhangsan"), "send", &["check WECOM_API_URL"]);
    let nobody = stage.command(&["test-send", "wecom_app", "--json"]);
    failed_at(&nobody, "config", &["--to"]);
}

async fn what_is_not_configured_is_said_before_anything_is_asked(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let app = stage.command(&["test-send", "wecom_app", "--to", "a", "--json"]);
    failed_at(
        &app,
        "config",
        &["WECOM_CORPID, WECOM_AGENTID, WECOM_SECRET"],
    );
    let robot = stage.command(&["test-send", "wecom_robot", "--json"]);
    failed_at(&robot, "config", &["WECOM_ROBOT_KEY"]);
    let other = stage.command(&["test-send", "wechat_cloud"]);
    super::refused(&other, "test-send knows wecom_app and wecom_robot");
    assert_eq!(stage.sandbox.stats().requests, 0);
}
