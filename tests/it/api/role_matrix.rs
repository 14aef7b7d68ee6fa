//! Who may do what: every endpoint for every role, by a table of its own.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::OutboxMessageId;
use shared::outbox::Wish;
use wechat_sandbox::DEMO_APPID;

use super::Office;
use crate::harness::{Answer, PASSWORD, Session, TestApi, TestDatabase, on_each_database};

on_each_database!(
    everybody_gets_exactly_what_their_role_allows,
    a_role_that_is_taken_away_is_gone_at_once,
);

/// An endpoint, and for whom it is: `public`, or a letter for each role that may. The order is that
/// in which the allowed requests are made: one needs what an earlier one has left.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    fn(&Places, &str) -> Value,
);

/// What the paths and bodies speak of.
struct Places {
    user: String,
    customer: String,
    member: String,
    message: String,
    /// A message that is cancelled.
    cancelled: String,
    /// A repair that can be undone.
    repair: String,
}

const ROLES: [(char, &str); 5] = [
    ('a', "admin"),
    ('m', "manager"),
    ('o', "operator"),
    ('d', "dispatch"),
    ('e', "employee"),
];

const NOTHING: fn(&Places, &str) -> Value = |_, _| Value::Null;

#[rustfmt::skip]
const MATRIX: &[Row] = &[
    Row("GET",    "/healthz",                                  "public", NOTHING),
    Row("GET",    "/readyz",                                   "public", NOTHING),
    Row("GET",    "/metrics",                                  "public", NOTHING),
    Row("POST",   "/api/auth/login",                           "public", |_, _| json!({ "username": "first", "password": PASSWORD })),
    Row("GET",    "/api/customers/enums",                      "public", NOTHING),

    Row("GET",    "/api/users",                                "a----",  NOTHING),
    Row("POST",   "/api/users",                                "a----",  |_, role| json!({ "username": format!("new-{role}"), "password": PASSWORD, "name": "新人", "role": "employee" })),
    Row("GET",    "/api/users/{id}",                           "a----",  NOTHING),
    Row("PATCH",  "/api/users/{id}",                           "a----",  |_, _| json!({ "department": "销售部" })),
    Row("GET",    "/api/users/{id}/bindings",                  "a----",  NOTHING),
    Row("PUT",    "/api/users/{id}/bindings/{app}",            "a----",  |_, _| json!({ "externalId": "openid-1" })),
    Row("DELETE", "/api/users/{id}/bindings/{app}",            "a----",  NOTHING),

    Row("GET",    "/api/customers",                            "amode",  NOTHING),
    Row("POST",   "/api/customers",                            "amode",  |_, role| json!({ "name": "新客户", "wechatId": format!("wx-{role}"), "leadSource": "抖音" })),
    Row("GET",    "/api/customers/assignable-users",           "amo--",  NOTHING),
    Row("POST",   "/api/customers/batch-assign",               "amo--",  |p, _| json!({ "customerIds": [p.customer], "assignedTo": p.user })),
    Row("POST",   "/api/customers/public-pool/assign",         "am---",  |p, _| json!({ "customerIds": [p.customer], "assignedTo": p.user })),
    Row("PATCH",  "/api/customers/miniprogram/{id}/assign",    "amo--",  |p, _| json!({ "assignedTo": p.user })),
    Row("PATCH",  "/api/customers/{id}/assign",                "amo--",  |p, _| json!({ "assignedTo": p.user })),
    Row("GET",    "/api/customers/{id}",                       "amode",  NOTHING),
    Row("GET",    "/api/customers/{id}/assignments",           "amode",  NOTHING),

    Row("GET",    "/api/members",                              "amode",  NOTHING),
    Row("POST",   "/api/members/create",                       "amo--",  |_, role| json!({ "member_no": role, "wechat": role, "phone": format!("139{:08}", role.len()) })),
    Row("GET",    "/api/members/{id}",                         "amode",  NOTHING),
    Row("PATCH",  "/api/members/{id}",                         "amo--",  |_, role| json!({ "nickname": role })),
    Row("POST",   "/api/members/{id}/revoke",                  "am---",  NOTHING),
    Row("POST",   "/api/wecom/process-queue",                  "amode",  NOTHING),

    Row("GET",    "/api/notifications",                        "amode",  NOTHING),
    Row("GET",    "/api/notifications/unread-count",           "amode",  NOTHING),
    Row("PUT",    "/api/notifications/mark-read",              "amode",  |p, _| json!({ "notificationIds": [p.message] })),
    Row("PUT",    "/api/notifications/mark-all-read",          "amode",  NOTHING),

    Row("GET",    "/api/notification-routes",                  "a----",  NOTHING),
    Row("PUT",    "/api/notification-routes/{kind}/{channel}", "a----",  |_, _| json!({ "enabled": true })),

    Row("GET",    "/api/outbox",                               "am---",  NOTHING),
    Row("GET",    "/api/outbox/stats",                         "am---",  NOTHING),
    Row("GET",    "/api/outbox/failures",                      "am---",  NOTHING),
    Row("GET",    "/api/outbox/stuck",                         "am---",  NOTHING),
    Row("GET",    "/api/outbox/relays",                        "am---",  NOTHING),
    Row("GET",    "/api/outbox/channels",                      "am---",  NOTHING),
    Row("PUT",    "/api/outbox/channels/{channel}",            "a----",  |_, _| json!({ "unknownOutcome": "resend" })),
    Row("POST",   "/api/outbox/channels/{channel}/hold",       "a----",  |_, _| json!({ "reason": "测试" })),
    Row("POST",   "/api/outbox/channels/{channel}/lift",       "a----",  |_, _| json!({ "reason": "测试" })),
    Row("GET",    "/api/outbox/{id}",                          "am---",  NOTHING),
    Row("GET",    "/api/outbox/{id}/explain",                  "am---",  NOTHING),
    Row("POST",   "/api/outbox/cancel",                        "a----",  |p, _| json!({ "ids": [p.message], "reason": "测试" })),
    Row("PATCH",  "/api/outbox/{id}/payload",                  "a----",  |_, _| json!({ "payload": {}, "reason": "测试" })),
    Row("POST",   "/api/outbox/repairs/{id}/undo",             "a----",  NOTHING),
    Row("POST",   "/api/outbox/requeue",                       "a----",  |p, _| json!({ "ids": [p.cancelled], "reason": "测试" })),

    Row("GET",    "/api/auth/me",                              "amode",  NOTHING),
    // Last: no token is good afterwards.
    Row("POST",   "/api/auth/logout",                          "amode",  NOTHING),
];

async fn everybody_gets_exactly_what_their_role_allows(database: &TestDatabase) {
    assert_table_is_whole();
    let office = Office::open(database).await;
    // Somebody who can log in, for the row of the login.
    let body =
        json!({ "username": "first", "password": PASSWORD, "name": "甲", "role": "employee" });
    office
        .api
        .post(&office.admin, "/api/users", &body)
        .await
        .data();
    // An employee sees only their own: this one is theirs all the time.
    let customer = database.lead("王女士", "13800138999", &office.wang).await;
    office
        .assign(&office.zhang, &customer, &office.li)
        .await
        .data();
    let messages = database.messages().await;
    let ids: Vec<OutboxMessageId> = messages.iter().map(|row| row.id.clone()).collect();
    // Two repairs: one to be undone, and one whose message is requeued.
    let undoable = database
        .repair(&ids[2..3], Wish::Cancel, SystemClock.now())
        .await
        .unwrap();
    database
        .repair(&ids[3..4], Wish::Cancel, SystemClock.now())
        .await
        .unwrap();
    let places = Places {
        user: office.li.id.clone(),
        customer,
        member: database
            .shell("INSERT INTO members (member_no) VALUES ('M1'); SELECT id FROM members"),
        message: ids[0].to_string(),
        cancelled: ids[3].to_string(),
        repair: undoable.repair.to_string(),
    };

    let before = database.contents().await;
    for row in MATRIX.iter().filter(|row| row.2 != "public") {
        let answer = request(&office.api, row, &places, None).await;
        refused(row, "nobody", &answer, 401, "UNAUTHORIZED");
        for (letter, role) in ROLES.iter().filter(|(letter, _)| !row.2.contains(*letter)) {
            let answer = request(
                &office.api,
                row,
                &places,
                Some((person(&office, *letter), role)),
            );
            refused(row, role, &answer.await, 403, "FORBIDDEN");
        }
    }
    database.assert_unchanged_since(&before).await;

    for row in MATRIX {
        if row.2 == "public" {
            let answer = request(&office.api, row, &places, None).await;
            assert_eq!(
                answer.status, 200,
                "{} {} for nobody: {}",
                row.0, row.1, answer.body
            );
            continue;
        }
        for (letter, role) in ROLES.iter().filter(|(letter, _)| row.2.contains(*letter)) {
            let answer = request(
                &office.api,
                row,
                &places,
                Some((person(&office, *letter), role)),
            );
            let answer = answer.await;
            let (done, body) = ([200, 201].contains(&answer.status), &answer.body);
            assert!(
                done,
                "{} {} for {role}: {} {body}",
                row.0, row.1, answer.status
            );
        }
    }
}

async fn a_role_that_is_taken_away_is_gone_at_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let path = format!("/api/users/{}", office.zhang.id);
    office
        .api
        .patch(&office.admin, &path, &json!({ "role": "employee" }))
        .await
        .data();
    let answer = office.assign(&office.zhang, &lead, &office.wang).await;
    assert_eq!(answer.said(), (403, "没有权限分配客户"));
    let unseen = office
        .api
        .get(&office.zhang, &format!("/api/customers/{lead}"))
        .await;
    assert_eq!(unseen.said(), (404, "客户不存在"));
    office
        .api
        .patch(&office.admin, &path, &json!({ "role": "manager" }))
        .await
        .data();
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
}

/// An endpoint that is not in the table above has not been thought about.
fn assert_table_is_whole() {
    let tested: BTreeSet<(&str, &str)> = MATRIX.iter().map(|row| (row.0, row.1)).collect();
    let served: BTreeSet<(&str, &str)> = crm_api::url_table()
        .iter()
        .map(|url| (url.method.as_str(), url.path))
        .collect();
    assert_eq!(tested, served);
    assert_eq!(MATRIX.len(), served.len(), "a row is there twice");
}

fn person<'a>(office: &'a Office<'_>, letter: char) -> &'a Session {
    match letter {
        'a' => &office.admin,
        'm' => &office.zhang,
        'o' => &office.sun,
        'd' => &office.zhou,
        _ => &office.li,
    }
}

async fn request(
    api: &TestApi,
    Row(method, path, _, body): &Row,
    places: &Places,
    by: Option<(&Session, &str)>,
) -> Answer {
    let id = match path.split('/').nth(2) {
        Some("users") => &places.user,
        Some("members") => &places.member,
        Some("outbox") if path.contains("/repairs/") => &places.repair,
        Some("outbox") => &places.message,
        _ => &places.customer,
    };
    let path = path
        .replace("{id}", id)
        .replace("{app}", &format!("mini_program:{DEMO_APPID}"))
        .replace("{kind}", "customer.assigned")
        .replace("{channel}", "wechat_cloud");
    let mut request = api.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    let mut role_name = "nobody";
    if let Some((session, role)) = by {
        request = request.bearer_auth(&session.token);
        role_name = role;
    }
    let body = body(places, role_name);
    if !body.is_null() {
        request = request.json(&body);
    }
    TestApi::send(request).await
}

#[track_caller]
fn refused(row: &Row, who: &str, answer: &Answer, status: u16, code: &str) {
    let told = format!("{} {} for {who}: {}", row.0, row.1, answer.body);
    assert_eq!(answer.status, status, "{told}");
    assert_eq!(answer.body["success"], false, "{told}");
    assert_eq!(answer.body["data"], Value::Null, "{told}");
    assert_eq!(answer.body["error"]["code"], code, "{told}");
}
