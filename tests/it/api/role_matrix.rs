//! Who may do what: every endpoint for every role, by a table of its own.

use std::collections::{BTreeMap, BTreeSet};

use crm_api::auth::service_token::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::OutboxMessageId;
use shared::outbox::{NewMessage, TEST_SEND, Wish};
use wechat_sandbox::DEMO_APPID;

use super::Office;
use super::import::{send_file, until_finished};
use crate::harness::{Answer, PASSWORD, Session, TestApi, TestDatabase, message, on_each_database};

on_each_database!(
    everybody_gets_exactly_what_their_role_allows,
    a_program_gets_exactly_what_its_token_is_for,
    a_role_that_is_taken_away_is_gone_at_once,
);

/// An endpoint, and for whom it is: `public`, or a letter for each role that may. The order is that
/// in which the allowed requests are made: one needs what an earlier one has left.
pub struct Row(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    fn(&Places, &str) -> Value,
);

/// What the paths and bodies speak of.
pub struct Places {
    user: String,
    colleague: String,
    customer: String,
    member: String,
    message: String,
    /// A message that is a test.
    test_send: String,
    /// A message that is cancelled.
    cancelled: String,
    /// A repair that can be undone.
    repair: String,
    /// A rule for each of the two who may delete one.
    admins_rule: String,
    managers_rule: String,
    transfer_run: String,
    /// Another program that may tell of events, and one that it told of.
    program: Session,
    event: String,
    /// An import of each role that may import.
    imports: BTreeMap<&'static str, String>,
    /// Customers to be released, one per role and way, of whoever has the role.
    releasable: Vec<String>,
    /// Customers in the public pool, one per role.
    pooled: Vec<String>,
    /// A notification of each person, by their id.
    notifications: BTreeMap<String, String>,
}

const ROLES: [(char, &str); 5] = [
    ('a', "admin"),
    ('m', "manager"),
    ('o', "operator"),
    ('d', "dispatch"),
    ('e', "employee"),
];

/// The place of a role in the list of them.
fn place_of(role: &str) -> usize {
    let place = ROLES.iter().position(|(_, name)| *name == role);
    place.unwrap_or_default()
}

const NOTHING: fn(&Places, &str) -> Value = |_, _| Value::Null;

#[rustfmt::skip]
pub const MATRIX: &[Row] = &[
    Row("GET",    "/healthz",                                  "public", NOTHING),
    Row("GET",    "/readyz",                                   "public", NOTHING),
    Row("GET",    "/metrics",                                  "public", NOTHING),
    Row("GET",    "/inbox",                                    "public", NOTHING),
    Row("GET",    "/inbox/inbox.js",                           "public", NOTHING),
    Row("GET",    "/inbox/settings.js",                        "public", NOTHING),
    Row("GET",    "/inbox/inbox.css",                          "public", NOTHING),
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
    Row("POST",   "/api/customers/import",                     "amo--",  |_, role| json!(format!("姓名,微信号,线索来源\n客户,import-{role},抖音\n"))),
    Row("POST",   "/api/customers/website-lead",               "public", |_, _| json!({ "name": "访客", "wechatId": "visitor" })),
    Row("GET",    "/api/imports/{id}",                         "amo--",  NOTHING),
    Row("POST",   "/api/customers/public-pool/assign",         "am---",  |p, _| json!({ "customerIds": [p.customer], "assignedTo": p.user })),
    Row("GET",    "/api/customers/my-customer-count",          "amode",  NOTHING),
    Row("GET",    "/api/customers/public-pool",                "amode",  NOTHING),
    Row("GET",    "/api/customers/public-pool/statistics",     "amode",  NOTHING),
    Row("POST",   "/api/customers/public-pool/claim",          "amode",  |p, role| json!({ "customerIds": [p.pooled[place_of(role)]] })),
    Row("POST",   "/api/customers/batch-release-to-pool",      "amode",  |p, _| json!({ "customerIds": [p.user], "reason": "测试" })),
    Row("POST",   "/api/customers/{id}/release-to-pool",       "amode",  |_, _| json!({ "reason": "测试" })),
    Row("POST",   "/api/customers/miniprogram/{id}/release-to-pool", "amode", |_, _| json!({ "reason": "测试" })),
    Row("PATCH",  "/api/customers/miniprogram/{id}/assign",    "amo--",  |p, _| json!({ "assignedTo": p.user })),
    Row("PATCH",  "/api/customers/{id}/assign",                "amo--",  |p, _| json!({ "assignedTo": p.user })),
    Row("GET",    "/api/customers/{id}",                       "amode",  NOTHING),
    Row("PATCH",  "/api/customers/{id}",                       "amode",  |_, role| json!({ "remarks": role })),
    Row("GET",    "/api/customers/{id}/assignments",           "amode",  NOTHING),
    Row("POST",   "/api/customers/{id}/follow-ups",            "amode",  |_, _| json!({ "content": "已联系" })),
    Row("GET",    "/api/customers/{id}/follow-ups",            "amode",  NOTHING),
    Row("GET",    "/api/customers/{id}/operation-logs",        "a----",  NOTHING),

    Row("GET",    "/api/lead-transfer/rules",                  "am---",  NOTHING),
    Row("POST",   "/api/lead-transfer/rules",                  "am---",  transfer_rule),
    Row("GET",    "/api/lead-transfer/rules/{id}",             "am---",  NOTHING),
    Row("PATCH",  "/api/lead-transfer/rules/{id}",             "am---",  |_, _| json!({ "strategy": "round_robin" })),
    Row("PATCH",  "/api/lead-transfer/rules/{id}/toggle",      "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/rules/{id}/predict",     "am---",  NOTHING),
    Row("POST",   "/api/lead-transfer/execute-now",            "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/runs",                   "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/runs/{id}",              "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/records",                "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/statistics",             "am---",  NOTHING),
    Row("GET",    "/api/lead-transfer/user-statistics/{userId}", "am---", NOTHING),
    Row("GET",    "/api/lead-transfer/explain/{customerId}",   "am---",  NOTHING),
    Row("DELETE", "/api/lead-transfer/rules/{id}",             "am---",  NOTHING),

    Row("GET",    "/api/schedules",                            "a----",  NOTHING),
    Row("GET",    "/api/customers/{id}/public-pool-logs",      "amode",  NOTHING),

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
    Row("GET",    "/api/notifications/settings",               "amode",  NOTHING),
    Row("PUT",    "/api/notifications/settings",               "amode",  |_, _| json!({ "mutedKinds": ["report.weekly"] })),
    Row("GET",    "/api/notifications/stats",                  "amode",  NOTHING),
    Row("GET",    "/api/notifications/ws",                     "amode",  NOTHING),
    Row("POST",   "/api/notifications/ws-ticket",              "amode",  NOTHING),
    Row("DELETE", "/api/notifications/{id}",                   "amode",  NOTHING),

    Row("GET",    "/api/notification-routes",                  "a----",  NOTHING),
    Row("PUT",    "/api/notification-routes/{kind}/{channel}", "a----",  |_, _| json!({ "enabled": true })),

    Row("GET",    "/api/notification-routes/{kind}/{channel}/history", "a----", NOTHING),
    Row("GET",    "/api/notification-templates",               "a----",  NOTHING),
    Row("GET",    "/api/notification-templates/{kind}",        "a----",  NOTHING),
    Row("PUT",    "/api/notification-templates/{kind}",        "a----",  |_, _| json!({ "title": "新客户" })),
    Row("GET",    "/api/notification-templates/{kind}/history", "a----", NOTHING),
    Row("POST",   "/api/notification-templates/{kind}/{channel}/preview", "a----", NOTHING),
    Row("POST",   "/api/notification-templates/{kind}/{channel}/test-send", "a----", NOTHING),
    Row("GET",    "/api/notification-test-sends/{id}",         "a----",  NOTHING),

    Row("POST",   "/api/events",                               "a----",  |p, _| announcement(&p.colleague)),
    Row("GET",    "/api/events/{id}",                          "a----",  NOTHING),

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

    // No message to the owner waits afterwards, and then no customer is there.
    Row("PATCH",  "/api/customers/{id}/freeze",                "a----",  |_, _| json!({ "reason": "测试" })),
    Row("PATCH",  "/api/customers/{id}/unfreeze",              "a----",  NOTHING),
    Row("DELETE", "/api/customers/{id}",                       "a----",  NOTHING),

    Row("GET",    "/api/auth/me",                              "amode",  NOTHING),
    // Last: no token is good afterwards.
    Row("POST",   "/api/auth/logout",                          "amode",  NOTHING),
];

/// Prepares what the table speaks of.
pub async fn places(database: &TestDatabase, office: &Office<'_>) -> Places {
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
    let mut releasable = Vec::new();
    for way in 1..=2 {
        for (letter, role) in ROLES {
            let phone = format!("1390013{way}{:03}", place_of(role));
            let owner = person(office, letter);
            releasable.push(database.lead("赵先生", &phone, owner).await);
        }
    }
    let program = database.program("program", &[Scope::Events]).await;
    let body = announcement(&office.wang.id);
    let told = office.api.post(&program, "/api/events", &body).await;
    let places = Places {
        event: told.data()["eventId"].as_str().unwrap().to_owned(),
        program,
        releasable,
        pooled: database.pooled_leads(5).await,
        user: office.li.id.clone(),
        colleague: office.wang.id.clone(),
        customer,
        member: database
            .shell("INSERT INTO members (member_no) VALUES ('M1'); SELECT id FROM members"),
        message: ids[0].to_string(),
        test_send: test_send(database).await,
        cancelled: ids[3].to_string(),
        repair: undoable.repair.to_string(),
        admins_rule: String::new(),
        managers_rule: String::new(),
        transfer_run: String::new(),
        imports: imports(office).await,
        notifications: notifications(office).await,
    };
    let places = Places {
        admins_rule: made(office, "rules", &transfer_rule(&places, "first")).await,
        managers_rule: made(office, "rules", &transfer_rule(&places, "second")).await,
        transfer_run: made(office, "execute-now", &json!({})).await,
        ..places
    };
    office.until_transferred(&places.transfer_run).await;
    office.until_at_rest().await;
    places
}

async fn test_send(database: &TestDatabase) -> String {
    let subject = Some(TEST_SEND.to_owned());
    let test = NewMessage {
        subject,
        ..message()
    };
    database.enqueue(test).await.to_string()
}

/// An import by each role that may import. They fail, so that they leave nothing else behind.
async fn imports(office: &Office<'_>) -> BTreeMap<&'static str, String> {
    let mut imports = BTreeMap::new();
    for (letter, role) in &ROLES[..3] {
        let by = person(office, *letter);
        let answer = send_file(&office.api, by, "", "姓名,手机号,线索来源\n王女士,1,美团\n").await;
        let import = until_finished(&office.api, by, answer).await;
        imports.insert(*role, import["id"].as_str().unwrap().to_owned());
    }
    imports
}

async fn everybody_gets_exactly_what_their_role_allows(database: &TestDatabase) {
    assert_table_is_whole();
    let office = Office::open(database).await;
    let places = places(database, &office).await;
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
            let done = (200..300).contains(&answer.status);
            assert!(done, "{} {} for nobody: {}", row.0, row.1, answer.body);
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
            let body = &answer.body;
            // A socket is opened by 101.
            let done = answer.status == 101 || (200..300).contains(&answer.status);
            assert!(
                done,
                "{} {} for {role}: {} {body}",
                row.0, row.1, answer.status
            );
        }
    }
}

/// What a program may do whose token is for this, and nothing else.
const OPENED: &[(Scope, &str, &str)] = &[
    (Scope::Events, "POST", "/api/events"),
    (Scope::Events, "GET", "/api/events/{id}"),
    (Scope::ProcessQueue, "POST", "/api/wecom/process-queue"),
];

async fn a_program_gets_exactly_what_its_token_is_for(database: &TestDatabase) {
    let office = Office::open(database).await;
    let places = places(database, &office).await;
    let over = SystemClock.now();
    let all = Scope::ALL;
    let expired = database.program_until("expired", all, Some(over)).await;
    let revoked = database.program("revoked", all).await;
    database.revoke(&revoked).await;
    let unknown = Session {
        id: String::new(),
        token: format!("yzs_{}", "0".repeat(64)),
    };
    let none_of_them = database.program("none", &[]).await;
    let queue = database.program("queue", &[Scope::ProcessQueue]).await;
    let programs = [
        (Scope::Events, &places.program),
        (Scope::ProcessQueue, &queue),
    ];
    let before = database.contents().await;
    let closed = MATRIX.iter().filter(|row| row.2 != "public");
    for row in closed.clone() {
        for (who, program) in [
            ("expired", &expired),
            ("revoked", &revoked),
            ("unknown", &unknown),
        ] {
            let answer = request(&office.api, row, &places, Some((program, who))).await;
            refused(row, who, &answer, 401, "UNAUTHORIZED");
        }
        let nothing = request(&office.api, row, &places, Some((&none_of_them, "none"))).await;
        refused(row, "none", &nothing, 403, "FORBIDDEN");
        for (scope, program) in &programs {
            if !OPENED.contains(&(*scope, row.0, row.1)) {
                let answer = request(&office.api, row, &places, Some((program, "program"))).await;
                refused(row, scope.as_str(), &answer, 403, "FORBIDDEN");
            }
        }
    }
    database.assert_unchanged_since(&before).await;
    for row in closed {
        for (scope, program) in &programs {
            if OPENED.contains(&(*scope, row.0, row.1)) {
                let answer = request(&office.api, row, &places, Some((program, "program"))).await;
                let done = (200..300).contains(&answer.status);
                assert!(done, "{} {} for {scope}: {}", row.0, row.1, answer.body);
            }
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

fn announcement(to: &str) -> Value {
    json!({ "kind": "system.announcement", "recipients": { "userIds": [to] }, "data": { "content": "测试" } })
}

fn transfer_rule(places: &Places, name: &str) -> Value {
    // Nobody's leads are so old.
    let conditions = json!({ "inactiveHours": 8_760 });
    json!({ "name": name, "sourceUserIds": [places.user], "targetUserIds": [places.colleague], "conditions": conditions })
}

/// Something for the paths of lead transfer to speak of.
async fn made(office: &Office<'_>, what: &str, body: &Value) -> String {
    let path = format!("/api/lead-transfer/{what}");
    let answer = office.api.post(&office.admin, &path, body).await.data();
    answer["id"].as_str().unwrap().to_owned()
}

/// Tells everybody something.
async fn notifications(office: &Office<'_>) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for (letter, _) in ROLES {
        let person = person(office, letter);
        office.database.tell(person, "王女士").await;
        let path = "/api/notifications?pageSize=1";
        let page = office.api.get(person, path).await.data();
        let id = page["items"][0]["id"].as_str().unwrap().to_owned();
        ids.insert(person.id.clone(), id);
    }
    ids
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
    row: &Row,
    places: &Places,
    by: Option<(&Session, &str)>,
) -> Answer {
    TestApi::send(request_of(api, row, places, by)).await
}

/// The request that a row of the table stands for, by somebody of that role.
pub fn request_of(
    api: &TestApi,
    Row(method, path, _, body): &Row,
    places: &Places,
    by: Option<(&Session, &str)>,
) -> reqwest::RequestBuilder {
    let role_name = by.map_or("nobody", |(_, role)| role);
    let id = match path.split('/').nth(2) {
        _ if path.ends_with("/{id}/release-to-pool") => {
            let way = usize::from(path.contains("/miniprogram/"));
            &places.releasable[way * ROLES.len() + place_of(role_name)]
        }
        Some("imports") => places.imports.get(role_name).unwrap_or(&places.repair),
        Some("notifications") => by
            .and_then(|(session, _)| places.notifications.get(&session.id))
            .unwrap_or(&places.message),
        Some("events") => &places.event,
        Some("users") => &places.user,
        Some("members") => &places.member,
        Some("outbox") if path.contains("/repairs/") => &places.repair,
        Some("outbox") => &places.message,
        Some("notification-test-sends") => &places.test_send,
        Some("lead-transfer") if path.contains("/runs/") => &places.transfer_run,
        Some("lead-transfer") if by.is_some_and(|(_, role)| role == "manager") => {
            &places.managers_rule
        }
        Some("lead-transfer") => &places.admins_rule,
        _ => &places.customer,
    };
    let path = path
        .replace("{id}", id)
        .replace("{userId}", &places.user)
        .replace("{customerId}", &places.customer)
        .replace("{app}", &format!("mini_program:{DEMO_APPID}"))
        .replace("{kind}", "customer.assigned")
        .replace("{channel}", "wechat_cloud");
    let mut request = api.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    if path.ends_with("/ws") {
        request = request
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    if let Some((session, _)) = by {
        request = request.bearer_auth(&session.token);
    }
    let body = body(places, role_name);
    match body {
        Value::Null => request,
        // A body that is no JSON is a table.
        Value::String(table) => request.header("content-type", "text/csv").body(table),
        body => request.json(&body),
    }
}

#[track_caller]
fn refused(row: &Row, who: &str, answer: &Answer, status: u16, code: &str) {
    let told = format!("{} {} for {who}: {}", row.0, row.1, answer.body);
    assert_eq!(answer.status, status, "{told}");
    assert_eq!(answer.body["success"], false, "{told}");
    assert_eq!(answer.body["data"], Value::Null, "{told}");
    assert_eq!(answer.body["error"]["code"], code, "{told}");
}
