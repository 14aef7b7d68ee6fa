//! What an assignment puts into the outbox, and how settings change it.

use std::collections::BTreeSet;

use crm_api::PhoneDisplay;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Channel;
use shared::notification::Kind;
use shared::outbox::{Priority, Status};

use super::in_shanghai;
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    an_outbox_row_is_due_at_once_and_holds_all_that_a_channel_shows,
    a_channel_that_is_not_configured_gets_no_rows,
    a_route_that_is_switched_off_gets_no_rows_but_the_centre_does,
    whole_numbers_are_in_the_answer_only_if_configured_and_never_in_a_message,
    times_are_rendered_in_the_configured_zone,
);

async fn an_outbox_row_is_due_at_once_and_holds_all_that_a_channel_shows(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let request = office
        .api
        .request(Method::PATCH, &format!("/api/customers/{lead}/assign"));
    let request = request
        .bearer_auth(&office.zhang.token)
        .header("x-request-id", "request-7");
    let answer = TestApi::send(request.json(&json!({ "assignedTo": office.wang.id })))
        .await
        .data();
    let time = in_shanghai(&answer["assignedAt"]);

    let messages = database.messages().await;
    let seen: BTreeSet<(&str, Channel, &str, Priority)> = messages
        .iter()
        .map(|m| {
            (
                m.kind.as_str(),
                m.channel,
                m.recipient_id.as_str(),
                m.priority,
            )
        })
        .collect();
    let (li, wang) = (office.li.id.as_str(), office.wang.id.as_str());
    let expected = [Channel::WechatSubscribe, Channel::WechatCloud]
        .into_iter()
        .flat_map(|c| {
            [
                ("customer.assigned", c, wang, Priority::High),
                ("customer.transferred_away", c, li, Priority::Medium),
            ]
        });
    assert_eq!(seen, expected.collect());
    assert_eq!(messages.len(), 4);
    for message in messages {
        // A card has one line for it: it tells the one whose the customer was what became of it.
        let source = if message.recipient_id.as_str() == wang {
            "手动分配"
        } else {
            "已转移给王五"
        };
        assert_eq!((message.status, message.attempt), (Status::Pending, 0));
        assert_eq!(message.subject, Some(format!("customer:{lead}")));
        assert_eq!(message.request_id.unwrap().as_str(), "request-7");
        assert_eq!(json!(message.due_at), answer["assignedAt"]);
        assert_eq!(
            (message.due_at, message.expires_at),
            (message.created_at, None)
        );
        assert_eq!(
            serde_json::from_str::<Value>(&message.payload).unwrap(),
            json!({
                "customerId": lead,
                "customerName": "王女士",
                "phone": "138****8999",
                "leadSource": "美团",
                "serviceCategory": "月嫂",
                "source": source,
                "assignerName": "张经理",
                "operatorName": "张经理",
                "newOwner": "王五",
                "time": time,
                "assignTime": time,
            })
        );
    }
}

async fn a_channel_that_is_not_configured_gets_no_rows(database: &TestDatabase) {
    let office = Office::open_with(database, |config| config.wechat_cloud_env = None).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned wang: inbox wechat_subscribe",
            "customer.transferred_away li: inbox wechat_subscribe",
        ]
    );
}

async fn a_route_that_is_switched_off_gets_no_rows_but_the_centre_does(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .switch_off(Kind::CustomerAssigned, Channel::WechatSubscribe)
        .await;
    office
        .switch_off(Kind::CustomerTransferredAway, Channel::WechatSubscribe)
        .await;
    office
        .switch_off(Kind::CustomerTransferredAway, Channel::WechatCloud)
        .await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    assert_eq!(
        database.news().await,
        [
            "customer.assigned wang: inbox wechat_cloud",
            "customer.transferred_away li: inbox"
        ]
    );
}

async fn whole_numbers_are_in_the_answer_only_if_configured_and_never_in_a_message(
    database: &TestDatabase,
) {
    let full = |config: &mut crm_api::Config| {
        config.notification_data_full_phone = PhoneDisplay::Full;
    };
    let office = Office::open_with(database, full).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let answer = office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    assert_eq!(answer["notificationData"]["customerPhone"], "13800138999");

    let messages = database.messages().await;
    assert_eq!(messages.len(), 4);
    assert!(
        messages
            .iter()
            .all(|message| !message.payload.contains("13800138999"))
    );
    let page = office
        .api
        .get(&office.wang, "/api/notifications")
        .await
        .data();
    assert_eq!(page["total"], 1);
    assert!(!page.to_string().contains("13800138999"), "{page}");
}

async fn times_are_rendered_in_the_configured_zone(database: &TestDatabase) {
    let utc = |config: &mut crm_api::Config| config.time_zone = "UTC".parse().unwrap();
    let office = Office::open_with(database, utc).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let answer = office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let shanghai = in_shanghai(&answer["assignedAt"]);
    let shown = answer["notificationData"]["assignTime"].as_str().unwrap();
    let moment = |text| chrono::NaiveDateTime::parse_from_str(text, "%Y年%m月%d日 %H:%M").unwrap();
    assert_eq!(
        moment(&shanghai) - moment(shown),
        chrono::TimeDelta::hours(8)
    );
}
