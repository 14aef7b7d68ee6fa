use std::time::Duration;

use outbox_relay::relay::Until;
use serde_json::Value;
use shared::db::dialect;
use shared::domain::{Channel, RecipientId};
use shared::outbox::{self, HoldCause, NewMessage, Status, holds};
use wechat_sandbox::{Api, Fault, FaultAction};

use crate::harness::{RelayStage, TestDatabase, assignment, eventually, message, on_each_database};

on_each_database!(a_platform_out_of_reach_is_probed_with_one_message_until_it_is_back);

/// One message becomes due every so often, for so long: the breaker looks at seconds.
const MESSAGES: u32 = 80;
const APART: Duration = Duration::from_millis(100);

async fn enqueue_over_time(stage: &RelayStage<'_>) {
    let employees = stage.employees(MESSAGES as usize).await;
    stage
        .database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            let messages = employees
                .iter()
                .zip(0..)
                .map(|(employee, place)| NewMessage {
                    recipient_id: RecipientId::from(&employee.id),
                    payload: Value::Object(assignment()),
                    attempts_max: 10,
                    due_at: now.after(APART * place),
                    ..message()
                });
            outbox::enqueue(transaction, messages.collect(), now)
        })
        .await;
}

async fn a_platform_out_of_reach_is_probed_with_one_message_until_it_is_back(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let fault = Fault::on(Api::SubscribeSend, FaultAction::ResetBeforeAnswer).unprocessed();
    stage.sandbox.add_fault(fault.always());
    enqueue_over_time(&stage).await;
    let relay = stage.relay_on_database_clock(Until::Stopped).await;
    eventually("the breaker opens", async || {
        !database.read(holds).await.is_empty()
    })
    .await;
    let hold = database.read(holds).await.remove(0);
    assert_eq!(
        (hold.channel, hold.cause),
        (Channel::WechatSubscribe, HoldCause::Breaker)
    );
    assert!(hold.reason.contains("cannot be reached"), "{}", hold.reason);
    let untried = database.messages().await;
    let untried = untried
        .iter()
        .filter(|message| message.attempt == 0)
        .count();
    assert!(untried > 0, "not every message had to find out");

    stage.sandbox.clear_faults();
    stage.until_status(Status::Sent, MESSAGES as usize).await;
    assert!(database.read(holds).await.is_empty());
    relay.stop().await;
}
