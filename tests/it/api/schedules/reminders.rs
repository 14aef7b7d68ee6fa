//! Owners are reminded of customers with whom nothing was done for days.

use chrono_tz::Tz;
use crm_api::reminders::{ENTRIES_MAX, OWNERS_AT_ONCE};
use crm_api::schedule::{Looked, Schedule};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::Value;
use shared::db::schema::{customers, outbox_messages, schedules};
use shared::domain::{Role, UtcTimestamp};
use shared::outbox::Status;

use super::{Process, at, contents};
use crate::api::Office;
use crate::harness::{Session, TestDatabase, on_each_database};

on_each_database!(
    an_owner_is_reminded_on_the_last_day_of_every_interval,
    only_what_can_still_come_to_a_contract_is_brought_up,
    of_several_customers_one_message_goes_out,
    what_was_missed_is_made_up_for_once,
    whoever_takes_over_reminds_the_others_alone,
    a_reminder_that_waits_is_taken_back_when_the_customer_goes_on,
    days_are_those_of_the_calendar_also_when_clocks_change,
);

const SHANGHAI: Tz = Tz::Asia__Shanghai;
const DUE: &str = "customer.follow_up_due";

/// Last touched at this moment.
async fn touched(database: &TestDatabase, lead: &str, moment: UtcTimestamp) {
    let lead = lead.to_owned();
    database
        .write(move |transaction| {
            diesel::update(customers::table.find(lead))
                .set(customers::last_activity_at.eq(moment))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

/// A process that is up to date on this day, in the morning after the reminders.
async fn process_on(database: &TestDatabase, day: &str, days: u32) -> (Process, Schedule) {
    let process = Process::at(database, at(&format!("{day}T02:00:00Z")), SHANGHAI);
    let reminders = process.reminders(days);
    assert_eq!(process.look(&reminders).await, Looked::Begun);
    (process, reminders)
}

async fn an_owner_is_reminded_on_the_last_day_of_every_interval(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let lead = database.lead("王女士", "13800138999", &li).await;
    // In the evening, local time: what counts are days, not hours.
    touched(database, &lead, at("2026-01-02T12:00:00Z")).await;
    let (process, reminders) = process_on(database, "2026-01-02", 7).await;
    let mut told_on = Vec::new();
    let mut told = 0;
    for day in 1..=22 {
        process.go_to_next(&reminders);
        assert_eq!(process.look(&reminders).await, Looked::Done);
        let now = contents(database, DUE).await.len();
        if now > told {
            told_on.push(day);
        }
        told = now;
    }
    assert_eq!(told_on, [7, 14, 21]);
    assert_eq!(
        contents(database, DUE).await,
        [
            "客户 王女士 已 14 天未跟进，请及时联系",
            "客户 王女士 已 21 天未跟进，请及时联系",
            "客户 王女士 已 7 天未跟进，请及时联系",
        ]
    );
    // Something is done with it: the days begin anew.
    touched(database, &lead, at("2026-01-25T03:00:00Z")).await;
    for _ in 23..30 {
        process.go_to_next(&reminders);
        process.look(&reminders).await;
    }
    assert_eq!(contents(database, DUE).await.len(), 3);
    process.go_to_next(&reminders);
    process.look(&reminders).await;
    assert_eq!(contents(database, DUE).await.len(), 4);
}

async fn only_what_can_still_come_to_a_contract_is_brought_up(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let gone = database.staff("gone", "离职", Role::Employee).await;
    let seven_days_ago = at("2026-01-02T03:00:00Z");
    let wishes = [
        ("到期", "签约中", "A类", ""),
        ("没有级别", "待定", "", ""),
        ("已签", "已签约", "A类", ""),
        ("流失", "流失客户", "A类", ""),
        ("退款", "已退款", "A类", ""),
        ("在退", "退款中", "A类", ""),
        ("无望", "待定", "流失", ""),
        ("冻结", "待定", "A类", "frozen = TRUE"),
        (
            "公海",
            "待定",
            "A类",
            "assigned_to = NULL, in_public_pool = TRUE",
        ),
        ("无主", "待定", "A类", "assigned_to = NULL"),
    ];
    for ((name, status, level, more), number) in wishes.into_iter().zip(100..) {
        let lead = database.lead(name, &format!("13800000{number}"), &li).await;
        touched(database, &lead, seven_days_ago).await;
        let level = match level {
            "" => "NULL".to_owned(),
            level => format!("'{level}'"),
        };
        let more = match more {
            "" => String::new(),
            more => format!(", {more}"),
        };
        let sql = format!(
            "UPDATE customers SET contract_status = '{status}', lead_level = {level}{more} WHERE id = '{lead}'"
        );
        database.connection().batch_execute(&sql).unwrap();
    }
    let lead = database.lead("旧同事的", "13800000999", &gone).await;
    touched(database, &lead, seven_days_ago).await;
    let left = format!("UPDATE users SET active = FALSE WHERE id = '{}'", gone.id);
    database.connection().batch_execute(&left).unwrap();
    let (process, reminders) = process_on(database, "2026-01-08", 7).await;
    process.go_to_next(&reminders);
    assert_eq!(process.look(&reminders).await, Looked::Done);
    assert_eq!(
        contents(database, DUE).await,
        [
            "客户 到期 已 7 天未跟进，请及时联系",
            "客户 到期等2个客户 已 7 天未跟进，请及时联系",
            "客户 没有级别 已 7 天未跟进，请及时联系",
        ]
    );
}

async fn of_several_customers_one_message_goes_out(database: &TestDatabase) {
    let office = Office::open(database).await;
    let leads = database.leads(300, &office.li).await;
    let one = database.lead("王女士", "13800138999", &office.wang).await;
    for (position, lead) in leads.iter().enumerate() {
        // Half of them for two intervals.
        let day = if position % 2 == 0 {
            "2026-01-02"
        } else {
            "2025-12-26"
        };
        touched(database, lead, at(&format!("{day}T03:00:00Z"))).await;
    }
    touched(database, &one, at("2026-01-02T03:00:00Z")).await;
    let (process, reminders) = process_on(database, "2026-01-08", 7).await;
    process.go_to_next(&reminders);
    assert_eq!(process.look(&reminders).await, Looked::Done);
    let texts = contents(database, DUE).await;
    assert_eq!(texts.len(), ENTRIES_MAX + 2, "{texts:?}");
    let longest = texts.iter().filter(|text| text.contains("已 14 天"));
    assert_eq!(longest.count(), ENTRIES_MAX, "{texts:?}");
    let summary = texts
        .iter()
        .filter(|text| text.contains("等300个客户 已 7 天未跟进"));
    assert_eq!(summary.count(), 1, "{texts:?}");
    // The newest entry says how many they are.
    let newest = office.inbox(&office.li).await;
    assert!(newest.last().unwrap().contains("等300个客户"), "{newest:?}");
    let messages: Vec<(String, String, Option<String>)> = database
        .read(|connection| {
            Ok(outbox_messages::table
                .order(outbox_messages::subject)
                .select((
                    outbox_messages::recipient_id,
                    outbox_messages::payload,
                    outbox_messages::subject,
                ))
                .load(connection)?)
        })
        .await;
    assert_eq!(messages.len(), 2);
    for (recipient, payload, subject) in messages {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        if recipient == office.wang.id {
            assert_eq!(subject, Some(format!("customer:{one}")));
            assert_eq!(payload["customerName"], "王女士");
            assert_eq!(payload["phone"], "138****8999");
            assert_eq!(payload["source"], "已7天未跟进");
        } else {
            assert_eq!((recipient, subject), (office.li.id.clone(), None));
            assert_eq!(payload["count"], 300);
            assert!(payload.get("phone").is_none());
        }
    }
}

async fn what_was_missed_is_made_up_for_once(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let (process, reminders) = process_on(database, "2026-01-08", 7).await;
    for (name, day, phone) in [
        ("前日", "2026-01-02", "13800000001"),
        ("昨日", "2026-01-03", "13800000002"),
        ("今日", "2026-01-04", "13800000003"),
        ("明日", "2026-01-05", "13800000004"),
        ("已提醒", "2026-01-01", "13800000005"),
    ] {
        let lead = database.lead(name, phone, &li).await;
        touched(database, &lead, at(&format!("{day}T03:00:00Z"))).await;
    }
    // Nobody was there on the ninth and the tenth.
    process.go_to(at("2026-01-11T05:00:00Z"));
    assert_eq!(process.look(&reminders).await, Looked::Done);
    assert_eq!(process.look(&reminders).await, Looked::UpToDate);
    assert_eq!(
        contents(database, DUE).await,
        [
            "客户 今日 已 7 天未跟进，请及时联系",
            "客户 前日 已 9 天未跟进，请及时联系",
            "客户 前日等3个客户 已 7 天未跟进，请及时联系",
            "客户 昨日 已 8 天未跟进，请及时联系",
        ]
    );
    process.go_to_next(&reminders);
    process.look(&reminders).await;
    let texts = contents(database, DUE).await;
    assert_eq!(texts.len(), 5);
    assert!(texts.contains(&"客户 明日 已 7 天未跟进，请及时联系".to_owned()));
}

async fn whoever_takes_over_reminds_the_others_alone(database: &TestDatabase) {
    let mut owners: Vec<Session> = Vec::new();
    let count = OWNERS_AT_ONCE + 10;
    for number in 0..count {
        let username: &'static str = format!("staff{number}").leak();
        let owner = database.staff(username, "员工", Role::Employee).await;
        let phone = format!("138{number:08}");
        let lead = database.lead("王女士", &phone, &owner).await;
        touched(database, &lead, at("2026-01-02T03:00:00Z")).await;
        owners.push(owner);
    }
    owners.sort_by(|one, other| one.id.cmp(&other.id));
    let (process, reminders) = process_on(database, "2026-01-08", 7).await;
    let slot = process.go_to_next(&reminders);
    let told_last = owners[19].id.clone();
    database
        .write(move |transaction| {
            diesel::update(schedules::table.find(DUE))
                .set((
                    schedules::under_way.eq(slot),
                    schedules::progress.eq(told_last),
                ))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    assert_eq!(process.look(&reminders).await, Looked::Done);
    assert_eq!(contents(database, DUE).await.len(), count - 20);
    let standing: (Option<UtcTimestamp>, Option<String>) = database
        .read(|connection| {
            Ok(schedules::table
                .find(DUE)
                .select((schedules::under_way, schedules::progress))
                .first(connection)?)
        })
        .await;
    assert_eq!(standing, (None, None));
}

async fn a_reminder_that_waits_is_taken_back_when_the_customer_goes_on(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    touched(database, &lead, at("2026-01-02T03:00:00Z")).await;
    let (process, reminders) = process_on(database, "2026-01-08", 7).await;
    process.go_to_next(&reminders);
    process.look(&reminders).await;
    office
        .assign(&office.zhang, &lead, &office.wang)
        .await
        .data();
    let statuses: Vec<Status> = database
        .read(|connection| {
            Ok(outbox_messages::table
                .filter(outbox_messages::kind.eq(DUE))
                .select(outbox_messages::status)
                .load(connection)?)
        })
        .await;
    assert_eq!(statuses, [Status::Cancelled]);
}

async fn days_are_those_of_the_calendar_also_when_clocks_change(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let zone = Tz::Europe__Berlin;
    // On 2026-03-29 clocks go forward, on 2026-10-25 back; each lead is touched on a midnight there.
    for (touch, slot, phone) in [
        (
            "2026-03-25T23:00:00Z",
            "2026-04-02T07:30:00Z",
            "13800000001",
        ),
        (
            "2026-10-21T22:00:00Z",
            "2026-10-29T08:30:00Z",
            "13800000002",
        ),
    ] {
        let lead = database.lead("王女士", phone, &li).await;
        touched(database, &lead, at(touch)).await;
        let before = contents(database, DUE).await.len();
        let process = Process::at(
            database,
            at(slot).before(crate::harness::seconds(86_400 * 9)),
            zone,
        );
        let reminders = process.reminders(7);
        process.look(&reminders).await;
        let mut told_at = Vec::new();
        while told_at.is_empty() {
            let slot = process.go_to_next(&reminders);
            process.look(&reminders).await;
            if contents(database, DUE).await.len() > before {
                told_at.push(slot);
            }
        }
        assert_eq!(told_at, [at(slot)]);
        let done = format!("DELETE FROM customers WHERE id = '{lead}'; DELETE FROM schedules");
        database.connection().batch_execute(&done).unwrap();
    }
}
