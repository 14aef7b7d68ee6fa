use shared::clock::{Clock, SystemClock};
use shared::domain::Channel;
use shared::outbox::{NewMessage, enqueue};

use super::refused;
use crate::harness::{RelayStage, TestDatabase, message, on_each_database};

on_each_database!(
    an_empty_office_has_nothing_to_find,
    a_look_back_beyond_what_is_kept_is_refused,
    a_message_without_its_assignment_is_found,
);

async fn an_empty_office_has_nothing_to_find(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let report = stage.command(&["audit"]);
    assert!(report.status.success());
    assert!(
        report
            .said
            .starts_with("0 assignments and 0 messages from ")
            && report.said.ends_with(": 0 finding(s)\n"),
        "{}",
        report.said
    );
    let report = stage
        .command(&["audit", "--since", "7days", "--json"])
        .json();
    assert_eq!(report["findings"], serde_json::json!([]));
}

async fn a_look_back_beyond_what_is_kept_is_refused(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let report = stage.command(&["audit", "--since", "8days"]);
    refused(&report, "give at most --since 7days");
    let report = stage.command(&["--keep-skipped", "3d", "audit", "--since", "8days"]);
    refused(&report, "give at most --since 3days");
}

async fn a_message_without_its_assignment_is_found(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let new = NewMessage {
        channel: Channel::WechatCloud,
        ..message()
    };
    database
        .write(|transaction| enqueue(transaction, vec![new], SystemClock.now()))
        .await;
    // Its transaction may still be open.
    assert!(stage.command(&["audit"]).status.success());
    let words = ["audit", "--margin", "0s"];
    let report = stage.command(&words);
    refused(&report, "message without its assignment");
    let id = database.messages().await[0].id.to_string();
    refused(&report, &id[..8]);
    refused(&report, "outbox-relay: 1 finding(s)");
}
