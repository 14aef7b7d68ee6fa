use shared::domain::Channel;
use shared::outbox::Status;
use wechat_sandbox::{Api, Fault, FaultAction, QuotaMode, SandboxConfig};

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    an_answer_that_never_comes_or_is_garbage_is_unknown_and_tried_again,
    a_connection_that_cannot_be_made_is_no_doubt,
    attempts_run_out,
    a_recipient_without_a_subscription_is_skipped,
    a_bad_field_fails_with_its_name,
    an_answer_with_a_nul_in_it_is_recorded_like_any_other,
    a_refusal_after_an_unknown_outcome_is_presumed_to_be_its_arrival,
    a_request_to_slow_down_for_one_recipient_uses_up_no_attempt,
    a_code_nobody_knows_is_tried_again_slowly,
    what_the_cloud_function_says_is_shown,
    a_repeat_of_a_cloud_call_is_told_by_the_message_id,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];
const CLOUD: &[Channel] = &[Channel::WechatCloud];

async fn an_answer_that_never_comes_or_is_garbage_is_unknown_and_tried_again(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let faults = [
        FaultAction::Hang,
        FaultAction::ResetBeforeAnswer,
        FaultAction::ResetMidBody,
        FaultAction::HttpStatus {
            status: 502,
            body: "<html>Bad Gateway</html>".to_owned(),
        },
        FaultAction::RawBody("not json".to_owned()),
        FaultAction::RawBody(format!(
            "{{\"errcode\":0,\"errmsg\":\"{}\"}}",
            "x".repeat(100_000)
        )),
        FaultAction::Redirect("http://127.0.0.1:1/elsewhere".to_owned()),
    ];
    let employees = stage.employees(faults.len()).await;
    for (employee, fault) in employees.iter().zip(&faults) {
        let fault = Fault::on(Api::SubscribeSend, fault.clone())
            .for_openid(&employee.openid)
            .unprocessed();
        stage.sandbox.add_fault(fault);
        stage
            .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
            .await;
    }
    stage.deliver().await;
    for (message, fault) in database.messages().await.iter().zip(&faults) {
        assert_eq!(
            (message.status, message.attempt),
            (Status::Pending, 1),
            "{fault:?}"
        );
        assert!(message.outcome_unknown, "{fault:?}");
        let attempts = stage.attempts(&message.id).await;
        assert_eq!(attempts[0].verdict, "unknown", "{fault:?}");
        assert_eq!(attempts[0].rule, "transport/no_answer", "{fault:?}");
    }
    assert_eq!(stage.sandbox.stats().accepted, 0);

    stage.pass_first_retry();
    stage.deliver().await;
    for message in database.messages().await {
        assert_eq!((message.status, message.attempt), (Status::Sent, 2));
        assert!(!message.outcome_unknown, "now it is known");
    }
    assert_eq!(stage.sandbox.stats().accepted, faults.len() as u64);
}

async fn a_connection_that_cannot_be_made_is_no_doubt(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nowhere = format!("http://{free}");
    let mut relay = stage
        .relay_with(
            &["--wechat-api-url", &nowhere],
            outbox_relay::relay::Until::Drained,
        )
        .await;
    relay.ended().await;
    relay.stop().await;

    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.attempt, message.outcome_unknown),
        (Status::Pending, 1, false)
    );
    assert!(message.last_error.unwrap().contains("no access token"));
}

async fn attempts_run_out(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, -1).always());
    stage.assign(&[employee.id], SUBSCRIBE).await;
    for _ in 0..10 {
        stage.deliver().await;
        // Longer than the longest delay.
        stage
            .clock
            .advance(std::time::Duration::from_secs(5 * 60 * 60));
    }
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Failed, 10));
    assert_eq!(message.last_errcode, Some(-1));
    assert_eq!(stage.attempts(&message.id).await.len(), 10);
    assert_eq!(stage.sandbox.stats().refused, 10);
}

async fn a_recipient_without_a_subscription_is_skipped(database: &TestDatabase) {
    let mut config = SandboxConfig::default();
    config.apps[0].quota = QuotaMode::Ledger;
    let template_id = config.templates[0].template_id.clone();
    let stage = RelayStage::with_sandbox(database, config).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .accept(&employee.openid, &template_id, 1)
        .unwrap();
    for _ in 0..2 {
        stage
            .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
            .await;
        stage.deliver().await;
    }
    let messages = database.messages().await;
    assert_eq!(messages[0].status, Status::Sent);
    assert_eq!(
        (messages[1].status, messages[1].last_errcode),
        (Status::Skipped, Some(43_101))
    );
}

async fn a_bad_field_fails_with_its_name(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .route(
            shared::notification::Kind::CustomerAssigned,
            Channel::WechatSubscribe,
            |route| {
                route.fields = [
                    ("thing1", "{{customerName}}"),
                    ("thing2", "x"),
                    ("name3", "王"),
                ]
                .map(|(field, text)| (field.to_owned(), text.to_owned()))
                .into();
            },
        )
        .await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!(
        (message.status, message.last_errcode),
        (Status::Failed, Some(47_003))
    );
    assert!(
        message.last_error.as_deref().unwrap().contains("time4"),
        "{:?}",
        message.last_error
    );
}

async fn a_request_to_slow_down_for_one_recipient_uses_up_no_attempt(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 43_108).times(3));
    stage.assign(&[employee.id], SUBSCRIBE).await;
    for _ in 0..3 {
        stage.deliver().await;
        let message = stage.only_message().await;
        assert_eq!((message.status, message.attempt), (Status::Pending, 0));
        stage.clock.advance(std::time::Duration::from_secs(2));
    }
    stage.deliver().await;
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Sent, 1));
}

async fn a_code_nobody_knows_is_tried_again_slowly(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::SubscribeSend, 99_999));
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;
    stage.clock.advance(std::time::Duration::from_secs(59));
    stage.deliver().await;
    assert_eq!(
        stage.only_message().await.status,
        Status::Pending,
        "not before a minute has passed"
    );
    stage.clock.advance(std::time::Duration::from_secs(62));
    stage.deliver().await;
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn what_the_cloud_function_says_is_shown(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(3).await;
    for (employee, answer) in employees.iter().zip([
        r#"{"success":false,"message":"未找到用户"}"#,
        r#"{"success":false,"message":"数据库忙"}"#,
        "null",
    ]) {
        let body =
            serde_json::json!({"errcode": 0, "errmsg": "ok", "resp_data": answer}).to_string();
        stage.sandbox.add_fault(
            Fault::on(Api::CloudFunction, FaultAction::RawBody(body)).containing(&employee.openid),
        );
        stage
            .assign(std::slice::from_ref(&employee.id), CLOUD)
            .await;
    }
    stage.deliver().await;
    let messages = database.messages().await;
    assert_eq!(messages[0].status, Status::Skipped);
    assert_eq!(messages[0].last_error.as_deref(), Some("未找到用户"));
    assert_eq!(
        (messages[1].status, messages[1].outcome_unknown),
        (Status::Pending, false)
    );
    assert_eq!(messages[1].last_error.as_deref(), Some("数据库忙"));
    assert_eq!(
        (messages[2].status, messages[2].outcome_unknown),
        (Status::Pending, true)
    );
}

async fn a_repeat_of_a_cloud_call_is_told_by_the_message_id(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .add_fault(Fault::on(Api::CloudFunction, FaultAction::ResetBeforeAnswer).processed());
    stage.assign(&[employee.id], CLOUD).await;
    stage.deliver().await;
    stage.pass_first_retry();
    stage.deliver().await;

    assert_eq!(stage.only_message().await.status, Status::Sent);
    let arrived = stage
        .sandbox
        .messages(&wechat_sandbox::MessageFilter::default());
    assert_eq!(arrived.len(), 2);
    // The envelope holds the message id.
    assert_eq!(arrived[0].envelope, arrived[1].envelope);
    assert!(!arrived[0].repeat && arrived[1].repeat);
}

async fn an_answer_with_a_nul_in_it_is_recorded_like_any_other(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let ids: Vec<_> = stage
        .employees(3)
        .await
        .into_iter()
        .map(|employee| employee.id)
        .collect();
    let body = r#"{"errcode": 47003, "errmsg": "argument\u0000invalid"}"#.to_owned();
    stage
        .sandbox
        .add_fault(Fault::on(Api::SubscribeSend, FaultAction::RawBody(body)));
    stage.assign(&ids, SUBSCRIBE).await;
    stage.deliver().await;
    let mut statuses: Vec<Status> = database
        .messages()
        .await
        .iter()
        .map(|message| message.status)
        .collect();
    statuses.sort();
    assert_eq!(statuses, [Status::Sent, Status::Sent, Status::Failed]);
}

async fn a_refusal_after_an_unknown_outcome_is_presumed_to_be_its_arrival(database: &TestDatabase) {
    let config = SandboxConfig::default();
    let template_id = config.templates[0].template_id.clone();
    let stage = RelayStage::with_sandbox(database, config).await;
    let employee = stage.employee().await;
    stage
        .sandbox
        .accept(&employee.openid, &template_id, 1)
        .unwrap();
    let lost_answer = Fault::on(Api::SubscribeSend, FaultAction::ResetBeforeAnswer).processed();
    stage.sandbox.add_fault(lost_answer);
    stage
        .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
        .await;
    stage.deliver().await;
    stage.pass_first_retry();
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Sent, 2));
    assert!(message.outcome_unknown, "nobody said so: it stays marked");
    let attempts = stage.attempts(&message.id).await;
    let verdicts: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt.verdict.as_str())
        .collect();
    assert_eq!(verdicts, ["unknown", "presumed"]);
    assert_eq!(stage.sandbox.stats().accepted, 1);
}
