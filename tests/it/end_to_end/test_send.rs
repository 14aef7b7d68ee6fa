//! A test from the API to the phone, and where it ends if it does not get there.

use outbox_relay::Relay;
use outbox_relay::relay::Until;
use serde_json::{Value, json};
use shared::domain::{App, Channel};
use shared::notification::Kind;
use shared::outbox::Status;
use wechat_sandbox::{Api, DEMO_AGENTID, DEMO_CORPID, Fault, FaultAction, MessageFilter};

use crate::harness::{
    Answer, CRM_URL, RelayStage, Session, TestApi, TestDatabase, on_each_database,
};

on_each_database!(
    a_test_arrives_says_that_it_is_one_and_is_told_step_by_step,
    it_goes_out_whatever_its_recipient_has_muted_and_before_the_route_is_on,
    a_step_that_fails_beforehand_is_named_and_nothing_is_enqueued,
    a_step_that_fails_at_the_platform_is_named_with_what_to_do,
    a_message_of_wecom_goes_to_the_user_alone_whomever_the_route_names,
    a_preview_is_what_arrives,
    a_test_is_no_assignment_to_the_audit,
);

const OPENID: &str = "oAdmin0000000000000000000000";

struct Trial<'database> {
    stage: RelayStage<'database>,
    api: TestApi,
    admin: Session,
}

impl<'database> Trial<'database> {
    async fn on(database: &'database TestDatabase) -> Self {
        let stage = RelayStage::wecom(database).await;
        let api = TestApi::with(database, |config| {
            config.wecom_corpid = Some(DEMO_CORPID.to_owned());
            config.wecom_agentid = Some(DEMO_AGENTID);
            config.crm_url = Some(CRM_URL.parse().unwrap());
        })
        .await;
        let admin = api.admin().await;
        api.bind(&admin, OPENID).await;
        let user = admin.id.parse().unwrap();
        stage.bind(&user, App::wecom(DEMO_CORPID), "zhangsan").await;
        Self { stage, api, admin }
    }

    async fn relay(&self) -> Relay {
        self.stage.relay_on_database_clock(Until::Stopped).await
    }

    async fn order(&self, of: &str, body: &Value) -> Answer {
        let path = format!("/api/notification-templates/{of}/test-send");
        self.api.post(&self.admin, &path, body).await
    }

    /// Orders a test that can be sent, and waits for its outcome.
    async fn outcome(&self, of: &str) -> (String, Value) {
        let ordered = self.order(of, &json!({})).await;
        assert_eq!(
            ordered.said(),
            (202, "测试消息已进入发送队列"),
            "{}",
            ordered.body
        );
        let ordered = ordered.data();
        assert_eq!(states(&ordered), "ok waiting ok ok waiting");
        let url = format!("{}?waitSeconds=10", ordered["url"].as_str().unwrap());
        let answer = self.api.get(&self.admin, &url).await;
        (answer.said().1.to_owned(), answer.data())
    }
}

/// How the steps went, in their order.
fn states(test: &Value) -> String {
    let steps = test["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["config", "token", "template", "recipient", "send"]);
    let states: Vec<&str> = steps
        .iter()
        .map(|step| step["state"].as_str().unwrap())
        .collect();
    states.join(" ")
}

/// The step at which a test has failed.
#[track_caller]
fn failed(test: &Value) -> &Value {
    assert_eq!(test["verdict"], "failed", "{test}");
    let steps = test["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["state"] == "failed").unwrap();
    assert_eq!(failed["step"], test["failedStep"]);
    failed
}

async fn a_test_arrives_says_that_it_is_one_and_is_told_step_by_step(database: &TestDatabase) {
    let trial = Trial::on(database).await;
    let relay = trial.relay().await;
    let (said, test) = trial.outcome("customer.assigned/wechat_subscribe").await;
    assert_eq!(
        (said.as_str(), &test["verdict"]),
        ("测试通过", &json!("passed"))
    );
    assert_eq!(states(&test), "ok ok ok ok ok");
    assert_eq!(
        (&test["status"], &test["failedStep"]),
        (&json!("sent"), &Value::Null)
    );
    let arrived = trial.stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].envelope.recipient(), OPENID);
    assert_eq!(arrived[0].data()["thing1"]["value"], "【测试】王女士");
    let message = trial.stage.only_message().await;
    assert_eq!(message.subject.as_deref(), Some("test-send"));
    // Who tested what is on record, with the message.
    let path = format!("/api/outbox/{}", message.id);
    let detail = trial.api.get(&trial.admin, &path).await.data();
    let logged = &detail["history"][0];
    assert_eq!(logged["action"], "notification.test_send");
    assert_eq!(logged["detail"]["test"], true);
    // Nobody's centre has it.
    let inbox = trial
        .api
        .get(&trial.admin, "/api/notifications")
        .await
        .data();
    assert_eq!(inbox["total"], 0);
    relay.stop().await;
}

async fn it_goes_out_whatever_its_recipient_has_muted_and_before_the_route_is_on(
    database: &TestDatabase,
) {
    let trial = Trial::on(database).await;
    let muted = json!({
        "mutedKinds": ["report.weekly"],
        "quietWindows": [{ "days": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "23:59" }],
    });
    let path = "/api/notifications/settings";
    trial.api.put(&trial.admin, path, &muted).await.data();
    trial
        .stage
        .route(Kind::ReportWeekly, Channel::WechatCloud, |route| {
            route.enabled = false;
        })
        .await;
    let relay = trial.relay().await;
    let ordered = trial
        .order("report.weekly/wechat_cloud", &json!({}))
        .await
        .data();
    let text = |step: usize| ordered["steps"][step]["text"].as_str().unwrap();
    assert!(
        text(2).contains("渠道设置未启用，仅测试消息会发送"),
        "{ordered}"
    );
    assert!(text(3).contains("已屏蔽此类通知或此渠道"), "{ordered}");
    trial.stage.until_status(Status::Sent, 1).await;
    let arrived = trial.stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(arrived.len(), 1);
    relay.stop().await;
}

async fn a_step_that_fails_beforehand_is_named_and_nothing_is_enqueued(database: &TestDatabase) {
    let trial = Trial::on(database).await;
    let of = "customer.assigned/wechat_subscribe";
    let stopped = async |of: &str, body: Value| {
        let answer = trial.order(of, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said = answer.said().1.to_owned();
        let test = answer.data();
        assert_eq!(
            (&test["messageId"], &test["url"]),
            (&Value::Null, &Value::Null)
        );
        let step = failed(&test).clone();
        assert!(!step["fix"].as_str().unwrap().is_empty());
        (said, step, states(&test))
    };
    let (said, step, states) = stopped(of, json!({})).await;
    assert_eq!(said, "测试未通过（配置）：没有正在运行的发送程序");
    assert_eq!(step["fix"], "请启动发送程序 outbox-relay");
    assert_eq!(
        states,
        "failed not_reached not_reached not_reached not_reached"
    );

    let relay = trial.relay().await;
    let (said, step, _) = stopped("customer.assigned/wecom_robot", json!({})).await;
    assert_eq!(said, "测试未通过（配置）：本系统未配置渠道 wecom_robot");
    assert!(step["fix"].as_str().unwrap().contains("WECOM_ROBOT=on"));

    let hold = "/api/outbox/channels/wechat_subscribe/hold";
    let reason = json!({ "reason": "更换密钥" });
    trial.api.post(&trial.admin, hold, &reason).await.data();
    let (said, step, _) = stopped(of, json!({})).await;
    assert!(
        said.starts_with("测试未通过（配置）：渠道已暂停：") && said.contains("更换密钥"),
        "{said}"
    );
    assert!(
        step["fix"]
            .as_str()
            .unwrap()
            .ends_with("/wechat_subscribe/lift")
    );
    let lift = "/api/outbox/channels/wechat_subscribe/lift";
    trial.api.post(&trial.admin, lift, &reason).await.data();

    let (said, _, states) = stopped("customer.assigned/wecom_app", json!({})).await;
    assert_eq!(said, "测试未通过（模板）：该类通知没有此渠道的设置");
    assert_eq!(states, "ok not_reached failed not_reached not_reached");
    trial
        .stage
        .route(Kind::ReportWeekly, Channel::WechatSubscribe, |route| {
            route.template_id = None;
        })
        .await;
    let (said, _, _) = stopped("report.weekly/wechat_subscribe", json!({})).await;
    assert!(
        said.starts_with("测试未通过（模板）：渠道设置中没有订阅消息的模板编号"),
        "{said}"
    );

    let stranger = trial.api.user("xiaoli", "employee").await;
    let (said, step, states) = stopped(of, json!({ "userId": stranger.id })).await;
    assert!(
        said.starts_with("测试未通过（接收人）：xiaoli 未绑定 mini_program:"),
        "{said}"
    );
    assert!(step["fix"].as_str().unwrap().contains("/bindings/"));
    assert_eq!(states, "ok not_reached ok failed not_reached");
    let nobody = json!({ "userId": "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff" });
    let (said, _, _) = stopped(of, nobody).await;
    assert_eq!(said, "测试未通过（接收人）：用户不存在");

    for (body, field) in [
        (json!({ "userId": "x" }), "userId"),
        (json!({ "data": { "x": 1 } }), "data"),
        (json!({ "to": "x" }), "to"),
    ] {
        let answer = trial.order(of, &body).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.body);
        assert_eq!(answer.body["error"]["details"]["field"], field);
    }
    assert!(database.messages().await.is_empty());
    relay.stop().await;
}

async fn a_step_that_fails_at_the_platform_is_named_with_what_to_do(database: &TestDatabase) {
    let trial = Trial::on(database).await;
    let relay = trial.relay().await;
    let of = "customer.assigned/wechat_subscribe";
    for (errcode, step, states, fix) in [
        (
            43_101,
            "recipient",
            "ok ok ok failed not_reached",
            "再次订阅",
        ),
        (
            40_037,
            "template",
            "ok ok failed not_reached not_reached",
            "模板编号",
        ),
        (
            47_003,
            "template",
            "ok ok failed not_reached not_reached",
            "字段",
        ),
        (45_168, "send", "ok ok ok ok failed", "修正错误所指的内容"),
        (-1, "send", "ok ok ok ok failed", "重新排队"),
    ] {
        trial
            .stage
            .sandbox
            .add_fault(Fault::errcode(Api::SubscribeSend, errcode));
        let (said, test) = trial.outcome(of).await;
        let failed = failed(&test);
        assert_eq!(
            (&failed["step"], self::states(&test).as_str()),
            (&json!(step), states),
            "{test}"
        );
        assert!(
            failed["fix"].as_str().unwrap().contains(fix),
            "{errcode}: {failed}"
        );
        assert!(said.starts_with("测试未通过"), "{said}");
    }
    // It is not tried for hours: the first trouble is what one wants to know.
    let silent = Fault::on(Api::SubscribeSend, FaultAction::ResetBeforeAnswer).unprocessed();
    trial.stage.sandbox.add_fault(silent);
    let (_, test) = trial.outcome(of).await;
    assert_eq!(
        (&failed(&test)["step"], &test["status"]),
        (&json!("send"), &json!("failed"))
    );
    relay.stop().await;

    // A secret that is wrong holds the channel; the message is not to blame, and is told so.
    let relay = trial.relay().await;
    trial
        .stage
        .sandbox
        .add_fault(Fault::errcode(Api::StableToken, 40_125));
    let (said, test) = trial.outcome("customer.assigned/wechat_cloud").await;
    assert_eq!(
        states(&test),
        "ok failed not_reached not_reached not_reached",
        "{test}"
    );
    assert!(said.starts_with("测试未通过（凭证）：渠道自"), "{said}");
    assert!(
        failed(&test)["fix"]
            .as_str()
            .unwrap()
            .contains("WECHAT_SECRET")
    );
    relay.stop().await;
}

async fn a_message_of_wecom_goes_to_the_user_alone_whomever_the_route_names(
    database: &TestDatabase,
) {
    let trial = Trial::on(database).await;
    let relay = trial.relay().await;
    let (_, test) = trial.outcome("member.registered/wecom_app").await;
    assert_eq!(test["verdict"], "passed", "{test}");
    let arrived = trial.stage.sandbox.messages(&MessageFilter::default());
    let recipients: Vec<&str> = arrived.iter().map(|one| one.envelope.recipient()).collect();
    assert_eq!(recipients, ["zhangsan"], "the route says @all");
    assert_eq!(arrived[0].data()["title"], "【测试】🎉 新会员登记通知");
    relay.stop().await;
}

async fn a_preview_is_what_arrives(database: &TestDatabase) {
    let trial = Trial::on(database).await;
    let user = trial.admin.id.parse().unwrap();
    let data = crate::harness::assignment();
    let channels = [Channel::WechatSubscribe, Channel::WecomApp];
    trial
        .stage
        .route(Kind::CustomerAssigned, Channel::WecomApp, |_| {})
        .await;
    trial
        .stage
        .assign_with(&[user], &channels, data.clone())
        .await;
    trial.stage.deliver().await;
    let arrived = trial.stage.sandbox.messages(&MessageFilter::default());
    assert_eq!(arrived.len(), 2);
    for (channel, recipient, content) in [
        ("wechat_subscribe", OPENID, "data"),
        ("wecom_app", "zhangsan", "textcard"),
    ] {
        let path = format!("/api/notification-templates/customer.assigned/{channel}/preview");
        let shown = trial
            .api
            .post(&trial.admin, &path, &json!({ "data": data }))
            .await
            .data();
        let mut shown = shown["body"][content].clone();
        let message = arrived
            .iter()
            .find(|one| one.envelope.recipient() == recipient)
            .unwrap();
        let mut arrived = message.data();
        // Every message has an id of its own, at the end of its link.
        for texts in [&mut shown, &mut arrived] {
            if let Some(url) = texts.get_mut("url") {
                let page = url.as_str().unwrap().split("?message=").next().unwrap();
                *url = json!(page);
            }
        }
        assert_eq!(shown, arrived, "{channel}");
    }
}

async fn a_test_is_no_assignment_to_the_audit(database: &TestDatabase) {
    let trial = Trial::on(database).await;
    let relay = trial.relay().await;
    trial.outcome("customer.assigned/wechat_subscribe").await;
    relay.stop().await;
    let audited = trial
        .stage
        .command(&["audit", "--since", "1h", "--margin", "0s"]);
    assert!(audited.status.success(), "{}", audited.said);
}
