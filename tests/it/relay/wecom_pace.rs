//! What the platform shows one member: it drops the rest and says that all is well.

use std::time::Duration;

use outbox_relay::relay::Until;
use shared::outbox::Status;

use crate::harness::{RelayStage, TestDatabase, eventually, lasting, on_each_database, seconds};

on_each_database!(
    the_31st_message_within_a_minute_waits_and_holds_up_nobody_else,
    a_restart_does_not_forget_what_was_sent,
    a_message_to_everybody_counts_for_everybody,
    two_relays_share_what_a_member_may_have,
);

/// How many messages have this status and were never tried.
async fn untouched(database: &TestDatabase, status: Status) -> usize {
    let messages = database.messages().await;
    let untouched = messages
        .iter()
        .filter(|message| (message.status, message.attempt) == (status, 0));
    untouched.count()
}

async fn the_31st_message_within_a_minute_waits_and_holds_up_nobody_else(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    for _ in 0..35 {
        stage.tell("zhangsan").await;
    }
    for recipients in ["lisi", "zhangsan|lisi", "ZhangSan", "wangwu"] {
        stage.tell(recipients).await;
    }
    stage.deliver().await;
    assert_eq!(stage.delivered_to("zhangsan").len(), 30);
    assert_eq!(stage.delivered_to("lisi").len(), 2);
    assert_eq!(stage.delivered_to("wangwu").len(), 1);
    assert_eq!(untouched(database, Status::Pending).await, 7);

    stage.pass(seconds(59));
    stage.deliver().await;
    assert_eq!(stage.delivered_to("zhangsan").len(), 30);
    stage.pass(seconds(2));
    stage.deliver().await;
    let messages = database.messages().await;
    assert!(
        messages
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Sent, 1))
    );
    assert_eq!(stage.delivered_to("zhangsan").len(), 37);
    assert_eq!(
        stage.sandbox.stats().kept_back,
        0,
        "the platform dropped none"
    );
}

async fn a_restart_does_not_forget_what_was_sent(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    for _ in 0..40 {
        stage.tell("zhangsan").await;
    }
    for _ in 0..3 {
        stage.deliver().await;
        assert_eq!(stage.delivered_to("zhangsan").len(), 30);
    }
    stage.pass(seconds(61));
    stage.deliver().await;
    assert_eq!(stage.delivered_to("zhangsan").len(), 40);
    assert_eq!(stage.sandbox.stats().kept_back, 0);
}

async fn a_message_to_everybody_counts_for_everybody(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    for _ in 0..31 {
        stage.tell("@all").await;
    }
    stage.deliver().await;
    stage.tell("lisi").await;
    stage.deliver().await;
    assert_eq!(stage.delivered_to("lisi").len(), 30);
    assert_eq!(untouched(database, Status::Pending).await, 2);
    stage.pass(seconds(61));
    stage.deliver().await;
    assert_eq!(stage.delivered_to("lisi").len(), 32);
    assert_eq!(stage.sandbox.stats().kept_back, 0);
}

async fn two_relays_share_what_a_member_may_have(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let first = stage.relay_on_database_clock(Until::Stopped).await;
    let second = stage.relay_on_database_clock(Until::Stopped).await;
    for _ in 0..60 {
        stage.tell("zhangsan").await;
    }
    eventually("a relay has sent its part", async || {
        stage.delivered_to("zhangsan").len() >= 15
    })
    .await;
    // Each notices the other, and takes its part, within this time.
    lasting(Duration::from_secs(8)).await;
    first.stop().await;
    // Whoever stays does not take what the other has used up.
    lasting(Duration::from_secs(5)).await;
    second.stop().await;
    let arrived = stage.delivered_to("zhangsan").len();
    assert!((15..=30).contains(&arrived), "{arrived}");
    assert_eq!(stage.sandbox.stats().kept_back, 0);
}
