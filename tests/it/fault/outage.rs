use std::time::Duration;

use diesel::connection::SimpleConnection;
use serde_json::json;
use shared::db::DbConnection;
use shared::domain::{Channel, UserId};
use shared::outbox::Status;

use crate::harness::{RelayStage, TestDatabase, TestProcess, assignment, on_each_database};

on_each_database!(an_outage_that_silences_all_relays_repeats_nothing);

/// Longer than the silence after which a relay is taken for dead.
const OUTAGE: Duration = Duration::from_millis(6_500);

const MESSAGES: usize = 400;

/// Everything that is written has to wait, as while a server fails over.
fn hold_all_writing(connection: &mut DbConnection) {
    let sql = match connection {
        DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
        DbConnection::Postgres(_) => "BEGIN; LOCK TABLE relays, outbox_messages IN EXCLUSIVE MODE",
    };
    connection.batch_execute(sql).unwrap();
}

async fn an_outage_that_silences_all_relays_repeats_nothing(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let recipients: Vec<UserId> = stage
        .employees(40)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    for round in 0..MESSAGES / recipients.len() {
        let mut data = assignment();
        data.insert("customerName".to_owned(), json!(format!("客户{round}")));
        stage
            .assign_with(&recipients, &[Channel::WechatSubscribe], data)
            .await;
    }
    stage.sandbox.set_latency(Duration::from_millis(20));
    let few = stage.relay_arguments(&["--concurrency", "8"]);
    let relays = [(); 2].map(|()| TestProcess::start("outbox-relay", &few));
    stage.sandbox.until(|stats| stats.accepted >= 50).await;

    let mut connection = database.connection();
    hold_all_writing(&mut connection);
    // Real time has to pass: it is what the relays measure.
    let nothing = std::future::pending::<()>();
    assert!(tokio::time::timeout(OUTAGE, nothing).await.is_err());
    connection.batch_execute("COMMIT").unwrap();

    stage.until_status(Status::Sent, MESSAGES).await;
    let stats = stage.sandbox.stats();
    assert_eq!((stats.accepted, stats.duplicates), (MESSAGES as u64, 0));
    for relay in relays {
        assert!(relay.terminate().status.success());
    }
}
