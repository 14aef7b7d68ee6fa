//! What the API writes stands the operators' audit, and what is missing is found.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::{
    assignments, notification_routes, notifications, operation_logs, outbox_messages,
};
use shared::domain::{Channel, UtcTimestamp};
use shared::notification::Kind;
use shared::outbox::{AuditReport, Finding, audit};

use super::Office;
use crate::harness::{TestDatabase, message, moment, on_each_database, seconds};

on_each_database!(
    what_every_entrance_writes_stands_the_audit,
    what_was_told_of_deleted_customers_stands_it_too,
    what_is_missing_is_found_and_named,
    what_cannot_be_told_is_a_note,
    of_channels_that_take_over_from_each_other_one_is_enough,
);

async fn report(database: &TestDatabase) -> AuditReport {
    let hour = seconds(3_600);
    let now = SystemClock.now();
    database
        .read(move |connection| audit(connection, now.before(hour), now.after(hour)))
        .await
}

/// One assignment through every entrance: to somebody new, away from somebody, from the pool, in
/// a batch, for oneself.
async fn a_day_in_the_office(office: &Office<'_>) {
    let database = office.database;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let leads = database.leads(3, &office.wang).await;
    office.batch(&office.zhang, &leads, &office.li).await.data();
    let pooled = database.pooled_leads(2).await;
    office
        .assign_from_pool(&office.zhang, &pooled, &office.wang)
        .await
        .data();
    let one = database.pooled_lead("赵先生", "13900139000").await;
    office
        .assign_from_pool(&office.zhang, &[one], &office.wang)
        .await
        .data();
    office
        .api
        .customer(&office.li, "钱女士", "13700137000")
        .await;
    // Into the pool on one's own word and on another's, alone and with others; and out of it again.
    office.release(&office.li, &leads[0], "测试").await.data();
    office.release(&office.zhang, &lead, "测试").await.data();
    office
        .batch_release(&office.zhang, &leads[1..], "测试")
        .await
        .data();
    office.claim(&office.wang, &leads[1..]).await.data();
    let body = json!({ "name": "孙先生", "phone": "13600136000", "leadSource": "美团", "assignedTo": office.wang.id });
    office
        .api
        .post(&office.zhang, "/api/customers", &body)
        .await
        .data();
}

async fn what_every_entrance_writes_stands_the_audit(database: &TestDatabase) {
    let office = Office::open(database).await;
    a_day_in_the_office(&office).await;
    let report = report(database).await;
    assert_eq!(report.findings, []);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    assert_eq!(report.assignments, 16);
    assert!(report.messages > 10);
}

async fn what_was_told_of_deleted_customers_stands_it_too(database: &TestDatabase) {
    let office = Office::open(database).await;
    a_day_in_the_office(&office).await;
    let all = report(database).await;
    // One after the other: half a batch is deleted as well.
    loop {
        let page = office
            .api
            .get(&office.admin, "/api/customers?pageSize=1&sortBy=updatedAt")
            .await
            .data();
        let Some(id) = page["items"][0]["id"].as_str() else {
            break;
        };
        let path = format!("/api/customers/{id}");
        office.api.delete(&office.admin, &path).await.data();
        let left = report(database).await;
        assert_eq!(left.findings, []);
        assert!(left.notes.is_empty(), "{:?}", left.notes);
        assert_eq!(
            (left.assignments, left.messages),
            (all.assignments, all.messages)
        );
    }

    // Not even the operation log knows of the assignments any more: nobody can tell.
    database
        .write(|transaction| {
            let made = operation_logs::table.filter(operation_logs::action.eq("customer.assign"));
            diesel::delete(made).execute(transaction.connection())?;
            Ok(())
        })
        .await;
    let left = report(database).await;
    let without_customer = "customer.batch_assigned";
    assert!(left.findings.iter().all(|finding| matches!(finding,
        Finding::MessageWithoutAssignment { kind, .. } if kind == without_customer || kind == "customer.transferred_away")));
    assert!(left.notes.keys().next().unwrap().contains("deleted"));
}

async fn what_is_missing_is_found_and_named(database: &TestDatabase) {
    let office = Office::open(database).await;
    a_day_in_the_office(&office).await;
    let foreign = database.enqueue(message()).await;
    let now = SystemClock.now();
    let made_now = foreign.clone();
    database
        .write(move |transaction| {
            let connection = transaction.connection();
            diesel::update(outbox_messages::table.find(made_now))
                .set(outbox_messages::created_at.eq(now))
                .execute(connection)?;
            let lost = outbox_messages::table
                .filter(outbox_messages::kind.eq(Kind::CustomerTransferredAway.as_str()))
                .filter(outbox_messages::channel.eq(Channel::WechatCloud));
            diesel::delete(lost).execute(connection)?;
            let pool =
                notifications::table.filter(notifications::kind.eq(Kind::CustomerAssignedFromPool));
            diesel::delete(pool).execute(connection)?;
            Ok(())
        })
        .await;
    let report = report(database).await;
    let mut told: Vec<String> = report
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::MissingNotification(expected) => format!("no entry: {}", expected.kind),
            Finding::MissingMessage { expected, channel } => {
                format!("no message: {} {channel}", expected.kind)
            }
            Finding::MessageWithoutAssignment { message, .. } => {
                assert_eq!(*message, foreign);
                "no assignment".to_owned()
            }
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "no assignment",
            "no entry: customer.assigned_from_pool",
            "no message: customer.transferred_away wechat_cloud",
            "no message: customer.transferred_away wechat_cloud",
            "no message: customer.transferred_away wechat_cloud",
        ]
    );

    // Without the history, every message is one too many.
    database
        .write(|transaction| {
            diesel::delete(assignments::table).execute(transaction.connection())?;
            Ok(())
        })
        .await;
    let report = self::report(database).await;
    assert_eq!(report.findings.len(), report.messages);
}

async fn what_cannot_be_told_is_a_note(database: &TestDatabase) {
    let office = Office::open(database).await;
    office
        .switch_off(Kind::CustomerAssigned, Channel::WechatCloud)
        .await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    office.assign(&office.zhang, &lead, &office.li).await.data();
    assert_eq!(report(database).await.findings, []);

    // Nothing was ever enqueued on the channel, although the route says so.
    set_route(database, true, moment()).await;
    let unused = report(database).await;
    assert_eq!((unused.findings.len(), unused.notes.len()), (0, 1));
    assert!(unused.notes.keys().next().unwrap().contains("configured"));

    // Switched on (or off) since: then nobody knows.
    set_route(database, true, SystemClock.now()).await;
    let changed = report(database).await;
    assert_eq!((changed.findings.len(), changed.notes.len()), (0, 1));
    assert!(changed.notes.keys().next().unwrap().contains("changed"));
}

async fn set_route(database: &TestDatabase, enabled: bool, updated_at: UtcTimestamp) {
    database
        .write(move |transaction| {
            let route =
                notification_routes::table.find((Kind::CustomerAssigned, Channel::WechatCloud));
            diesel::update(route)
                .set((
                    notification_routes::enabled.eq(enabled),
                    notification_routes::updated_at.eq(updated_at),
                ))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

async fn of_channels_that_take_over_from_each_other_one_is_enough(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.zhang).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let chain = |database: &TestDatabase| {
        let sql = "UPDATE notification_routes SET fallback = 'wechat_cloud' \
                   WHERE channel = 'wechat_subscribe'";
        database.connection().batch_execute(sql).unwrap();
    };
    chain(database);
    office.assign(&office.zhang, &lead, &office.li).await.data();
    let audited = report(database).await;
    assert_eq!((audited.findings, audited.notes.len()), (vec![], 0));
    let before = audited.messages;

    // One of them goes on: it is no message of its own, and the one it took over from is there.
    let go_on = "INSERT INTO outbox_messages (id, kind, channel, recipient_id, payload, status, priority, \
                 attempts_max, due_at, created_at, fallback_of) \
                 SELECT 'later', kind, 'wechat_cloud', recipient_id, payload, 'pending', priority, \
                 attempts_max, due_at, created_at, id FROM outbox_messages \
                 WHERE kind = 'customer.assigned' ORDER BY id DESC LIMIT 1";
    database.connection().batch_execute(go_on).unwrap();
    let audited = report(database).await;
    assert_eq!((audited.findings, audited.messages), (vec![], before));

    let lose = "DELETE FROM outbox_messages WHERE kind = 'customer.assigned' AND fallback_of IS NULL \
                AND channel = 'wechat_subscribe'";
    database.connection().batch_execute(lose).unwrap();
    let missing: Vec<Channel> = report(database)
        .await
        .findings
        .into_iter()
        .filter_map(|finding| match finding {
            Finding::MissingMessage { channel, .. } => Some(channel),
            _ => None,
        })
        .collect();
    // Of the first assignment there is one on the other channel, which was no fallback then.
    assert_eq!(missing, [Channel::WechatSubscribe]);
}
