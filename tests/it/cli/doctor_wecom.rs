use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::domain::Channel;
use shared::notification::Kind;
use wechat_sandbox::{Api, Fault};

use crate::harness::{Ended, RelayStage, TestDatabase, on_each_database, relay, run, seconds};

on_each_database!(
    a_healthy_installation_is_told_so_and_nothing_is_sent,
    what_wecom_says_comes_under_what_it_is_about_with_the_way_out,
    what_is_missing_for_the_routes_is_named,
);

/// The lines about this: their states and texts.
fn lines(ended: &Ended, what: &str) -> Vec<(String, String)> {
    let lines: Vec<Value> = serde_json::from_str(&ended.printed).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines
        .iter()
        .filter(|line| line["what"] == what)
        .map(|line| (text(&line["state"]), text(&line["text"])))
        .collect()
}

#[track_caller]
fn only_line(ended: &Ended, what: &str, state: &str, words: &[&str]) {
    let lines = lines(ended, what);
    assert_eq!(lines.len(), 1, "{what}: {lines:?}");
    assert_eq!(lines[0].0, state, "{what}: {lines:?}");
    for word in words {
        assert!(lines[0].1.contains(word), "{what}: {lines:?}");
    }
}

async fn a_healthy_installation_is_told_so_and_nothing_is_sent(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    stage.employee().await;
    database
        .register(&relay("worker"), SystemClock.now().after(seconds(600)))
        .await;
    let ended = stage.command(&["doctor", "--json"]);
    assert!(ended.status.success(), "{}", ended.said);
    only_line(&ended, "wecom", "ok", &["answers"]);
    only_line(&ended, "corp", "ok", &["ww6d2f81c04be95a37"]);
    only_line(&ended, "secret", "ok", &[]);
    only_line(&ended, "agent", "ok", &["1000002 is 驿站通知"]);
    only_line(&ended, "allow-list", "ok", &[]);
    only_line(&ended, "robot", "ok", &["test-send"]);
    assert_eq!(stage.sandbox.stats().accepted, 0);
    // Members' routes alone need nobody's binding to the corporation.
    only_line(&ended, "bindings", "ok", &["mini_program:"]);
}

async fn what_wecom_says_comes_under_what_it_is_about_with_the_way_out(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    for (api, errcode, what, words) in [
        (Api::WecomToken, 40_013, "corp", &["WECOM_CORPID"][..]),
        (Api::WecomToken, 40_001, "secret", &["WECOM_SECRET"]),
        (Api::WecomToken, 40_091, "secret", &["same corporation"]),
        (Api::WecomToken, 60_020, "allow-list", &["add 127.0.0.1 to"]),
        (Api::WecomAgent, 60_020, "allow-list", &["add 127.0.0.1 to"]),
        (Api::WecomAgent, 301_002, "agent", &["WECOM_AGENTID"]),
        (Api::WecomAgent, 50_003, "agent", &["启用"]),
    ] {
        stage.sandbox.add_fault(Fault::errcode(api, errcode));
        let ended = stage.command(&["doctor", "--json"]);
        assert!(!ended.status.success());
        only_line(&ended, what, "bad", words);
        only_line(&ended, "wecom", "ok", &["answers"]);
    }
    let mut arguments = stage.relay_arguments(&["--wecom-api-url", "http://127.0.0.1:9"]);
    arguments.extend(["doctor", "--json"].map(str::to_owned));
    let ended = run("outbox-relay", &arguments);
    only_line(&ended, "wecom", "bad", &["check WECOM_API_URL"]);
    let mut arguments = stage.relay_arguments(&["--wecom-robot-key", "693a91f6"]);
    arguments.extend(["doctor", "--json"].map(str::to_owned));
    let ended = run("outbox-relay", &arguments);
    only_line(&ended, "robot", "bad", &["key="]);
    assert!(!ended.said.contains("693a91f6"));
}

async fn what_is_missing_for_the_routes_is_named(database: &TestDatabase) {
    let stage = RelayStage::wecom_without_links(database).await;
    stage.employee().await;
    stage
        .route(Kind::MemberUpdated, Channel::WecomApp, |route| {
            route.recipients = None;
        })
        .await;
    stage
        .route(Kind::CustomerAssigned, Channel::WecomApp, |_| {})
        .await;
    let ended = stage.command(&["doctor", "--json"]);
    let routes = lines(&ended, "routes");
    let has = |state: &str, words: &str| {
        let found = routes
            .iter()
            .any(|line| line.0 == state && line.1.contains(words));
        assert!(found, "{words}: {routes:?}");
    };
    has("bad", "no recipients: member.updated on wecom_app;");
    has("note", "CRM_URL is not given");
    let bindings = lines(&ended, "bindings");
    assert!(
        bindings
            .iter()
            .any(|line| line.0 == "bad" && line.1.contains("check WECOM_CORPID")),
        "{bindings:?}"
    );
}
