//! What operators ask first: why is it not sent, what is stuck, what fails.

use outbox_relay::relay::Until;
use shared::domain::{Channel, OutboxMessageId};
use wechat_sandbox::{Api, Fault};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    each_message_is_explained_as_the_relay_left_it,
    what_is_stuck_is_grouped_by_cause,
    failures_are_grouped_by_errcode,
);

/// Lets a relay deliver what is due on the stage's clock.
async fn deliver(stage: &RelayStage<'_>) {
    let mut relay = stage.relay_with(&[], Until::Drained).await;
    relay.ended().await;
    relay.stop().await;
}

fn explained(stage: &RelayStage<'_>, id: &OutboxMessageId) -> (String, String) {
    let explanation = stage
        .command(&["outbox", "explain", id.as_str(), "--json"])
        .json();
    let said = stage.command(&["outbox", "explain", id.as_str()]).said;
    assert!(said.starts_with(&format!("{id} is ")), "{said}");
    (
        explanation["cause"]["code"].as_str().unwrap().to_owned(),
        said,
    )
}

async fn each_message_is_explained_as_the_relay_left_it(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let stranger = stage.stranger().await;
    let channel = [Channel::WechatSubscribe];
    stage
        .assign(std::slice::from_ref(&employee.id), &channel)
        .await;
    let id = |messages: Vec<shared::outbox::Message>| messages.last().unwrap().id.clone();
    let first = id(database.messages().await);
    let (code, said) = explained(&stage, &first);
    assert_eq!(code, "no_live_relay");
    assert!(said.contains("to do: start a relay"), "{said}");
    for (errcode, code) in [(40_037, "refused"), (43_101, "no_subscription")] {
        stage
            .assign(std::slice::from_ref(&employee.id), &channel)
            .await;
        stage.sandbox.add_fault(
            Fault::errcode(Api::SubscribeSend, errcode).skip(u32::from(errcode == 40_037)),
        );
        deliver(&stage).await;
        let (told, said) = explained(&stage, &id(database.messages().await));
        assert_eq!(told, code, "{said}");
    }
    assert_eq!(explained(&stage, &first).0, "sent");
    stage.assign(&[stranger], &channel).await;
    deliver(&stage).await;
    assert_eq!(
        explained(&stage, &id(database.messages().await)).0,
        "no_binding"
    );
    stage.assign(&[employee.id], &channel).await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 48_001));
    deliver(&stage).await;
    let held = explained(&stage, &id(database.messages().await));
    assert_eq!(held.0, "no_live_relay", "nobody is there to probe");
}

async fn what_is_stuck_is_grouped_by_cause(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    assert_eq!(
        stage.command(&["outbox", "stuck"]).said,
        "nothing is stuck\n"
    );
    let employees = stage.employees(3).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage.assign(&ids, &[Channel::WechatSubscribe]).await;
    let groups = stage.command(&["outbox", "stuck", "--json"]).json();
    assert_eq!(groups.as_array().unwrap().len(), 1);
    assert_eq!(
        (&groups[0]["count"], &groups[0]["cause"]["code"]),
        (&3.into(), &"no_live_relay".into())
    );
    let table = stage.command(&["outbox", "stuck", "--waiting", "1h"]).said;
    assert!(table.contains("no relay is alive"), "{table}");
}

async fn failures_are_grouped_by_errcode(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    assert_eq!(
        stage.command(&["outbox", "failures"]).said,
        "nothing failed or was skipped in the last 7 days\n"
    );
    let employees = stage.employees(2).await;
    let ids: Vec<_> = employees.into_iter().map(|employee| employee.id).collect();
    stage.assign(&ids, &[Channel::WechatSubscribe]).await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 40_037).always());
    // On the database's clock: what the stage's own clock calls now is months ago.
    assert!(stage.command(&["run", "--once"]).status.success());
    let lines = stage.command(&["outbox", "failures", "--json"]).json();
    assert_eq!(lines.as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &lines[0]["errcode"],
            &lines[0]["lastHour"],
            &lines[0]["lastWeek"]
        ),
        (&40_037.into(), &2.into(), &2.into())
    );
    let table = stage.command(&["outbox", "failures"]).said;
    assert!(
        table.contains("40037") && table.contains("customer.assigned"),
        "{table}"
    );
}
