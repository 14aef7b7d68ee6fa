use std::time::Duration;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::{App, Channel};
use shared::notification::{Kind, MessageFormat};
use shared::outbox::{Status, holds};
use wechat_sandbox::{
    Api, DEMO_CORPID, Envelope, Fault, FaultAction, KeptBack, Member, MessageFilter,
};

use crate::harness::{
    CRM_URL, RelayStage, TestDatabase, TestProcess, keep_settlements_waiting, on_each_database,
    registration, seconds,
};

on_each_database!(
    a_card_reaches_every_member_it_is_for,
    a_message_has_the_form_of_its_route,
    a_template_that_somebody_edited_is_used_at_once,
    what_is_too_long_is_cut_before_the_platform_does,
    whoever_is_left_out_gets_a_failed_message_of_their_own,
    a_message_for_nobody_has_failed_with_the_names,
    staff_are_reached_by_their_binding_and_need_one,
    an_expired_token_is_replaced_at_the_first_attempt,
    an_address_that_is_not_trusted_holds_the_channel_and_is_named,
    a_breached_limit_is_waited_for_longer_each_time_and_uses_up_no_attempt,
    a_lost_answer_is_asked_for_again_and_shown_once,
    two_messages_with_the_same_words_are_both_shown,
    a_relay_killed_before_it_could_settle_tells_nobody_twice,
    an_hour_without_the_platform_loses_nothing,
);

async fn a_card_reaches_every_member_it_is_for(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let id = stage.tell("zhangsan|LiSi").await;
    stage.deliver().await;
    for member in ["zhangsan", "lisi"] {
        let arrived = stage.delivered_to(member);
        assert_eq!(arrived.len(), 1, "{member}");
        let card = arrived[0].data();
        assert_eq!(card["title"], "🎉 新会员登记通知");
        assert_eq!(
            card["description"],
            "会员编号：M2026001\n性别 | 出生年份：女 | 1995年\n身高 | 体重：165cm | 未填写\n学历 | 职业：本科 | 教师\n所在地：浙江 杭州\n登记时间：2026年11月25日 18:30"
        );
        let page = "/members/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
        assert_eq!(card["url"], format!("{CRM_URL}{page}?message={id}"));
        assert_eq!(card["btntxt"], "查看详情");
        let Envelope::WecomApp { msgid, .. } = &arrived[0].envelope else {
            panic!("it came from the application");
        };
        let message = stage.only_message().await;
        assert_eq!((message.status, message.attempt), (Status::Sent, 1));
        assert_eq!(message.provider_message_id.as_ref(), Some(msgid));
    }
    assert!(stage.attempts(&id).await.is_empty());
}

async fn a_template_that_somebody_edited_is_used_at_once(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    stage.tell("zhangsan").await;
    stage.deliver().await;
    let edit = "UPDATE notification_templates SET title = '欢迎 {{memberNo}}', button = '打开', version = 1 \
                WHERE kind = 'member.registered'";
    database.connection().batch_execute(edit).unwrap();
    stage.tell("zhangsan").await;
    stage.deliver().await;
    let cards = stage.delivered_to("zhangsan");
    let titles: Vec<Value> = cards
        .iter()
        .map(|card| card.data()["title"].clone())
        .collect();
    assert_eq!(titles, ["🎉 新会员登记通知", "欢迎 M2026001"]);
    let newest = cards[1].data();
    assert_eq!(newest["btntxt"], "打开");
    assert_eq!(
        newest["description"],
        cards[0].data()["description"],
        "what was not edited is as before"
    );
}

async fn a_message_has_the_form_of_its_route(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let form = async |format, fields: &[(&str, &str)]| -> (String, Value) {
        let fields = fields
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        stage
            .route(Kind::MemberRegistered, Channel::WecomApp, |route| {
                route.format = format;
                route.fields = fields;
            })
            .await;
        stage.tell("zhangsan").await;
        stage.deliver().await;
        let newest = stage.delivered_to("zhangsan").pop().unwrap();
        let Envelope::WecomApp { msgtype, .. } = &newest.envelope else {
            panic!("it came from the application");
        };
        (msgtype.clone(), newest.data())
    };
    let short = [("title", "新会员"), ("description", "{{memberNo}}")];
    let (msgtype, shown) = form(Some(MessageFormat::Text), &short).await;
    let text = shown["content"].as_str().unwrap();
    assert_eq!(msgtype, "text");
    assert!(
        text.starts_with(&format!("新会员\nM2026001\n<a href=\"{CRM_URL}/members/")),
        "{text}"
    );
    let (msgtype, shown) = form(Some(MessageFormat::Markdown), &short).await;
    let text = shown["content"].as_str().unwrap();
    assert_eq!(msgtype, "markdown");
    assert!(
        text.starts_with("**新会员**\nM2026001\n[查看详情](https://"),
        "{text}"
    );
    let own = [
        ("url", "https://m.example.com/{{memberNo}}"),
        ("btntxt", "打开"),
    ];
    let (msgtype, shown) = form(None, &own).await;
    assert_eq!(
        (msgtype.as_str(), &shown["btntxt"]),
        ("textcard", &json!("打开"))
    );
    let url = shown["url"].as_str().unwrap();
    assert!(url.starts_with("https://m.example.com/M2026001?message="));
}

async fn what_is_too_long_is_cut_before_the_platform_does(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let mut data = registration();
    // 25 bytes and 11 UTF-16 units each, and nothing to cut it at inside.
    data.insert("occupation".to_owned(), json!("👨‍👩‍👧‍👦".repeat(120)));
    for format in [
        MessageFormat::Text,
        MessageFormat::Markdown,
        MessageFormat::Textcard,
    ] {
        stage
            .route(Kind::MemberRegistered, Channel::WecomApp, |route| {
                route.format = Some(format);
            })
            .await;
        stage
            .tell_on(Channel::WecomApp, "zhangsan", data.clone())
            .await;
        stage.deliver().await;
        let shown = stage.delivered_to("zhangsan").pop().unwrap().data();
        let cut = match format {
            MessageFormat::Textcard => shown["description"].as_str().unwrap(),
            MessageFormat::Text | MessageFormat::Markdown => {
                let text = shown["content"].as_str().unwrap();
                let (cut, link) = text.rsplit_once('\n').unwrap();
                assert!(link.contains("?message="), "{format}: {link}");
                cut
            }
        };
        assert!(cut.ends_with("👨‍👩‍👧‍👦…"), "{format}: {cut}");
    }
}

async fn whoever_is_left_out_gets_a_failed_message_of_their_own(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let id = stage.tell("zhangsan|Nobody|unlicensed|lisi").await;
    stage.deliver().await;
    let messages = database.messages().await;
    assert_eq!(messages.len(), 2);
    let (told, left_out) = (&messages[0], &messages[1]);
    assert_eq!((&told.id, told.status), (&id, Status::Sent));
    assert_eq!(left_out.recipient_id.as_str(), "Nobody|unlicensed");
    assert_eq!(left_out.status, Status::Failed);
    assert_eq!(
        (
            &left_out.kind,
            left_out.channel,
            &left_out.payload,
            &left_out.subject
        ),
        (&told.kind, told.channel, &told.payload, &told.subject)
    );
    let error = left_out.last_error.as_deref().unwrap();
    assert!(
        error.contains("invaliduser Nobody:") && error.contains("unlicenseduser unlicensed:"),
        "{error}"
    );
    let attempts = stage.attempts(&id).await;
    assert_eq!(attempts[0].verdict, "accepted");
    assert_eq!(attempts[0].errmsg.as_deref(), Some(error));

    // Once the administrator has mended it, they are told, and nobody else again.
    for userid in ["nobody", "unlicensed"] {
        stage
            .sandbox
            .put_member(Member::new(userid, userid))
            .unwrap();
    }
    let child = left_out.id.to_string();
    let requeued = stage.command(&["outbox", "requeue", &child, "--reason", "licence bought"]);
    assert!(requeued.status.success(), "{}", requeued.said);
    assert!(stage.command(&["run", "--once"]).status.success());
    for (member, count) in [
        ("zhangsan", 1),
        ("lisi", 1),
        ("nobody", 1),
        ("unlicensed", 1),
    ] {
        assert_eq!(stage.delivered_to(member).len(), count, "{member}");
    }
    assert_eq!(database.message(&left_out.id).await.status, Status::Sent);
}

async fn a_message_for_nobody_has_failed_with_the_names(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    // The platform refuses the first and takes the second, for nobody.
    for recipients in ["nobody|noone", "unlicensed"] {
        let id = stage.tell(recipients).await;
        stage.deliver().await;
        let message = database.message(&id).await;
        assert_eq!((message.status, message.attempt), (Status::Failed, 1));
        let error = message.last_error.unwrap();
        assert!(error.contains(recipients), "{error}");
        assert_eq!(stage.attempts(&id).await[0].verdict, "refused");
    }
    let codes: Vec<_> = database.messages().await;
    assert_eq!(codes[0].last_errcode, Some(81_013));
    assert_eq!(codes.len(), 2, "nobody is left for a message of their own");
}

async fn staff_are_reached_by_their_binding_and_need_one(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    stage
        .route(Kind::CustomerAssigned, Channel::WecomApp, |_| {})
        .await;
    let staff = [stage.stranger().await, stage.stranger().await];
    // As long as nobody is bound at all, something else is wrong; members' messages go on.
    stage.assign(&staff, &[Channel::WecomApp]).await;
    stage.tell("zhangsan").await;
    stage.deliver().await;
    let messages = database.messages().await;
    assert!(
        messages[..2]
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Pending, 0))
    );
    let error = messages[0].last_error.as_deref().unwrap();
    assert!(error.contains("WECOM_CORPID"), "{error}");
    assert_eq!(messages[2].status, Status::Sent);
    assert!(database.read(holds).await.is_empty());

    let bound = &staff[0];
    stage.bind(bound, App::wecom(DEMO_CORPID), "lisi").await;
    stage.clock.advance(seconds(61));
    stage.deliver().await;
    assert_eq!(stage.delivered_to("lisi").len(), 1);
    for message in &database.messages().await[..2] {
        let expected = if message.recipient_id.as_str() == bound.as_str() {
            Status::Sent
        } else {
            Status::Skipped
        };
        assert_eq!(message.status, expected);
    }
}

async fn an_expired_token_is_replaced_at_the_first_attempt(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let relay = stage.relay().await;
    stage.tell("zhangsan").await;
    stage.until_status(Status::Sent, 1).await;
    stage.sandbox.expire_tokens();
    for _ in 0..10 {
        stage.tell("zhangsan|lisi").await;
        stage.tell("wangwu").await;
    }
    stage.until_status(Status::Sent, 21).await;
    relay.stop().await;
    let messages = database.messages().await;
    assert!(messages.iter().all(|message| message.attempt == 1));
    let requests = stage.sandbox.requests(0);
    let asked = requests.iter().filter(|r| r.api == Api::WecomToken).count();
    assert_eq!(asked, 2, "one refusal or ten: one new token");
}

async fn an_address_that_is_not_trusted_holds_the_channel_and_is_named(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let elsewhere = vec!["192.0.2.1".parse().unwrap()];
    stage
        .sandbox
        .set_trusted_addresses(None, Some(elsewhere))
        .unwrap();
    stage.tell("zhangsan").await;
    stage.tell("lisi").await;
    stage.deliver().await;
    let hold = database.read(holds).await.remove(0);
    assert_eq!(
        (hold.channel, hold.errcode),
        (Channel::WecomApp, Some(60_020))
    );
    assert!(
        hold.reason
            .contains("add 127.0.0.1 to the application's trusted addresses"),
        "{}",
        hold.reason
    );
    let untouched = database.messages().await;
    assert!(
        untouched
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Pending, 0))
    );

    stage.sandbox.set_trusted_addresses(None, None).unwrap();
    stage.pass(seconds(62));
    stage.deliver().await;
    let messages = database.messages().await;
    assert!(
        messages
            .iter()
            .all(|m| (m.status, m.attempt) == (Status::Sent, 1))
    );
    assert!(database.read(holds).await.is_empty());
}

async fn a_breached_limit_is_waited_for_longer_each_time_and_uses_up_no_attempt(
    database: &TestDatabase,
) {
    let stage = RelayStage::wecom(database).await;
    stage
        .sandbox
        .add_fault(Fault::errcode(Api::WecomSend, 45_009).always());
    stage.tell("zhangsan").await;
    stage.deliver().await;
    let until_probe = async || {
        let hold = database.read(holds).await.remove(0);
        hold.probe_at.unwrap().since(stage.clock.now()).as_secs()
    };
    assert_eq!(until_probe().await, 60);
    let mut waits = Vec::new();
    for _ in 0..4 {
        // The message itself comes a second after the probe's turn.
        stage.pass(seconds(until_probe().await + 1));
        stage.deliver().await;
        waits.push(until_probe().await);
    }
    assert_eq!(waits, [61, 123, 247, 495], "as long again as it has lasted");
    let message = stage.only_message().await;
    assert_eq!((message.status, message.attempt), (Status::Pending, 0));

    stage.sandbox.clear_faults();
    stage.pass(seconds(500));
    stage.deliver().await;
    assert_eq!(stage.only_message().await.status, Status::Sent);
}

async fn a_lost_answer_is_asked_for_again_and_shown_once(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let lost_answer = Fault::on(Api::WecomSend, FaultAction::ResetBeforeAnswer).processed();
    stage.sandbox.add_fault(lost_answer);
    let id = stage.tell("zhangsan").await;
    stage.deliver().await;
    assert!(database.message(&id).await.outcome_unknown);
    stage.pass(seconds(5));
    stage.deliver().await;
    let message = database.message(&id).await;
    assert_eq!((message.status, message.attempt), (Status::Sent, 2));
    assert!(!message.outcome_unknown);
    let kept_back: Vec<_> = stage
        .delivered_to("zhangsan")
        .iter()
        .map(|message| message.kept_back)
        .collect();
    assert_eq!(kept_back, [None, Some(KeptBack::Repeat)]);
}

async fn two_messages_with_the_same_words_are_both_shown(database: &TestDatabase) {
    for stage in [
        RelayStage::wecom(database).await,
        RelayStage::wecom_without_links(database).await,
    ] {
        for format in [
            MessageFormat::Textcard,
            MessageFormat::Text,
            MessageFormat::Markdown,
        ] {
            stage
                .route(Kind::MemberRegistered, Channel::WecomApp, |route| {
                    route.format = Some(format);
                })
                .await;
            stage.tell("lisi").await;
            stage.tell("lisi").await;
            stage.deliver().await;
        }
        let arrived = stage.delivered_to("lisi");
        assert_eq!(arrived.len(), 6);
        assert!(arrived.iter().all(|message| message.is_shown()));
    }
}

async fn a_relay_killed_before_it_could_settle_tells_nobody_twice(database: &TestDatabase) {
    /// Longer than this lasts: nothing ends by a time-out here.
    const PATIENT: &[&str] = &["--request-timeout", "20s", "--lease", "100s"];
    let stage = RelayStage::wecom(database).await;
    // Long enough to get in between.
    stage.sandbox.set_latency(Duration::from_millis(1_500));
    stage.tell("zhangsan").await;
    stage.tell("lisi|wangwu").await;
    let start = || TestProcess::start("outbox-relay", &stage.relay_arguments(PATIENT));
    let doomed = start();
    stage.sandbox.until(|stats| stats.in_flight == 2).await;
    let mut connection = database.connection();
    keep_settlements_waiting(&mut connection);
    stage.sandbox.until(|stats| stats.in_flight == 0).await;
    assert_eq!(stage.sandbox.stats().accepted, 3);
    doomed.kill();
    connection.batch_execute("COMMIT").unwrap();

    stage.sandbox.set_latency(Duration::ZERO);
    let next = start();
    stage.until_status(Status::Sent, 2).await;
    next.terminate();
    for member in ["zhangsan", "lisi", "wangwu"] {
        let arrived = stage.delivered_to(member);
        let shown = arrived.iter().filter(|message| message.is_shown()).count();
        assert_eq!((arrived.len(), shown), (2, 1), "{member}");
    }
}

async fn an_hour_without_the_platform_loses_nothing(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let bad_gateway = FaultAction::HttpStatus {
        status: 502,
        body: "<html>Bad Gateway</html>".to_owned(),
    };
    stage
        .sandbox
        .add_fault(Fault::on_any(bad_gateway).unprocessed().always());
    for minute in 0..60 {
        if minute < 5 {
            stage.tell("zhangsan").await;
            stage.tell("lisi|wangwu").await;
        }
        stage.deliver().await;
        stage.pass(seconds(60));
    }
    assert_eq!(stage.sandbox.stats().accepted, 0);
    stage.sandbox.clear_faults();
    // The probe goes first, the rest when it is through; then what waits for its next attempt.
    for _ in 0..5 {
        stage.pass(seconds(60 * 60));
        stage.deliver().await;
    }
    let messages = database.messages().await;
    assert!(
        messages
            .iter()
            .all(|message| message.status == Status::Sent)
    );
    assert_eq!(stage.sandbox.messages(&MessageFilter::default()).len(), 15);
    assert_eq!(stage.sandbox.stats().kept_back, 0);
}
