use serde_json::{Value, json};
use shared::domain::Channel;
use shared::notification::Kind;
use wechat_sandbox::DEMO_TEMPLATE_ID;

use crate::harness::{RelayStage, TestDatabase, on_each_database};

on_each_database!(
    a_message_is_shown_and_not_sent,
    what_was_saved_is_what_is_shown,
    what_cannot_be_shown_is_refused_by_name,
);

async fn a_message_is_shown_and_not_sent(database: &TestDatabase) {
    let stage = RelayStage::wecom(database).await;
    let before = database.contents().await;
    let shown = stage.command(&["preview", "member.registered", "wecom_app", "--json"]);
    assert!(shown.status.success(), "{}", shown.said);
    let shown: Value = serde_json::from_str(&shown.printed).unwrap();
    assert_eq!(shown["path"], "/cgi-bin/message/send");
    assert_eq!(shown["body"]["touser"], "@all", "whom the route names");
    assert_eq!(shown["body"]["textcard"]["title"], "🎉 新会员登记通知");
    assert_eq!(shown["warnings"], json!([]));

    let data =
        r#"{"customerName":"一位名字非常非常长以至于放不下的客户女士老客户","source":"抖音"}"#;
    let words = [
        "preview",
        "customer.assigned",
        "wechat_subscribe",
        "--data",
        data,
    ];
    let shown = stage.command(&words);
    assert!(shown.status.success(), "{}", shown.said);
    for line in [
        "POST /cgi-bin/message/subscribe/send",
        "\"touser\": \"RECIPIENT\"",
        &format!("\"template_id\": \"{DEMO_TEMPLATE_ID}\""),
        "note    name3: {{assignerName}} has no value and shows -",
        "note    thing1: \"一位名字非常非常长以至于放不下的客户女士老客户\" is shown as",
    ] {
        assert!(shown.printed.contains(line), "{line}: {}", shown.printed);
    }
    assert_eq!(stage.sandbox.stats().requests, 0);
    database.assert_unchanged_since(&before).await;
}

async fn what_was_saved_is_what_is_shown(database: &TestDatabase) {
    let stage = RelayStage::wecom_without_links(database).await;
    stage
        .route(Kind::CustomerAssigned, Channel::WecomRobot, |route| {
            route.enabled = false;
            let title = ("title".to_owned(), "新客户 {{customerName}}".to_owned());
            route.fields = [title].into();
        })
        .await;
    let shown = stage.command(&["preview", "customer.assigned", "wecom_robot"]);
    for line in [
        "POST /cgi-bin/webhook/send",
        "**新客户 王女士**",
        "note    url: there is no link to /customers/{{customerId}}: CRM_URL",
        "note    the route is off: nothing goes out on it",
    ] {
        assert!(shown.printed.contains(line), "{line}: {}", shown.said);
    }
}

async fn what_cannot_be_shown_is_refused_by_name(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    for (words, answer) in [
        (
            &["preview", "customer.assigned", "wecom_app"][..],
            "customer.assigned has no route on wecom_app: make one by PUT",
        ),
        (&["preview", "fax.sent", "wecom_app"], "\"fax.sent\""),
        (
            &[
                "preview",
                "contract.signed",
                "wechat_cloud",
                "--data",
                r#"{"name":"x"}"#,
            ],
            "data: contract.signed has no name; it has contractId, contractNumber, customerName, workerName, time",
        ),
        (
            &["preview", "report.weekly", "wechat_cloud", "--data", "[1]"],
            "a JSON object is wanted",
        ),
    ] {
        super::refused(&stage.command(words), answer);
    }
    stage
        .route(Kind::ReportWeekly, Channel::WechatSubscribe, |route| {
            route.template_id = None;
        })
        .await;
    let unsendable = stage.command(&["preview", "report.weekly", "wechat_subscribe"]);
    super::refused(
        &unsendable,
        "template_id: the route of report.weekly on wechat_subscribe has none",
    );
}
