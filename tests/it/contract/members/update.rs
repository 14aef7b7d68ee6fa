use serde_json::Value;
use shared::notification::{Kind, catalogue_entry};
use shared::outbox::Status;

use super::{only_pending, payload, pending, route, settled_member, withdraw};
use crate::harness::{TestDatabase, eventually, on_each_database};

on_each_database! {
    each_field_is_named_when_it_changes,
    what_is_the_same_or_not_watched_is_not_told,
    an_update_that_waits_takes_in_the_next_one,
    a_registration_that_waits_is_brought_up_to_date_instead,
    a_message_under_way_is_left_alone,
    a_message_that_may_have_been_delivered_stays_as_it_is,
    fifty_updates_are_one_message,
    every_route_has_a_message_of_its_own,
    whoever_is_named_since_gets_a_message_of_their_own,
    a_thousand_members_changed_at_once_are_a_thousand_messages,
    a_message_spoilt_by_hand_stops_no_update,
    the_moment_of_the_last_change_is_kept,
}

const FIELDS: [(&str, &str, &str); 17] = [
    ("member_no", "'M2'", "会员编号"),
    ("nickname", "'小满'", "昵称"),
    ("wechat", "'wx2'", "微信号"),
    ("phone", "'13900139000'", "手机号"),
    ("gender", "'female'", "性别"),
    ("birth_year", "1990", "出生年份"),
    ("height", "172", "身高"),
    ("weight", "60", "体重"),
    ("province", "'浙江'", "省份"),
    ("city", "'杭州'", "城市"),
    ("district", "'西湖区'", "区县"),
    ("education", "'master'", "学历"),
    ("occupation", "'teacher'", "职业"),
    ("income", "'20-30万'", "收入"),
    ("marital_status", "'single'", "婚姻状况"),
    ("self_introduction", "'爱好登山'", "自我介绍"),
    ("partner_requirements", "'有责任心'", "择偶要求"),
];

async fn each_field_is_named_when_it_changes(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    for (column, value, label) in FIELDS {
        database.shell(&format!("UPDATE members SET {column} = {value}"));
        let (message, payload) = only_pending(database).await;
        assert_eq!(message.kind, "member.updated", "{column}");
        assert_eq!(
            message.priority,
            catalogue_entry(Kind::MemberUpdated).priority.into()
        );
        assert_eq!(payload["changedFields"], label, "{column}");
        withdraw(database);
    }
    // From a value to none, and back.
    for (column, value, label) in FIELDS.into_iter().skip(1) {
        for value in ["NULL", value] {
            database.shell(&format!("UPDATE members SET {column} = {value}"));
            let (_, payload) = only_pending(database).await;
            assert_eq!(payload["changedFields"], label, "{column} = {value}");
            withdraw(database);
        }
    }
}

async fn what_is_the_same_or_not_watched_is_not_told(database: &TestDatabase) {
    route(database);
    settled_member(database, ", city", ", '杭州'").await;
    database.shell(
        "UPDATE members SET city = '杭州', phone = '13800138999', nickname = NULL, height = NULL; \
         UPDATE members SET updated_at = '2026-01-02 03:04:05', created_at = '2026-01-02 03:04:05'; \
         UPDATE members SET status = 'ACTIVE', deleted = FALSE, request_id = 'r1'; \
         UPDATE members SET city = '上海' WHERE member_no = 'nobody';",
    );
    assert!(pending(database).await.is_empty());
    database.shell(
        "UPDATE members SET status = 'INACTIVE', city = '上海'; UPDATE members SET city = '北京';",
    );
    assert!(pending(database).await.is_empty());
}

async fn an_update_that_waits_takes_in_the_next_one(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    database.shell("UPDATE members SET district = '西湖区', phone = '13900139000'");
    let (first, payload) = only_pending(database).await;
    assert_eq!(payload["changedFields"], "手机号、区县");
    for (change, fields, location) in [
        ("city = '杭州'", "手机号、城市、区县", "杭州 西湖区"),
        (
            "city = '宁波', district = '海曙区'",
            "手机号、城市、区县",
            "宁波 海曙区",
        ),
        (
            "nickname = '小满'",
            "昵称、手机号、城市、区县",
            "宁波 海曙区",
        ),
        ("nickname = NULL", "昵称、手机号、城市、区县", "宁波 海曙区"),
    ] {
        database.shell(&format!("UPDATE members SET {change}"));
        let (message, payload) = only_pending(database).await;
        assert_eq!(
            (&message.id, message.due_at, message.attempt),
            (&first.id, first.due_at, 0)
        );
        assert_eq!(payload["changedFields"], fields, "{change}");
        assert_eq!(payload["location"], location, "{change}");
        assert_eq!(payload["phone"], "139****9000");
    }
}

async fn a_registration_that_waits_is_brought_up_to_date_instead(database: &TestDatabase) {
    route(database);
    database.shell("INSERT INTO members (member_no) VALUES ('M1')");
    // As if it had waited for long.
    database.shell("UPDATE outbox_messages SET created_at = '2026-01-02 16:04:05'");
    let (first, _) = only_pending(database).await;
    database.shell("UPDATE members SET city = '杭州'; UPDATE members SET phone = '13800138999';");
    let (message, payload) = only_pending(database).await;
    assert_eq!((message.id, message.kind), (first.id, first.kind));
    assert_eq!(payload["location"], "杭州");
    assert_eq!(payload["phone"], "138****8999");
    assert_eq!(payload["changedFields"], Value::Null, "all of it is new");
    assert_eq!(
        payload["time"], "2026年01月03日 00:04",
        "when they registered"
    );
}

async fn a_message_under_way_is_left_alone(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    database.shell("UPDATE members SET city = '杭州'");
    let (first, _) = only_pending(database).await;
    database.shell(
        "UPDATE outbox_messages SET status = 'sending', attempt = 1, fence = 1, claimed_by = 'r', \
         lease_expires_at = created_at WHERE status = 'pending'",
    );
    database.shell("UPDATE members SET phone = '13900139000'");
    let (second, second_payload) = only_pending(database).await;
    assert_ne!(second.id, first.id);
    assert_eq!(second_payload["changedFields"], "手机号");
    let under_way = database.message(&first.id).await;
    assert_eq!(
        (under_way.status, &under_way.payload),
        (Status::Sending, &first.payload)
    );

    // It was tried in vain and waits again: what is new goes into the other.
    database.shell(
        "UPDATE outbox_messages SET status = 'pending', claimed_by = NULL, lease_expires_at = NULL \
         WHERE status = 'sending'",
    );
    database.shell("UPDATE members SET nickname = '小满'");
    let waiting = pending(database).await;
    let told: Vec<Value> = waiting
        .iter()
        .map(|message| payload(message)["changedFields"].clone())
        .collect();
    assert_eq!(told, ["城市", "昵称、手机号"]);
}

/// The platform would not know it again, and show it twice.
async fn a_message_that_may_have_been_delivered_stays_as_it_is(database: &TestDatabase) {
    route(database);
    database.shell("INSERT INTO members (member_no) VALUES ('M1')");
    let (first, _) = only_pending(database).await;
    database.shell("UPDATE outbox_messages SET outcome_unknown = TRUE, attempt = 1, fence = 1");
    for change in ["city = '杭州'", "phone = '13900139000'"] {
        database.shell(&format!("UPDATE members SET {change}"));
    }
    let waiting = pending(database).await;
    assert_eq!(waiting.len(), 2);
    assert_eq!(waiting[0].payload, first.payload);
    assert_eq!(payload(&waiting[1])["changedFields"], "手机号、城市");
}

async fn fifty_updates_are_one_message(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    let updates: Vec<String> = (0..50)
        .map(|n| format!("UPDATE members SET weight = {};", 50 + n))
        .collect();
    database.shell(&updates.concat());
    let (_, payload) = only_pending(database).await;
    assert_eq!(payload["weight"], "99kg");
    assert_eq!(payload["changedFields"], "体重");
}

async fn every_route_has_a_message_of_its_own(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    database.shell("UPDATE members SET city = '杭州'");
    database.shell(
        "UPDATE notification_routes SET enabled = TRUE, recipients = '红娘群' \
         WHERE kind = 'member.updated' AND channel = 'wecom_robot'",
    );
    database.shell("UPDATE members SET phone = '13900139000'");
    let mut told: Vec<String> = pending(database)
        .await
        .iter()
        .map(|message| {
            let fields = payload(message)["changedFields"].clone();
            format!(
                "{} {} {}",
                message.channel,
                message.recipient_id,
                fields.as_str().unwrap()
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        ["wecom_app @all 手机号、城市", "wecom_robot 红娘群 手机号"]
    );
}

/// A message to others tells them nothing, though it waits on the same channel and is about the same
/// member: that of a former recipient, or of one whom the platform left out.
async fn whoever_is_named_since_gets_a_message_of_their_own(database: &TestDatabase) {
    route(database);
    database.shell("INSERT INTO members (member_no) VALUES ('M1')");
    database.shell(
        "UPDATE notification_routes SET recipients = 'li|wang' WHERE kind = 'member.updated' AND channel = 'wecom_app'",
    );
    for change in ["city = '杭州'", "phone = '13900139000'"] {
        database.shell(&format!("UPDATE members SET {change}"));
    }
    let told: Vec<String> = pending(database)
        .await
        .iter()
        .map(|message| {
            let payload = payload(message);
            format!(
                "{} {} {} {}",
                message.recipient_id, message.kind, payload["location"], payload["changedFields"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "@all member.registered \"杭州\" null",
            "li|wang member.updated \"杭州\" \"手机号、城市\"",
        ]
    );
}

async fn a_thousand_members_changed_at_once_are_a_thousand_messages(database: &TestDatabase) {
    route(database);
    database.shell(
        "INSERT INTO members (member_no) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000) \
         SELECT 'M' || n FROM numbers",
    );
    withdraw(database);
    for (change, fields) in [
        ("city = '杭州'", "城市"),
        ("phone = '13900139000'", "手机号、城市"),
    ] {
        database.shell(&format!("UPDATE members SET {change}"));
        let messages = pending(database).await;
        assert_eq!(messages.len(), 1_000);
        let subjects: std::collections::BTreeSet<_> = messages
            .iter()
            .map(|message| message.subject.clone())
            .collect();
        assert_eq!(subjects.len(), 1_000);
        assert!(
            messages
                .iter()
                .all(|message| payload(message)["changedFields"] == fields)
        );
    }
}

async fn a_message_spoilt_by_hand_stops_no_update(database: &TestDatabase) {
    route(database);
    settled_member(database, "", "").await;
    for spoilt in ["no json", "", "[1]", "{\"changedFields\": 7}"] {
        database.shell("UPDATE members SET city = coalesce(city, '') || '一'");
        database.shell(&format!(
            "UPDATE outbox_messages SET payload = '{spoilt}' WHERE status = 'pending'"
        ));
        database.shell("UPDATE members SET phone = coalesce(phone, '') || '1'");
        let (_, payload) = only_pending(database).await;
        assert_eq!(payload["changedFields"], "手机号", "{spoilt}");
        withdraw(database);
    }
}

async fn the_moment_of_the_last_change_is_kept(database: &TestDatabase) {
    database.shell(
        "INSERT INTO members (member_no, created_at, updated_at) VALUES ('M1', '2026-01-02 03:04:05', '2026-01-02 03:04:05')",
    );
    database.shell("UPDATE members SET city = '杭州'");
    let touched = database.shell("SELECT updated_at FROM members");
    assert!(touched.as_str() > "2026-01-02 03:04:05", "{touched}");
    eventually("the clock moves on", async || {
        database.shell("UPDATE members SET city = city || '市'");
        database.shell("SELECT updated_at FROM members") > touched
    })
    .await;
    database.shell("UPDATE members SET city = '宁波', updated_at = '2026-01-02 03:04:06'");
    assert_eq!(
        database.shell("SELECT updated_at FROM members"),
        "2026-01-02 03:04:06",
        "whoever says when is believed"
    );
}
