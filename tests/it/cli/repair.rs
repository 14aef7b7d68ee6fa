use std::io::Write;

use shared::domain::Channel;
use shared::outbox::{NewMessage, Status};

use super::refused;
use crate::harness::{RelayStage, TestDatabase, message, on_each_database};

on_each_database!(
    all_that_match_are_repaired_and_put_back,
    above_a_hundred_the_number_must_be_confirmed,
    a_repair_that_is_not_meant_so_changes_nothing,
    a_payload_is_edited_and_the_message_delivered,
    a_payload_that_cannot_be_changes_nothing,
    the_history_tells_who_did_what_and_why,
);

async fn count(database: &TestDatabase, status: Status) -> usize {
    let messages = database.messages().await;
    messages.iter().filter(|row| row.status == status).count()
}

const REQUEUE: [&str; 5] = [
    "outbox",
    "requeue",
    "--all-matching",
    "--reason",
    "数据已修复",
];

fn requeue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    REQUEUE.iter().chain(more).copied().collect()
}

async fn all_that_match_are_repaired_and_put_back(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    database.cancelled(3).await;
    database
        .enqueue(NewMessage {
            channel: Channel::WechatCloud,
            ..message()
        })
        .await;
    let filter = [
        "--channel",
        "wechat_subscribe",
        "--kind",
        "customer.assigned",
    ];
    let done = stage.command(&requeue(&filter));
    assert!(done.status.success(), "{}", done.said);
    assert!(
        done.said.starts_with("3 of 3 messages requeued\n"),
        "{}",
        done.said
    );
    assert_eq!(count(database, Status::Pending).await, 4);
    let (_, repair) = done.said.trim().rsplit_once(' ').unwrap();
    let undone = stage.command(&["outbox", "undo", repair]);
    assert_eq!(
        undone.said,
        "3 messages are as they were; 0 had moved since and were left alone\n"
    );
    assert_eq!(count(database, Status::Cancelled).await, 3);
    refused(
        &stage.command(&["outbox", "undo", repair]),
        &format!("repair {repair} is undone already"),
    );
}

async fn above_a_hundred_the_number_must_be_confirmed(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    database.cancelled(600).await;
    let before = database.contents().await;
    let all = ["--status", "cancelled"];
    refused(
        &stage.command(&requeue(&all)),
        "600 messages would be requeued; repeat it with --confirm 600. Nothing is changed",
    );
    let wrong = [&all[..], &["--confirm", "599"]].concat();
    refused(
        &stage.command(&requeue(&wrong)),
        "600 messages would be requeued, and \"599\" was confirmed; nothing is changed",
    );
    database.assert_unchanged_since(&before).await;
    let right = [&all[..], &["--confirm", "600", "--rate", "100000/s"]].concat();
    let done = stage.command(&requeue(&right));
    assert!(done.status.success(), "{}", done.said);
    assert!(
        done.said.contains("500 of 600 requeued (repair ")
            && done.printed.starts_with("600 of 600 messages requeued\n"),
        "{}",
        done.said
    );
    assert_eq!(count(database, Status::Pending).await, 600);
}

async fn a_repair_that_is_not_meant_so_changes_nothing(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    database.cancelled(2).await;
    let id = database.messages().await[0].id.to_string();
    let before = database.contents().await;
    let too_long = "长".repeat(201);
    for (words, answer) in [
        (requeue(&[]), "--all-matching needs a filter"),
        (
            requeue(&["--status", "sent"]),
            "sent messages cannot be requeued, only failed, skipped or cancelled ones",
        ),
        (
            requeue(&["--kind", "no.such"]),
            "no message that is failed, skipped or cancelled matches",
        ),
        (
            requeue(&["--status", "failed", "--rate", "0/s"]),
            "a rate is a number",
        ),
        (
            vec!["outbox", "requeue", &id, "--kind", "x", "--reason", "x"],
            "filters need --all-matching",
        ),
        (
            vec!["outbox", "requeue", &id, "--reason", " "],
            "a reason has 1 to 200 characters",
        ),
        (
            vec!["outbox", "requeue", &id, "--reason", &too_long],
            "a reason has 1 to 200 characters",
        ),
        (
            vec!["outbox", "requeue", "--reason", "x"],
            "required arguments were not provided",
        ),
        (vec!["outbox", "undo", &id], "there is no repair"),
        (
            vec!["outbox", "requeue", &id, "--all-matching", "--reason", "x"],
            "cannot be used with",
        ),
    ] {
        refused(&stage.command(&words), answer);
    }
    database.assert_unchanged_since(&before).await;
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn a_payload_is_edited_and_the_message_delivered(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .assign(&[employee.id], &[Channel::WechatSubscribe])
        .await;
    let id = stage.only_message().await.id;
    stage.spoil_payload(&id, "not JSON").await;
    stage.deliver().await;
    assert_eq!(stage.only_message().await.status, Status::Failed);
    let payload = file(
        r#"{"customerName": "李先生", "source": "手动分配", "assignerName": "张经理", "time": "2026年11月21日 20:40"}"#,
    );
    let path = payload.path().to_str().unwrap();
    let edited = stage
        .command(&[
            "outbox",
            "edit",
            id.as_str(),
            "--payload",
            path,
            "--reason",
            "内容损坏",
            "--json",
        ])
        .json();
    assert_eq!(edited["messages"][0]["status"], "pending");
    assert!(stage.command(&["run", "--once"]).status.success());
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn a_payload_that_cannot_be_changes_nothing(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    database.cancelled(1).await;
    let id = database.messages().await[0].id.to_string();
    let before = database.contents().await;
    let large = format!(r#"{{"x": "{}"}}"#, "x".repeat(70_000));
    for (text, answer) in [
        ("[1]", "not a JSON object"),
        ("{", "not a JSON object"),
        (large.as_str(), "over the limit of 65536"),
        (r#"{"phone": "13800138999"}"#, "a whole phone number"),
    ] {
        let payload = file(text);
        let path = payload.path().to_str().unwrap();
        let words = ["outbox", "edit", &id, "--payload", path, "--reason", "x"];
        refused(&stage.command(&words), answer);
    }
    // Standard input is empty here.
    let words = ["outbox", "edit", &id, "--payload", "-", "--reason", "x"];
    refused(&stage.command(&words), "not a JSON object");
    let words = [
        "outbox",
        "edit",
        &id,
        "--payload",
        "/no/such/file",
        "--reason",
        "x",
    ];
    refused(&stage.command(&words), "/no/such/file: No such file");
    database.assert_unchanged_since(&before).await;
}

async fn the_history_tells_who_did_what_and_why(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let id = database.enqueue(message()).await;
    let words = ["outbox", "cancel", id.as_str(), "--reason", "客户已撤回"];
    assert!(stage.command(&words).status.success());
    let shown = stage
        .command(&["outbox", "show", id.as_str(), "--json"])
        .json();
    let act = &shown["history"][0];
    assert_eq!(
        (&act["actor"], &act["action"], &act["detail"]["reason"]),
        (
            &"tester".into(),
            &"outbox.cancel".into(),
            &"客户已撤回".into()
        )
    );
    let table = stage.command(&["outbox", "show", id.as_str()]).said;
    assert!(
        table.contains("tester") && table.contains("客户已撤回"),
        "{table}"
    );
    let said = stage.command(&["outbox", "explain", id.as_str()]).said;
    assert!(
        said.contains("tester cancelled it") && said.contains("客户已撤回"),
        "{said}"
    );
}
