use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::{members, outbox_messages};
use shared::domain::{Channel, MemberId, OutboxMessageId, UtcTimestamp};
use shared::members::{Member, MemberStatus};
use shared::notification::{Kind, catalogue_entry};
use shared::outbox::{Message, RetryPolicy, Status};

use super::{only_pending, payload, pending, route, settled_member, withdraw};
use crate::harness::{TestDatabase, on_each_database, seconds};

on_each_database! {
    a_plain_insert_makes_a_member_and_a_message_as_the_application_does,
    every_enabled_route_with_recipients_gets_a_message,
    nobody_is_told_of_whom_is_no_active_member,
    becoming_active_is_a_registration,
    whoever_comes_back_before_the_message_went_out_is_told_of_once,
    what_is_rolled_back_is_not_told,
    a_status_that_is_none_is_refused,
    what_the_application_could_not_read_is_refused,
    a_number_is_given_once,
    a_member_deleted_since_is_told_of_as_they_were,
    ten_thousand_at_once_are_ten_thousand_messages,
}

const PLAIN: &str =
    "INSERT INTO members (member_no, wechat, phone) VALUES ('M1', 'wx1', '13800138999')";

async fn only_member(database: &TestDatabase) -> Member {
    database
        .read(|connection| {
            Ok(members::table
                .select(Member::as_select())
                .get_result(connection)?)
        })
        .await
}

async fn a_plain_insert_makes_a_member_and_a_message_as_the_application_does(
    database: &TestDatabase,
) {
    route(database);
    let (earlier_member, earlier_message) = (MemberId::generate(), OutboxMessageId::generate());
    let began_at = SystemClock.now();
    database.shell(PLAIN);
    let ended_at = SystemClock.now();

    let member = only_member(database).await;
    assert_eq!(
        (member.member_no.as_str(), member.status, member.deleted),
        ("M1", MemberStatus::Active, false)
    );
    assert!(
        earlier_member < member.id && member.id < MemberId::generate(),
        "{}",
        member.id
    );
    let (message, _) = only_pending(database).await;
    assert!(
        earlier_message < message.id && message.id < OutboxMessageId::generate(),
        "{}",
        message.id
    );
    for id in [member.id.as_str(), message.id.as_str()] {
        assert_eq!(&id[14..15], "7", "{id}: the version");
        assert!("89ab".contains(&id[19..20]), "{id}: the variant");
    }
    // One of the databases tells milliseconds only.
    let earliest = began_at.before(std::time::Duration::from_millis(1));
    for moment in [member.created_at, member.updated_at, message.created_at] {
        assert!(earliest <= moment && moment <= ended_at, "{moment}");
    }
    let expected = Message {
        id: message.id.clone(),
        kind: Kind::MemberRegistered.as_str().to_owned(),
        channel: Channel::WecomApp,
        recipient_id: "@all".parse().unwrap(),
        subject: Some(format!("member:{}", member.id)),
        dedup_key: None,
        payload: message.payload.clone(),
        status: Status::Pending,
        priority: catalogue_entry(Kind::MemberRegistered).priority.into(),
        attempt: 0,
        attempts_max: RetryPolicy::default().attempts_max,
        fence: 0,
        rescues: 0,
        due_at: message.created_at,
        expires_at: None,
        claimed_by: None,
        lease_expires_at: None,
        outcome_unknown: false,
        last_errcode: None,
        last_error: None,
        provider_message_id: None,
        request_id: None,
        created_at: message.created_at,
        sent_at: None,
        finished_at: None,
        delivered_at: None,
        delivery_error: None,
        superseded_by: None,
        fallbacks: None,
        fallback_of: None,
        fell_back_to: None,
        quiet_until: None,
        digest_id: None,
    };
    assert_eq!(message, expected);
    assert_stored_as_the_application_stores(database, message.created_at).await;
    let time = payload(&message)["time"].as_str().unwrap().to_owned();
    let local = NaiveDateTime::parse_from_str(&time, "%Y年%m月%d日 %H:%M").unwrap();
    let utc = UtcTimestamp::from_naive_utc(local - chrono::Duration::hours(8));
    assert!(
        message.created_at.since(utc) < seconds(60),
        "{time} is Beijing's for {}",
        message.created_at
    );
}

/// Moments are compared as they are stored.
async fn assert_stored_as_the_application_stores(database: &TestDatabase, moment: UtcTimestamp) {
    let found: i64 = database
        .read(move |connection| {
            let equal = outbox_messages::table
                .filter(outbox_messages::created_at.eq(moment))
                .filter(outbox_messages::due_at.le(moment))
                .count()
                .get_result(connection)?;
            Ok(equal)
        })
        .await;
    assert_eq!(found, 1);
}

async fn every_enabled_route_with_recipients_gets_a_message(database: &TestDatabase) {
    database.shell(PLAIN);
    assert!(
        pending(database).await.is_empty(),
        "routes are off until an administrator switches them on"
    );
    database
        .shell("UPDATE notification_routes SET enabled = TRUE WHERE kind = 'member.registered'");
    database.shell("INSERT INTO members (member_no) VALUES ('M2')");
    assert!(pending(database).await.is_empty(), "to nobody");
    database.shell(
        "UPDATE notification_routes SET recipients = 'li|wang' WHERE kind = 'member.registered' AND channel = 'wecom_app'; \
         UPDATE notification_routes SET recipients = '红娘群' WHERE kind = 'member.registered' AND channel = 'wecom_robot'",
    );
    database.shell("INSERT INTO members (member_no) VALUES ('M3')");
    let mut told: Vec<(Channel, String, String)> = pending(database)
        .await
        .iter()
        .map(|message| {
            let number = payload(message)["memberNo"].as_str().unwrap().to_owned();
            (message.channel, message.recipient_id.to_string(), number)
        })
        .collect();
    told.sort();
    let told: Vec<(Channel, &str, &str)> = told
        .iter()
        .map(|(channel, recipient, number)| (*channel, recipient.as_str(), number.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Channel::WecomApp, "li|wang", "M3"),
            (Channel::WecomRobot, "红娘群", "M3")
        ]
    );
}

async fn nobody_is_told_of_whom_is_no_active_member(database: &TestDatabase) {
    route(database);
    database.shell(
        "INSERT INTO members (member_no, status) VALUES ('M1', 'INACTIVE'); \
         INSERT INTO members (member_no, status) VALUES ('M2', 'REVOKED'); \
         INSERT INTO members (member_no, deleted) VALUES ('M3', TRUE); \
         UPDATE members SET city = '杭州'; \
         UPDATE members SET status = 'REVOKED'; \
         DELETE FROM members;",
    );
    assert!(database.messages().await.is_empty());
}

async fn becoming_active_is_a_registration(database: &TestDatabase) {
    route(database);
    for (values, change) in [
        ("'INACTIVE', FALSE", "status = 'ACTIVE'"),
        ("'REVOKED', FALSE", "status = 'ACTIVE', city = '杭州'"),
        ("'ACTIVE', TRUE", "deleted = FALSE"),
        ("'INACTIVE', TRUE", "status = 'ACTIVE', deleted = FALSE"),
    ] {
        database.shell(&format!(
            "INSERT INTO members (member_no, status, deleted) VALUES ('M1', {values}); \
             UPDATE members SET {change};"
        ));
        let (message, payload) = only_pending(database).await;
        assert_eq!(message.kind, "member.registered", "{values}: {change}");
        assert_eq!(payload["memberNo"], "M1");
        assert_eq!(payload["changedFields"], Value::Null, "{payload}");
        withdraw(database);
        database.shell("DELETE FROM members");
    }
}

async fn whoever_comes_back_before_the_message_went_out_is_told_of_once(database: &TestDatabase) {
    route(database);
    database.shell(PLAIN);
    let (first, _) = only_pending(database).await;
    database.shell(
        "UPDATE members SET status = 'REVOKED'; \
         UPDATE members SET status = 'ACTIVE', nickname = '小满'; \
         UPDATE members SET deleted = TRUE; \
         UPDATE members SET deleted = FALSE;",
    );
    let (message, payload) = only_pending(database).await;
    assert_eq!((message.id, message.kind), (first.id, first.kind));
    assert_eq!(payload["nickname"], "小满");
}

async fn what_is_rolled_back_is_not_told(database: &TestDatabase) {
    route(database);
    database.shell(&format!("BEGIN; {PLAIN}; ROLLBACK;"));
    assert!(database.messages().await.is_empty());
    settled_member(database, "", "").await;
    database.shell("BEGIN; UPDATE members SET city = '杭州'; ROLLBACK;");
    assert!(pending(database).await.is_empty());
}

async fn a_status_that_is_none_is_refused(database: &TestDatabase) {
    route(database);
    for status in ["'active'", "'DELETED'", "''", "NULL"] {
        let insert = format!("INSERT INTO members (member_no, status) VALUES ('M1', {status})");
        let error = database.try_shell(&insert).unwrap_err();
        assert!(error.contains("constraint"), "{status}: {error}");
    }
    settled_member(database, "", "").await;
    let error = database
        .try_shell("UPDATE members SET status = 'GONE'")
        .unwrap_err();
    assert!(error.contains("constraint"), "{error}");
    assert!(pending(database).await.is_empty());
}

async fn what_the_application_could_not_read_is_refused(database: &TestDatabase) {
    for (column, value) in [
        ("id", "'1'"),
        ("id", "'0193E5A0-6E2B-7C4D-8F10-AABBCCDDEEFF'"),
        ("height", "'tall'"),
        ("birth_year", "'一九九零'"),
        ("deleted", "'maybe'"),
        ("created_at", "'some day'"),
        ("created_at", "NULL"),
    ] {
        let insert = format!("INSERT INTO members (member_no, {column}) VALUES ('M1', {value})");
        assert!(database.try_shell(&insert).is_err(), "{column} = {value}");
    }
    database.shell(
        "INSERT INTO members (member_no, id, height, created_at, deleted) VALUES \
         ('M1', '0193e5a0-6e2b-7c4d-8f10-aabbccddeeff', '172', '2026-01-02 03:04:05', FALSE)",
    );
    let member = only_member(database).await;
    assert_eq!(
        (member.id.as_str(), member.height),
        ("0193e5a0-6e2b-7c4d-8f10-aabbccddeeff", Some(172))
    );
    assert_eq!(member.created_at.to_string(), "2026-01-02T03:04:05.000000Z");
}

async fn a_number_is_given_once(database: &TestDatabase) {
    route(database);
    database.shell(PLAIN);
    assert!(database.try_shell(PLAIN).is_err());
    database.shell(
        "INSERT INTO members (member_no, city) VALUES ('M1', '杭州') \
         ON CONFLICT (member_no) DO UPDATE SET city = excluded.city",
    );
    let (message, payload) = only_pending(database).await;
    assert_eq!(message.kind, "member.registered");
    assert_eq!(payload["location"], "杭州");
}

async fn a_member_deleted_since_is_told_of_as_they_were(database: &TestDatabase) {
    route(database);
    for delete in [
        "UPDATE members SET deleted = TRUE, city = '上海'",
        "DELETE FROM members",
    ] {
        database.shell("INSERT INTO members (member_no, city) VALUES ('M1', '杭州')");
        let (before, payload) = only_pending(database).await;
        assert_eq!(payload["location"], "杭州");
        database.shell(delete);
        let (after, _) = only_pending(database).await;
        assert_eq!(after, before, "{delete}");
        withdraw(database);
        database.shell("DELETE FROM members");
    }
}

async fn ten_thousand_at_once_are_ten_thousand_messages(database: &TestDatabase) {
    route(database);
    let bulk = |end: &str| {
        format!(
            "BEGIN; \
             INSERT INTO members (member_no, wechat, phone, gender) \
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000) \
             SELECT 'M' || n, 'wx' || n, '138' || (10000000 + n), 'female' FROM numbers; {end};"
        )
    };
    database.shell(&bulk("ROLLBACK"));
    assert!(database.messages().await.is_empty());
    database.shell(&bulk("COMMIT"));
    let messages = pending(database).await;
    assert_eq!(messages.len(), 10_000);
    let mut numbers: Vec<String> = messages
        .iter()
        .map(|message| {
            let payload = payload(message);
            assert_eq!(payload["gender"], "女");
            payload["memberNo"].as_str().unwrap().to_owned()
        })
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 10_000, "each of another member");
}
