//! What strangers send by the form of the website.

use std::time::Duration;

use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::db::schema::website_lead_requests;

use super::Office;
use crate::harness::{Answer, Gate, TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_lead_goes_to_the_pool_and_admins_and_managers_are_told,
    whoever_is_known_is_answered_the_same_and_their_owner_is_told,
    a_pooled_customer_who_comes_again_is_told_to_admins_and_managers,
    of_two_leads_with_one_number_at_once_one_is_entered,
    what_a_program_fills_in_is_thanked_and_not_written,
    a_client_may_send_five_forms_in_ten_minutes,
    without_trusted_proxies_nobody_can_pretend_to_be_another_client,
    all_clients_together_may_send_three_hundred_an_hour,
    a_form_that_cannot_be_is_refused_by_field,
);

const THANKS: &str = "提交成功，我们会尽快与您联系";
const TOO_OFTEN: &str = "提交过于频繁，请稍后再试";

async fn a_lead_goes_to_the_pool_and_admins_and_managers_are_told(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = json!({
        "name": " 王女士 ", "phone": "13800138999", "serviceCategory": "月嫂", "remarks": "预产期\n在三月",
    });
    let answer = send(&office.api, &lead).await;
    assert_eq!(answer.said(), (201, THANKS));
    assert_eq!(answer.body["data"], Value::Null);

    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 1);
    let id = page["items"][0]["id"].as_str().unwrap();
    let customer = office.customer(id).await;
    for (field, value) in [
        ("name", json!("王女士")),
        ("phone", json!("13800138999")),
        ("leadSource", json!("官网")),
        ("serviceCategory", json!("月嫂")),
        ("leadLevel", Value::Null),
        ("contractStatus", json!("待定")),
        ("remarks", json!("预产期\n在三月")),
        ("inPublicPool", json!(true)),
        ("publicPoolReason", json!("官网")),
        ("assignedTo", Value::Null),
        ("createdBy", Value::Null),
        ("version", json!(1)),
    ] {
        assert_eq!(customer[field], value, "{field}");
    }
    assert!(!customer["publicPoolEntryTime"].is_null());
    let history = office.history(id).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["entrance"], "website");
    for nobody in ["fromUserId", "toUserId", "assignedBy"] {
        assert_eq!(history[0][nobody], Value::Null, "{nobody}");
    }
    let told = "官网 创建了新客户：王女士（138****8999），来源：官网";
    assert_eq!(office.inbox(&office.admin).await, [told]);
    assert_eq!(office.inbox(&office.zhang).await, [told]);
    assert!(office.inbox(&office.sun).await.is_empty());
    // It is in the pool like any other.
    let taken = office
        .assign_from_pool(&office.zhang, &[id.to_owned()], &office.li)
        .await;
    assert_eq!(taken.data()["success"], 1);
}

async fn whoever_is_known_is_answered_the_same_and_their_owner_is_told(database: &TestDatabase) {
    let office = Office::open(database).await;
    let id = database.lead("王女士", "13800138999", &office.li).await;
    let body = json!({ "name": "钱女士", "wechatId": "qian", "leadSource": "美团", "assignedTo": office.wang.id });
    let other = office.api.post(&office.zhang, "/api/customers", &body);
    let other = other.await.data();
    let before = office.customer(&id).await;
    let first = send(
        &office.api,
        &json!({ "name": "王", "phone": "13800138999", "serviceCategory": "月嫂", "remarks": "请打 13900139000" }),
    )
    .await;
    let second = send(&office.api, &json!({ "name": "钱", "wechatId": "qian" })).await;
    for answer in [first, second] {
        assert_eq!(answer.said(), (201, THANKS));
        assert_eq!(answer.body["data"], Value::Null);
    }
    assert_eq!(
        office.inbox(&office.li).await,
        ["官网 对客户【王女士】添加了跟进记录：客户再次通过官网留言：月嫂，请打 139****9000"]
    );
    assert_eq!(
        office.inbox(&office.wang).await[1..],
        ["官网 对客户【钱女士】添加了跟进记录：客户再次通过官网留言".to_owned()]
    );
    let after = office.customer(&id).await;
    assert_ne!(after["lastActivityAt"], before["lastActivityAt"]);
    for unchanged in ["name", "assignedTo", "version", "inPublicPool", "remarks"] {
        assert_eq!(after[unchanged], before[unchanged], "{unchanged}");
    }
    assert_eq!(
        office.customer(other["id"].as_str().unwrap()).await["name"],
        "钱女士"
    );
    let log = database.shell(
        "SELECT detail FROM operation_logs WHERE action = 'customer.come_again' ORDER BY id",
    );
    assert!(
        log.contains("请打 139****9000") && !log.contains("13900139000"),
        "{log}"
    );
}

async fn a_pooled_customer_who_comes_again_is_told_to_admins_and_managers(database: &TestDatabase) {
    let office = Office::open(database).await;
    database.pooled_lead("王女士", "13800138999").await;
    let lead = json!({ "name": "王", "phone": "13800138999" });
    assert_eq!(send(&office.api, &lead).await.said(), (201, THANKS));
    let told = "官网 对客户【王女士】添加了跟进记录：客户再次通过官网留言";
    assert_eq!(office.inbox(&office.admin).await, [told]);
    assert_eq!(office.inbox(&office.zhang).await, [told]);
    assert!(office.inbox(&office.li).await.is_empty());
}

async fn of_two_leads_with_one_number_at_once_one_is_entered(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = json!({ "name": "王女士", "phone": "13800138999" });
    let gate = Gate::before(database, "customers");
    let (one, other, ()) = tokio::join!(
        send(&office.api, &lead),
        send(&office.api, &lead),
        gate.open_when_waiting(2),
    );
    assert_eq!(one.said(), (201, THANKS));
    assert_eq!(other.said(), (201, THANKS));
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 1);
    assert_eq!(
        office.inbox(&office.zhang).await,
        [
            "官网 创建了新客户：王女士（138****8999），来源：官网",
            "官网 对客户【王女士】添加了跟进记录：客户再次通过官网留言",
        ]
    );
}

async fn what_a_program_fills_in_is_thanked_and_not_written(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead =
        json!({ "name": "王女士", "phone": "13800138999", "website": "https://example.com" });
    assert_eq!(send(&office.api, &lead).await.said(), (201, THANKS));
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 0);
    assert!(database.news().await.is_empty());
    let empty = json!({ "name": "王女士", "phone": "13800138999", "website": "" });
    send(&office.api, &empty).await;
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 1);
}

async fn a_client_may_send_five_forms_in_ten_minutes(database: &TestDatabase) {
    let behind_a_proxy = |config: &mut crm_api::Config| {
        config.trusted_proxies = "127.0.0.1".parse().unwrap();
    };
    let office = Office::open_with(database, behind_a_proxy).await;
    let other_process = TestApi::with(database, behind_a_proxy).await;
    for number in 0..5 {
        let api = if number % 2 == 0 {
            &office.api
        } else {
            &other_process
        };
        let answer = send_from(api, "203.0.113.9", &numbered(number)).await;
        assert_eq!(answer.said(), (201, THANKS), "{number}");
    }
    for api in [&office.api, &other_process] {
        let answer = send_from(api, "198.51.100.1, 203.0.113.9", &numbered(5)).await;
        assert_eq!(answer.said(), (429, TOO_OFTEN));
        assert_eq!(answer.body["error"]["code"], "TOO_MANY_REQUESTS");
        let seconds: u64 = answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((500..=601).contains(&seconds), "{seconds}");
    }
    // Others are not kept waiting, and neither are they who have waited.
    let answer = send_from(&office.api, "203.0.113.10", &numbered(6)).await;
    assert_eq!(answer.said(), (201, THANKS));
    let ten_minutes_ago = SystemClock.now().before(Duration::from_secs(601));
    database
        .write(move |transaction| {
            diesel::update(website_lead_requests::table)
                .set(website_lead_requests::asked_at.eq(ten_minutes_ago))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    let answer = send_from(&office.api, "203.0.113.9", &numbered(7)).await;
    assert_eq!(answer.said(), (201, THANKS));
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    assert_eq!(page["total"], 7);
}

async fn without_trusted_proxies_nobody_can_pretend_to_be_another_client(database: &TestDatabase) {
    let office = Office::open(database).await;
    for number in 0..6 {
        let client = format!("203.0.113.{number}");
        let answer = send_from(&office.api, &client, &numbered(number)).await;
        assert_eq!(answer.status == 201, number < 5, "{number}");
    }
}

async fn all_clients_together_may_send_three_hundred_an_hour(database: &TestDatabase) {
    let office = Office::open(database).await;
    let store = async |count: usize, minutes: u64| {
        let asked_at = SystemClock.now().before(Duration::from_secs(minutes * 60));
        database
            .write(move |transaction| {
                for number in 0..count {
                    let row = (
                        website_lead_requests::id.eq(format!("{minutes}-{number}")),
                        website_lead_requests::client.eq(format!("client-{number}")),
                        website_lead_requests::asked_at.eq(asked_at),
                    );
                    diesel::insert_into(website_lead_requests::table)
                        .values(row)
                        .execute(transaction.connection())?;
                }
                Ok(())
            })
            .await;
    };
    store(50, 61).await;
    store(299, 59).await;
    let answer = send(&office.api, &numbered(0)).await;
    assert_eq!(answer.said(), (201, THANKS));
    let answer = send(&office.api, &numbered(1)).await;
    assert_eq!(answer.said(), (429, TOO_OFTEN));
    let seconds: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    // What no longer counts is forgotten.
    let kept: i64 = database
        .read(|connection| {
            Ok(website_lead_requests::table
                .count()
                .get_result(connection)?)
        })
        .await;
    assert_eq!(kept, 300);
}

async fn a_form_that_cannot_be_is_refused_by_field(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let long = "长".repeat(2_001);
    for (lead, message) in [
        (json!({ "name": "王女士" }), "请填写手机号或微信号"),
        (
            json!({ "name": "王女士", "phone": "1380013899" }),
            "手机号格式不正确",
        ),
        (
            json!({ "name": " ", "phone": "13800138999" }),
            "字段 name 不能为空",
        ),
        (json!({ "phone": "13800138999" }), "缺少字段：name"),
        (
            json!({ "name": "王女士", "phone": "13800138999", "serviceCategory": "保姆" }),
            "字段 serviceCategory 的值不正确",
        ),
        (
            json!({ "name": "王女士", "phone": "13800138999", "remarks": long }),
            "字段 remarks 不能超过2000字",
        ),
        (
            json!({ "name": "王女士", "phone": "13800138999", "assignedTo": office.li.id }),
            "不支持的字段：assignedTo",
        ),
    ] {
        assert_eq!(send(&office.api, &lead).await.said(), (400, message));
    }
    let large = json!({ "name": "王女士", "phone": "13800138999", "remarks": "x".repeat(16_384) });
    assert_eq!(
        send(&office.api, &large).await.said(),
        (413, "请求体过大，最大允许 16 KiB")
    );
    database.assert_unchanged_since(&before).await;
}

fn numbered(number: u32) -> Value {
    json!({ "name": format!("访客{number}"), "phone": format!("139{number:08}") })
}

async fn send(api: &TestApi, lead: &Value) -> Answer {
    let request = api.request(Method::POST, "/api/customers/website-lead");
    TestApi::send(request.json(lead)).await
}

/// Through a proxy that was asked by `client`.
async fn send_from(api: &TestApi, client: &str, lead: &Value) -> Answer {
    let request = api.request(Method::POST, "/api/customers/website-lead");
    TestApi::send(request.header("x-forwarded-for", client).json(lead)).await
}
