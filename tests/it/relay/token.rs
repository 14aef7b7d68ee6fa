use shared::domain::Channel;
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    one_token_serves_all_messages,
    an_expired_token_is_replaced_and_the_message_goes_out_at_the_first_attempt,
    a_token_refused_twice_is_tried_again_later_and_never_in_a_loop,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];

fn token_requests(stage: &RelayStage<'_>) -> usize {
    stage
        .sandbox
        .requests(0)
        .iter()
        .filter(|request| request.api == Api::StableToken)
        .count()
}

async fn one_token_serves_all_messages(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(20)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    stage
        .assign(&ids, &[Channel::WechatSubscribe, Channel::WechatCloud])
        .await;
    stage.deliver().await;
    assert_eq!(stage.sandbox.stats().accepted, 40);
    assert_eq!(token_requests(&stage), 1);
}

async fn an_expired_token_is_replaced_and_the_message_goes_out_at_the_first_attempt(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(20)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    let relay = stage.relay().await;
    stage.assign(&ids[..1], SUBSCRIBE).await;
    stage.until_status(Status::Sent, 1).await;
    stage.sandbox.expire_tokens();
    stage.assign(&ids, SUBSCRIBE).await;
    stage.until_status(Status::Sent, 21).await;
    relay.stop().await;

    assert!(
        database
            .messages()
            .await
            .iter()
            .all(|message| message.attempt == 1)
    );
    assert_eq!(
        token_requests(&stage),
        2,
        "one refusal or twenty: one new token"
    );
    assert_eq!(
        stage.sandbox.stats().duplicates,
        1,
        "the first employee was told twice, on purpose"
    );
}

async fn a_token_refused_twice_is_tried_again_later_and_never_in_a_loop(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 40_001).always());
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.attempt, message.outcome_unknown),
        (Status::Pending, 1, false)
    );
    assert_eq!(message.last_errcode, Some(40_001));
    let sends = stage
        .sandbox
        .requests(0)
        .iter()
        .filter(|request| request.api == Api::SubscribeSend)
        .count();
    assert_eq!(sends, 2);
    assert!(token_requests(&stage) <= 2);
}
