use shared::domain::{Channel, OutboxMessageId};
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    a_failed_message_is_found_shown_requeued_and_delivered,
    a_pending_message_is_cancelled_and_not_sent,
    a_wish_that_cannot_be_met_changes_nothing,
    one_shot_mode_delivers_what_is_due_and_ends,
);

async fn enqueue_one(stage: &RelayStage<'_>) -> OutboxMessageId {
    let employee = stage.employee().await;
    stage
        .assign(&[employee.id], &[Channel::WechatSubscribe])
        .await;
    stage.only_message().await.id
}

async fn a_failed_message_is_found_shown_requeued_and_delivered(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let id = enqueue_one(&stage).await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 40_037));
    stage.deliver().await;

    let listed = stage
        .command(&["outbox", "list", "--status", "failed", "--json"])
        .json();
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["lastErrcode"], 40_037);
    let table = stage.command(&["outbox", "list"]).said;
    assert!(
        table.contains(id.as_str()) && table.contains("failed") && table.contains("1/10"),
        "{table}"
    );

    let shown = stage
        .command(&["outbox", "show", id.as_str(), "--json"])
        .json();
    assert_eq!(shown["attempts"][0]["rule"], "subscribe_send/40037");
    assert!(
        stage
            .command(&["outbox", "show", id.as_str()])
            .said
            .contains("subscribe_send/40037")
    );

    let requeued = stage.command(&["outbox", "requeue", id.as_str(), "--reason", "模板已修复"]);
    assert!(
        requeued.said.starts_with(&format!(
            "{id} is pending\nto undo it within 10 minutes: outbox-relay outbox undo "
        )),
        "{}",
        requeued.said
    );
    assert!(stage.command(&["run", "--once"]).status.success());
    let message = database.message(&id).await;
    assert_eq!(
        (message.status, message.attempt, message.attempts_max),
        (Status::Sent, 2, 11)
    );

    let stats = stage.command(&["outbox", "stats", "--json"]).json();
    assert_eq!(stats["lines"][0]["count"], 1);
    assert!(
        stage
            .command(&["outbox", "stats"])
            .said
            .contains("wechat_subscribe")
    );
}

async fn a_pending_message_is_cancelled_and_not_sent(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let id = enqueue_one(&stage).await;
    let cancelled = stage.command(&["outbox", "cancel", id.as_str(), "--reason", "误操作"]);
    assert!(
        cancelled.said.starts_with(&format!("{id} is cancelled\n")),
        "{}",
        cancelled.said
    );
    stage.deliver().await;
    assert_eq!(database.message(&id).await.status, Status::Cancelled);
    assert_eq!(stage.sandbox.stats().requests, 0);
}

async fn a_wish_that_cannot_be_met_changes_nothing(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let id = enqueue_one(&stage).await;
    let nobody = OutboxMessageId::generate();
    for (words, answer) in [
        (
            vec!["outbox", "requeue", id.as_str(), "--reason", "x"],
            format!(
                "message {id} is pending; only failed, skipped or cancelled ones can be requeued"
            ),
        ),
        (
            vec![
                "outbox",
                "cancel",
                id.as_str(),
                nobody.as_str(),
                "--reason",
                "x",
            ],
            format!("there is no outbox message {nobody}"),
        ),
        (
            vec!["outbox", "show", nobody.as_str()],
            format!("there is no outbox message {nobody}"),
        ),
        (
            vec!["outbox", "explain", nobody.as_str()],
            format!("there is no outbox message {nobody}"),
        ),
        (
            vec!["outbox", "cancel", id.as_str()],
            "--reason <REASON>".to_owned(),
        ),
        (
            vec!["outbox", "list", "--kind", "no.such"],
            "no message matches".to_owned(),
        ),
        (
            vec!["outbox", "list", "--older-than", "soon"],
            "invalid value 'soon' for '--older-than".to_owned(),
        ),
        (
            vec!["outbox", "show", "x"],
            "\"x\" is not a valid outbox message id".to_owned(),
        ),
        (
            vec!["outbox", "list", "--status", "gone"],
            "\"gone\" is not a status; known: pending, sending".to_owned(),
        ),
    ] {
        let ended = stage.command(&words);
        assert!(!ended.status.success(), "{words:?}");
        assert!(ended.said.contains(&answer), "{words:?}: {}", ended.said);
    }
    assert_eq!(
        database.message(&id).await.status,
        Status::Pending,
        "all or nothing"
    );
}

async fn one_shot_mode_delivers_what_is_due_and_ends(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(150)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage.assign(&ids, &[Channel::WechatSubscribe]).await;
    let ended = stage.command(&["run", "--once"]);
    assert!(ended.status.success(), "{}", ended.said);
    stage.until_status(Status::Sent, 150).await;
    assert_eq!(stage.sandbox.stats().accepted, 150);
}
