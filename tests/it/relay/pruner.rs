use shared::domain::Channel;
use shared::outbox::Status;

use crate::harness::{RelayStage, TestDatabase, eventually, on_each_database, seconds};
use outbox_relay::relay::Until;

on_each_database!(a_running_relay_deletes_what_was_kept_long_enough);

async fn a_running_relay_deletes_what_was_kept_long_enough(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let (employee, stranger) = (stage.employee().await.id, stage.stranger().await);
    stage
        .assign(&[employee, stranger], &[Channel::WechatSubscribe])
        .await;
    stage.deliver().await;
    stage.clock.advance(seconds(61));
    let keep = ["--keep-sent", "60s", "--keep-skipped", "62s"];
    let relay = stage.relay_with(&keep, Until::Stopped).await;
    eventually("the sent one is deleted", async || {
        database.messages().await.len() == 1
    })
    .await;
    relay.stop().await;
    assert_eq!(stage.only_message().await.status, Status::Skipped);
}
