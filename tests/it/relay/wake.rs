use diesel::connection::SimpleConnection;
use outbox_relay::relay::Until;
use shared::domain::Channel;
use shared::outbox::Status;

use crate::harness::{RelayStage, TestDatabase, eventually, on_each_database};

on_each_database!(
    a_signalled_relay_does_not_wait_for_its_next_look,
    a_message_that_nobody_signals_is_found_at_the_next_look,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];

async fn a_signalled_relay_does_not_wait_for_its_next_look(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let relay = stage
        .relay_with(&["--poll-interval", "1h"], Until::Stopped)
        .await;
    for count in 1..=3 {
        stage
            .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
            .await;
        stage.until_status(Status::Sent, count).await;
    }
    relay.stop().await;
}

async fn a_message_that_nobody_signals_is_found_at_the_next_look(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    let mut connection = database.connection();
    // Out of the relay's sight until it has looked in vain.
    connection
        .batch_execute("UPDATE outbox_messages SET due_at = '2099-01-01 00:00:00'")
        .unwrap();
    let relay = stage.relay().await;
    eventually("the relay is ready", async || {
        !database
            .read(move |c| shared::outbox::relays(c, crate::harness::moment()))
            .await
            .is_empty()
    })
    .await;
    // Plain SQL, as a trigger or a person writes it: no signal is sent.
    connection
        .batch_execute("UPDATE outbox_messages SET due_at = '2026-01-01 00:00:00'")
        .unwrap();
    stage.until_status(Status::Sent, 1).await;
    relay.stop().await;
}
