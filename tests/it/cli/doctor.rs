use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::domain::Channel;
use shared::notification::Kind;
use wechat_sandbox::{Api, Fault};

use super::refused;
use crate::harness::{self, Ended, RelayStage, TestDatabase, on_each_database, run, seconds};

on_each_database!(
    a_healthy_installation_has_only_good_lines_and_nothing_is_sent,
    what_the_platform_says_about_the_secret_comes_with_the_way_out,
    what_is_wrong_in_the_database_is_named,
    a_platform_that_cannot_be_reached_is_said_so,
    a_schema_that_is_behind_does_not_hide_the_rest,
);

/// Something that is alive for as long as the test lasts.
async fn a_living_relay(database: &TestDatabase) {
    let ahead = SystemClock.now().after(seconds(600));
    database.register(&harness::relay("worker"), ahead).await;
}

/// The states of the lines about this; the answer may be a failure.
fn states(ended: &Ended, what: &str) -> Vec<(String, String)> {
    let lines: Vec<Value> = serde_json::from_str(&ended.printed).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines
        .iter()
        .filter(|line| line["what"] == what)
        .map(|line| (text(&line["state"]), text(&line["text"])))
        .collect()
}

#[track_caller]
fn bad(ended: &Ended, what: &str, words: &[&str]) {
    assert!(!ended.status.success());
    let states = states(ended, what);
    assert!(
        states
            .iter()
            .any(|(state, text)| state == "bad" && words.iter().all(|word| text.contains(word))),
        "{what}: {states:?}"
    );
}

async fn a_healthy_installation_has_only_good_lines_and_nothing_is_sent(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    stage.employee().await;
    a_living_relay(database).await;
    let before = database.contents().await;
    let lines = stage.command(&["doctor", "--json"]).json();
    let whats: Vec<&str> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            assert_eq!(line["state"], "ok", "{line}");
            line["what"].as_str().unwrap()
        })
        .collect();
    assert_eq!(
        whats,
        [
            "settings", "database", "schema", "clock", "relays", "holds", "routes", "bindings",
            "members", "platform", "token"
        ]
    );
    assert_eq!(stage.sandbox.stats().accepted, 0);
    database.assert_unchanged_since(&before).await;
    stage.stranger().await;
    let ended = stage.command(&["doctor", "--json"]);
    assert!(ended.status.success(), "one person is no reason to fail");
    let (state, text) = states(&ended, "bindings").remove(0);
    assert!(
        state == "note" && text.starts_with("1 of 2 active users"),
        "{text}"
    );
    let on_table = if database.url().is_embedded() {
        ""
    } else {
        " ON members"
    };
    database.shell(&format!("DROP TRIGGER members_updated{on_table}"));
    let ended = stage.command(&["doctor", "--json"]);
    assert!(ended.status.success(), "what crm-api writes is covered");
    let (state, text) = states(&ended, "members").remove(0);
    assert!(
        state == "note" && text.contains("no trigger members_updated"),
        "{text}"
    );
}

async fn what_the_platform_says_about_the_secret_comes_with_the_way_out(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    for (errcode, way_out) in [
        (40_001, "copy the AppSecret"),
        (40_013, "check the configured appid"),
        (40_125, "copy the AppSecret"),
        (40_164, "API allow-list"),
    ] {
        stage
            .sandbox
            .add_fault(Fault::errcode(Api::StableToken, errcode));
        let ended = stage.command(&["doctor", "--json"]);
        bad(&ended, "token", &[&format!("errcode {errcode}"), way_out]);
        assert_eq!(states(&ended, "platform")[0].0, "ok");
    }
}

async fn what_is_wrong_in_the_database_is_named(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .assign(&[employee.id], &[Channel::WechatSubscribe])
        .await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 48_001));
    stage.deliver().await;
    stage
        .route(
            Kind::CustomerCreated,
            Channel::WechatSubscribe,
            |settings| {
                settings.template_id = None;
            },
        )
        .await;
    stage
        .route(Kind::CustomerCreated, Channel::WecomApp, |_| {})
        .await;
    let ended = stage.command(&["doctor", "--json"]);
    bad(&ended, "relays", &["none is alive"]);
    bad(&ended, "holds", &["wechat_subscribe since", "48001"]);
    bad(
        &ended,
        "routes",
        &["no template id: customer.created on wechat_subscribe"],
    );
    bad(
        &ended,
        "routes",
        &["not configured here: customer.created on wecom_app"],
    );
    let table = stage.command(&["doctor"]);
    refused(&table, "BAD");
    refused(&table, "outbox-relay: 4 of 12 lines are bad");
}

async fn a_platform_that_cannot_be_reached_is_said_so(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let mut arguments = stage.relay_arguments(&["--wechat-api-url", "http://127.0.0.1:9"]);
    arguments.extend(["doctor", "--json"].map(str::to_owned));
    let ended = run("outbox-relay", &arguments);
    bad(
        &ended,
        "platform",
        &["http://127.0.0.1:9", "check WECHAT_API_URL"],
    );
}

async fn a_schema_that_is_behind_does_not_hide_the_rest(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    shared::db::migrations::revert_all(&mut database.connection()).unwrap();
    let ended = stage.command(&["doctor", "--json"]);
    bad(&ended, "schema", &["behind by", "outbox-relay migrate"]);
    assert_eq!(states(&ended, "token")[0].0, "ok");
    shared::db::migrations::run(&mut database.connection()).unwrap();
}
