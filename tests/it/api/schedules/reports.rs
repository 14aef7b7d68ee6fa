//! Who is told which report, when, and that nobody is told twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use crm_api::reports::{PEOPLE_AT_ONCE, Report};
use crm_api::schedule::Looked;
use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use serde_json::{Value, json};
use shared::clock::{Clock, ManualClock, SystemClock};
use shared::db::schema::{contract_signings, notifications, outbox_messages, schedules, users};
use shared::domain::{Role, UserId};
use tokio::sync::Barrier;

use super::{Process, at, contents};
use crate::api::Office;
use crate::harness::{Session, TestDatabase, moment, on_each_database, seconds};

on_each_database!(
    what_was_done_through_the_api_is_in_the_report,
    a_contract_is_signed_once_by_whoever_has_the_customer,
    in_the_evening_everybody_gets_theirs_and_those_who_lead_the_team_s,
    a_report_that_is_made_up_for_is_that_of_its_slot_and_comes_once,
    of_many_processes_one_reports,
    a_report_that_was_left_half_way_goes_on_behind_the_last_person_told,
    where_nobody_is_at_work_nobody_is_told,
    what_was_signed_before_the_upgrade_counts,
);

const SHANGHAI: Tz = Tz::Asia__Shanghai;

async fn what_was_done_through_the_api_is_in_the_report(database: &TestDatabase) {
    let office = Office::open(database).await;
    let api = &office.api;
    let mut customers = Vec::new();
    for (by, phone) in [
        (&office.li, "13800000001"),
        (&office.li, "13800000002"),
        (&office.wang, "13800000003"),
    ] {
        customers.push(api.customer(by, "王女士", phone).await);
    }
    for _ in 0..3 {
        let path = format!("/api/customers/{}/follow-ups", customers[0]);
        let follow_up = json!({ "content": "已电话联系" });
        api.post(&office.li, &path, &follow_up).await.data();
    }
    for (by, customer) in [
        (&office.li, 0),
        (&office.li, 1),
        // Who enters it is not whose success it is.
        (&office.zhang, 2),
    ] {
        sign(&office, by, &customers[customer]).await;
    }
    // Imported as signed; nobody has to change it for that.
    let entered = json!({
        "name": "赵先生", "phone": "13800000004", "leadSource": "抖音",
        "contractStatus": "已签约", "assignedTo": office.wang.id,
    });
    api.post(&office.sun, "/api/customers", &entered)
        .await
        .data();

    let process = Process::at(database, SystemClock.now(), SHANGHAI);
    let weekly = process.report(Report::Weekly);
    assert_eq!(process.look(&weekly).await, Looked::Begun);
    let slot = process.go_to_next(&weekly);
    assert_eq!(process.look(&weekly).await, Looked::Done);
    let period = Report::Weekly.span().period(slot, SHANGHAI).text;
    let told = |scope: &str, figures: [u32; 3], ranking: &str| {
        let [entered, followed_up, signed] = figures;
        format!(
            "{period}（{scope}）：新增客户 {entered} 个，跟进 {followed_up} 次，签约 {signed} 个。签约排名：{ranking}"
        )
    };
    let mut expected = vec![
        // To the admin and the manager, who have nothing of their own to report; the first user has
        // nothing either.
        told("团队", [4, 3, 4], "1. 李四 2 个；1. 王五 2 个"),
        told("团队", [4, 3, 4], "1. 李四 2 个；1. 王五 2 个"),
        told("个人", [2, 3, 2], "第 1 名"),
        told("个人", [1, 0, 2], "第 1 名"),
        // 孙运营
        told("个人", [1, 0, 0], "暂无签约"),
        // 周派单
        told("个人", [0, 0, 0], "暂无签约"),
    ];
    expected.sort();
    assert_eq!(contents(database, "report.weekly").await, expected);
    let li = office.inbox(&office.li).await;
    assert_eq!(li.last(), Some(&told("个人", [2, 3, 2], "第 1 名")));
}

async fn sign(office: &Office<'_>, by: &Session, customer: &str) {
    set_status(office, by, customer, "已签约").await;
}

async fn set_status(office: &Office<'_>, by: &Session, customer: &str, status: &str) {
    let path = format!("/api/customers/{customer}");
    let change = json!({ "contractStatus": status });
    office.api.patch(by, &path, &change).await.data();
}

async fn a_contract_is_signed_once_by_whoever_has_the_customer(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    sign(&office, &office.li, &lead).await;
    // Signed already: nothing changes.
    sign(&office, &office.li, &lead).await;
    set_status(&office, &office.li, &lead, "匹配中").await;
    sign(&office, &office.li, &lead).await;
    // In the public pool it is nobody's but who has signed it.
    let pooled = database.pooled_lead("赵先生", "13800138998").await;
    sign(&office, &office.zhang, &pooled).await;
    let signings: Vec<(String, Option<String>)> = database
        .read(|connection| {
            Ok(contract_signings::table
                .order(contract_signings::signed_at)
                .select((contract_signings::customer_id, contract_signings::user_id))
                .load(connection)?)
        })
        .await;
    let of = |customer: &str, user: &Session| (customer.to_owned(), Some(user.id.clone()));
    assert_eq!(
        signings,
        [
            of(&lead, &office.li),
            of(&lead, &office.li),
            of(&pooled, &office.zhang)
        ]
    );
    let process = Process::at(database, SystemClock.now(), SHANGHAI);
    let weekly = process.report(Report::Weekly);
    process.look(&weekly).await;
    process.go_to_next(&weekly);
    process.look(&weekly).await;
    let told = office.inbox(&office.li).await;
    assert!(told.last().unwrap().contains("签约 1 个"), "{told:?}");
}

async fn in_the_evening_everybody_gets_theirs_and_those_who_lead_the_team_s(
    database: &TestDatabase,
) {
    let office = Office::open(database).await;
    deactivate(database, &office.wang).await;
    entered(database, &office.li, &["2026-01-02T02:00:00Z"]).await;
    // Yesterday evening, and this evening after the report.
    entered(
        database,
        &office.zhou,
        &["2026-01-01T11:00:00Z", "2026-01-02T10:00:00Z"],
    )
    .await;
    // Whoever leads gets their own if there is something in it.
    entered(database, &office.zhang, &["2026-01-02T09:59:59Z"]).await;
    let process = Process::at(database, moment(), SHANGHAI);
    let both = [Report::DailyPersonal, Report::DailyTeam].map(|report| process.report(report));
    for schedule in &both {
        assert_eq!(process.look(schedule).await, Looked::Begun);
    }
    process.go_to(at("2026-01-02T10:00:00Z"));
    for schedule in &both {
        assert_eq!(process.look(schedule).await, Looked::Done);
        assert_eq!(process.look(schedule).await, Looked::UpToDate);
    }
    assert_eq!(
        database.news().await,
        [
            "report.daily_personal li: inbox wechat_cloud",
            "report.daily_personal sun: inbox wechat_cloud",
            "report.daily_personal zhang: inbox wechat_cloud",
            "report.daily_personal zhou: inbox wechat_cloud",
            "report.daily_team admin: inbox wechat_cloud",
            "report.daily_team zhang: inbox wechat_cloud",
        ]
    );
    let figures =
        |text: &str, entered: u32| format!("{text}新增客户 {entered} 个，跟进 0 次，签约 0 个");
    let day = "2026年01月02日（截至18:00）：";
    assert_eq!(office.inbox(&office.li).await, [figures(day, 1)]);
    assert_eq!(office.inbox(&office.zhou).await, [figures(day, 0)]);
    let team = figures(&format!("{day}团队"), 2);
    assert_eq!(
        contents(database, "report.daily_team").await,
        [
            format!("{team}。签约排名：暂无签约"),
            format!("{team}。签约排名：暂无签约")
        ]
    );
    // What a card shows, which has no room for a sentence.
    let payload: String = database
        .read(|connection| {
            Ok(outbox_messages::table
                .filter(outbox_messages::kind.eq("report.daily_team"))
                .select(outbox_messages::payload)
                .first(connection)?)
        })
        .await;
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload["source"], "新增2 跟进0 签约0");
    assert_eq!(payload["customerName"], "2026年01月02日（截至18:00）");
}

async fn a_report_that_is_made_up_for_is_that_of_its_slot_and_comes_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let days = ["2026-01-03", "2026-01-04", "2026-01-05", "2026-01-06"];
    for (count, day) in (1..).zip(days) {
        let moments: Vec<String> = (0..count).map(|n| format!("{day}T02:00:0{n}Z")).collect();
        let moments: Vec<&str> = moments.iter().map(String::as_str).collect();
        entered(database, &office.li, &moments).await;
    }
    let process = Process::at(database, moment(), SHANGHAI);
    let daily = process.report(Report::DailyPersonal);
    process.look(&daily).await;
    // Nobody was there for days; it is the noon of the sixth.
    process.go_to(at("2026-01-06T04:00:00Z"));
    let next = Process::with_clock(database, &process.clock, SHANGHAI);
    assert_eq!(next.look(&daily).await, Looked::Done);
    assert_eq!(next.look(&daily).await, Looked::UpToDate);
    assert_eq!(process.look(&daily).await, Looked::UpToDate);
    assert_eq!(
        office.inbox(&office.li).await,
        ["2026年01月05日（截至18:00）：新增客户 3 个，跟进 0 次，签约 0 个"]
    );
    process.go_to_next(&daily);
    assert_eq!(process.look(&daily).await, Looked::Done);
    assert_eq!(
        office.inbox(&office.li).await[1],
        "2026年01月06日（截至18:00）：新增客户 4 个，跟进 0 次，签约 0 个"
    );
}

async fn of_many_processes_one_reports(database: &TestDatabase) {
    const PROCESSES: usize = 4;
    database.staff("li", "李四", Role::Employee).await;
    let clock = ManualClock::at(moment());
    let processes: Vec<Process> = (0..PROCESSES)
        .map(|_| Process::with_clock(database, &clock, SHANGHAI))
        .collect();
    let monthly = processes[0].report(Report::Monthly);
    processes[0].look(&monthly).await;
    processes[0].go_to(at("2026-02-01T01:00:00Z"));
    let barrier = Arc::new(Barrier::new(PROCESSES));
    let looking = processes.into_iter().map(|process| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            let monthly = process.report(Report::Monthly);
            barrier.wait().await;
            process.look(&monthly).await
        })
    });
    let mut done = 0;
    for looked in looking.collect::<Vec<_>>() {
        done += usize::from(looked.await.unwrap() == Looked::Done);
    }
    assert_eq!(done, 1);
    assert_eq!(
        contents(database, "report.monthly").await,
        ["2026年01月（个人）：新增客户 0 个，跟进 0 次，签约 0 个。签约排名：暂无签约"]
    );
}

async fn a_report_that_was_left_half_way_goes_on_behind_the_last_person_told(
    database: &TestDatabase,
) {
    let staff = many_employees(database, 2 * PEOPLE_AT_ONCE + 20).await;
    database.staff("zhang", "张经理", Role::Manager).await;
    let process = Process::at(database, moment(), SHANGHAI);
    let weekly = process.report(Report::Weekly);
    process.look(&weekly).await;
    let slot = process.go_to_next(&weekly);
    // Somebody told the team and the first of the people, and was killed.
    let told_last = staff[PEOPLE_AT_ONCE - 1].clone();
    let under_way = told_last.clone();
    database
        .write(move |transaction| {
            diesel::update(schedules::table.find("report.weekly"))
                .set((
                    schedules::under_way.eq(slot),
                    schedules::progress.eq(under_way),
                ))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
    assert_eq!(process.look(&weekly).await, Looked::Done);
    let counts = told_counts(database).await;
    for (position, user) in staff.iter().enumerate() {
        let expected = i64::from(*user > told_last);
        let count = counts.get(user).copied().unwrap_or_default();
        assert_eq!(count, expected, "number {position}");
    }
    assert_eq!(counts.len(), PEOPLE_AT_ONCE + 20, "nobody else was told");
    // How far it was says nothing of the next slot.
    process.go_to_next(&weekly);
    assert_eq!(process.look(&weekly).await, Looked::Done);
    let counts = told_counts(database).await;
    assert_eq!(counts.len(), staff.len() + 1);
    assert!(staff.iter().all(|user| {
        let expected = 1 + i64::from(*user > told_last);
        counts[user] == expected
    }));
}

async fn where_nobody_is_at_work_nobody_is_told(database: &TestDatabase) {
    let gone = database.staff("li", "李四", Role::Employee).await;
    deactivate(database, &gone).await;
    let process = Process::at(database, moment(), SHANGHAI);
    for report in Report::ALL {
        let schedule = process.report(report);
        // A new installation has missed nothing.
        assert_eq!(process.look(&schedule).await, Looked::Begun);
        assert_eq!(process.look(&schedule).await, Looked::UpToDate);
    }
    process.go_to(moment().after(seconds(40 * 86_400)));
    for report in Report::ALL {
        let schedule = process.report(report);
        assert_eq!(process.look(&schedule).await, Looked::Done);
    }
    assert_eq!(database.news().await, [""; 0]);
}

async fn what_was_signed_before_the_upgrade_counts(database: &TestDatabase) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    sign(&office, &office.zhang, &lead).await;
    set_status(&office, &office.zhang, &lead, "退款中").await;
    let entered = database.lead("赵先生", "13800138998", &office.wang).await;
    let signed = format!("UPDATE customers SET contract_status = '已签约' WHERE id = '{entered}'");
    database.connection().batch_execute(&signed).unwrap();
    let before = signings(database).await;
    // The part of the migration that fills the table, on what an older release has left.
    let up = include_str!("../../../../migrations/sqlite/2026-11-26-100400_reports/up.sql");
    let statements: Vec<&str> = up.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = statements.join("\n");
    let filling: Vec<&str> = statements
        .split(';')
        .filter(|statement| statement.contains("INSERT INTO contract_signings"))
        .collect();
    assert_eq!(filling.len(), 2);
    let again = format!("DELETE FROM contract_signings; {};", filling.join(";"));
    database.connection().batch_execute(&again).unwrap();
    let after = signings(database).await;
    assert_eq!(before.len(), 1);
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]), "{before:?} {after:?}");
    assert!(after.contains(&(entered, Some(office.wang.id.clone()), moment().to_string())));
}

async fn signings(database: &TestDatabase) -> Vec<(String, Option<String>, String)> {
    let rows: Vec<(String, Option<String>, shared::domain::UtcTimestamp)> = database
        .read(|connection| Ok(contract_signings::table.load(connection)?))
        .await;
    rows.into_iter()
        .map(|(customer, user, moment)| (customer, user, moment.to_string()))
        .collect()
}

/// Customers that somebody entered at these moments.
async fn entered(database: &TestDatabase, by: &Session, moments: &[&str]) {
    use shared::db::schema::customers;

    for text in moments {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let phone = format!("13{}", &digits[digits.len() - 9..]);
        let id = database.lead("王女士", &phone, by).await;
        let (moment, creator) = (at(text), by.id.clone());
        database
            .write(move |transaction| {
                diesel::update(customers::table.find(id))
                    .set((
                        customers::created_at.eq(moment),
                        customers::created_by.eq(creator),
                    ))
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    }
}

async fn deactivate(database: &TestDatabase, user: &Session) {
    let id = user.id.clone();
    database
        .write(move |transaction| {
            diesel::update(users::table.find(id))
                .set(users::active.eq(false))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

/// That many employees; answers their ids in order.
async fn many_employees(database: &TestDatabase, count: usize) -> Vec<String> {
    database
        .write(move |transaction| {
            let mut ids = Vec::with_capacity(count);
            for number in 0..count {
                let id = UserId::generate();
                diesel::insert_into(users::table)
                    .values((
                        users::id.eq(id.clone()),
                        users::username.eq(format!("staff{number}")),
                        users::password_hash.eq("none"),
                        users::name.eq(format!("员工{number}")),
                        users::role.eq("employee"),
                        users::created_at.eq(moment()),
                        users::updated_at.eq(moment()),
                    ))
                    .execute(transaction.connection())?;
                ids.push(id.to_string());
            }
            ids.sort();
            Ok(ids)
        })
        .await
}

/// How often each person was told something.
async fn told_counts(database: &TestDatabase) -> BTreeMap<String, i64> {
    let counts: Vec<(String, i64)> = database
        .read(|connection| {
            Ok(notifications::table
                .group_by(notifications::user_id)
                .select((notifications::user_id, count_star()))
                .load(connection)?)
        })
        .await;
    counts.into_iter().collect()
}
