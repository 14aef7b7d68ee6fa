use std::time::Duration;

use outbox_relay::relay::Until;
use serde_json::json;
use shared::domain::Channel;
use shared::notification::Kind;
use shared::outbox::Status;
use wechat_sandbox::{Api, Envelope, Fault, FaultAction, MessageFilter};

use crate::harness::{RelayStage, TestDatabase, assignment, on_each_database};

on_each_database!(
    a_message_arrives_once_on_each_channel_and_is_sent,
    texts_are_cut_to_what_the_template_takes,
    a_route_decides_template_fields_and_page,
    a_recipient_never_has_two_messages_under_way_on_one_channel,
    a_recipient_without_a_binding_is_skipped_with_the_reason,
    a_route_switched_off_after_enqueueing_is_skipped,
    a_payload_that_cannot_be_read_fails_at_once_and_the_rest_goes_on,
    a_slow_recipient_does_not_hold_up_the_others,
    a_recipient_with_many_messages_does_not_hold_up_the_others,
);

const SUBSCRIBE: &[Channel] = &[Channel::WechatSubscribe];
const CLOUD: &[Channel] = &[Channel::WechatCloud];

async fn a_message_arrives_once_on_each_channel_and_is_sent(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .assign(
            std::slice::from_ref(&employee.id),
            &[Channel::WechatSubscribe, Channel::WechatCloud],
        )
        .await;
    stage.deliver().await;

    let arrived = stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(arrived.len(), 2);
    let card = arrived
        .iter()
        .find(|m| m.api == Api::SubscribeSend)
        .unwrap();
    let Envelope::MiniProgram {
        openid,
        page,
        msgid,
        ..
    } = &card.envelope
    else {
        panic!("a subscribe message goes to a user of a mini program");
    };
    assert_eq!(openid, &employee.openid);
    assert_eq!(
        card.data(),
        json!({
            "thing1": {"value": "王女士"},
            "thing2": {"value": "手动分配"},
            "name3": {"value": "李经理"},
            "time4": {"value": "2026年11月21日 20:40"},
        })
    );
    assert_eq!(
        page.as_deref(),
        Some("pages/customer/detail?id=0193e5a0-6e2b-7c4d-8f10-aabbccddeeff")
    );
    let call = arrived
        .iter()
        .find(|m| m.api == Api::CloudFunction)
        .unwrap();
    let Envelope::MiniProgram { message_id, .. } = &call.envelope else {
        panic!("a cloud function writes to a user of a mini program");
    };
    assert_eq!(call.data()["assignedToId"], json!(employee.id));
    assert_eq!(call.data()["openid"], json!(employee.openid));
    assert_eq!(call.data()["customerName"], "王女士");

    for message in database.messages().await {
        assert_eq!((message.status, message.attempt), (Status::Sent, 1));
        assert!(message.sent_at.is_some() && message.last_error.is_none());
        assert!(
            stage.attempts(&message.id).await.is_empty(),
            "a success leaves no attempt row"
        );
        match message.channel {
            Channel::WechatSubscribe => {
                let msgid = msgid.unwrap();
                assert!(
                    msgid > 1 << 53,
                    "only such ids show whether one went through a float"
                );
                assert_eq!(message.provider_message_id, Some(msgid.to_string()));
            }
            _ => assert_eq!(message_id.as_deref(), Some(message.id.as_str())),
        }
    }
}

async fn texts_are_cut_to_what_the_template_takes(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    let mut data = assignment();
    data.insert(
        "customerName".to_owned(),
        json!("一个名字特别特别长的客户👨‍👩‍👧‍👦公司公司公司公司"),
    );
    data.insert("source".to_owned(), json!("第一行\n第二行\u{0}"));
    data.insert("assignerName".to_owned(), json!("欧阳经理2号和他的助理们"));
    data.remove("time");
    stage.assign_with(&[employee.id], SUBSCRIBE, data).await;
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!(message.status, Status::Sent, "{:?}", message.last_error);
    let arrived = stage.sandbox.messages(&MessageFilter::default());
    assert!(
        arrived[0].data()["thing1"]["value"]
            .as_str()
            .unwrap()
            .ends_with('…')
    );
}

async fn a_route_decides_template_fields_and_page(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .route(Kind::CustomerAssigned, Channel::WechatSubscribe, |route| {
            route.page = Some("pages/lead?id={{customerId}}".to_owned());
            route.fields = [
                ("thing1", "{{leadSource}}"),
                ("thing2", "{{nothing}}"),
                ("name3", "王"),
                ("time4", "{{time}}"),
            ]
            .map(|(field, text)| (field.to_owned(), text.to_owned()))
            .into();
        })
        .await;
    stage.assign(&[employee.id], SUBSCRIBE).await;
    stage.deliver().await;

    let arrived = stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(arrived[0].data()["thing1"]["value"], "美团");
    assert_eq!(arrived[0].data()["thing2"]["value"], "-");
    let Envelope::MiniProgram { page, .. } = &arrived[0].envelope else {
        panic!("a subscribe message goes to a user of a mini program");
    };
    assert_eq!(
        page.as_deref(),
        Some("pages/lead?id=0193e5a0-6e2b-7c4d-8f10-aabbccddeeff")
    );
}

async fn a_recipient_never_has_two_messages_under_way_on_one_channel(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(3).await;
    for round in 0..8 {
        let mut data = assignment();
        data.insert("customerName".to_owned(), json!(format!("客户{round}")));
        let ids: Vec<_> = employees
            .iter()
            .map(|employee| employee.id.clone())
            .collect();
        stage.assign_with(&ids, SUBSCRIBE, data).await;
    }
    stage.sandbox.set_latency(Duration::from_millis(5));
    stage.deliver().await;

    let sends: Vec<_> = stage
        .sandbox
        .requests(0)
        .into_iter()
        .filter(|request| request.api == Api::SubscribeSend)
        .collect();
    assert_eq!(sends.len(), 24);
    assert!(
        sends
            .iter()
            .all(|send| send.in_flight_same_recipient == 0 && send.errcode == Some(0))
    );
    assert_eq!(stage.sandbox.stats().duplicates, 0);
}

async fn a_recipient_without_a_binding_is_skipped_with_the_reason(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let stranger = stage.stranger().await;
    // Somebody else is bound: the appid is right.
    stage.employee().await;
    stage.assign(&[stranger], SUBSCRIBE).await;
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!(message.status, Status::Skipped);
    assert_eq!(
        message.last_error.as_deref(),
        Some("the recipient has no binding for this app")
    );
    assert_eq!(stage.sandbox.stats().requests, 0);
}

async fn a_route_switched_off_after_enqueueing_is_skipped(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage.assign(&[employee.id], CLOUD).await;
    stage
        .route(Kind::CustomerAssigned, Channel::WechatCloud, |route| {
            route.enabled = false;
        })
        .await;
    stage.deliver().await;

    let message = stage.only_message().await;
    assert_eq!(message.status, Status::Skipped);
    assert_eq!(
        message.last_error.as_deref(),
        Some("the route is switched off")
    );
}

async fn a_payload_that_cannot_be_read_fails_at_once_and_the_rest_goes_on(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(3).await;
    for employee in &employees {
        stage
            .assign(std::slice::from_ref(&employee.id), SUBSCRIBE)
            .await;
    }
    let spoilt = database.messages().await[1].id.clone();
    stage.spoil_payload(&spoilt, "{\"customerName\": ").await;
    stage.deliver().await;

    let statuses: Vec<Status> = database
        .messages()
        .await
        .iter()
        .map(|message| message.status)
        .collect();
    assert_eq!(statuses, [Status::Sent, Status::Failed, Status::Sent]);
    let failed = database.message(&spoilt).await;
    assert!(
        failed
            .last_error
            .unwrap()
            .starts_with("payload: not a JSON object")
    );
    assert_eq!(stage.attempts(&spoilt).await[0].verdict, "refused");
}

async fn a_slow_recipient_does_not_hold_up_the_others(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employees = stage.employees(4).await;
    stage.sandbox.add_fault(
        Fault::on(Api::SubscribeSend, FaultAction::Hang)
            .for_openid(&employees[0].openid)
            .always(),
    );
    let ids: Vec<_> = employees
        .iter()
        .map(|employee| employee.id.clone())
        .collect();
    stage.assign(&ids, SUBSCRIBE).await;
    let relay = stage.relay().await;
    // The hanging one still hangs when the others are through. All must have come, the token's request
    // included: an answer of the others that is not out yet is under way as well.
    stage
        .sandbox
        .until(|stats| stats.requests == 5 && stats.accepted == 3 && stats.in_flight == 1)
        .await;
    stage.sandbox.clear_faults();
    stage.until_status(Status::Pending, 1).await;
    stage.pass_first_retry();
    stage.until_status(Status::Sent, 4).await;
    relay.stop().await;
}

async fn a_recipient_with_many_messages_does_not_hold_up_the_others(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let (many, one) = (stage.employee().await, stage.employee().await);
    for round in 0..40 {
        let mut data = assignment();
        data.insert("customerName".to_owned(), json!(format!("客户{round}")));
        stage
            .assign_with(std::slice::from_ref(&many.id), SUBSCRIBE, data)
            .await;
    }
    stage.assign(std::slice::from_ref(&one.id), SUBSCRIBE).await;
    stage.sandbox.set_latency(Duration::from_millis(5));
    let relay = stage
        .relay_with(&["--concurrency", "4"], Until::Stopped)
        .await;
    stage.until_status(Status::Sent, 41).await;
    relay.stop().await;

    let arrived = stage.sandbox.messages(&MessageFilter::default());
    let place = arrived
        .iter()
        .position(|message| message.envelope.recipient() == one.openid)
        .unwrap();
    assert!(place <= 4, "it came as number {place}");
}
