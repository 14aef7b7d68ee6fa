//! Two API processes, one of which is killed while it reports.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use shared::db::schema::{leases, notifications, schedules, users};
use shared::domain::{UserId, UtcTimestamp};

use crate::harness::{SECRET, TestDatabase, TestProcess, eventually, moment, on_each_database};

on_each_database!(a_report_whose_process_is_killed_reaches_everybody_once);

/// Some seconds of work without optimisation.
const PEOPLE: i64 = 5_000;
const REPORT: &str = "report.weekly";

async fn a_report_whose_process_is_killed_reaches_everybody_once(database: &TestDatabase) {
    staff(database).await;
    // The weeks since then were missed: the last of them is made up for at once.
    let missed = format!(
        "INSERT INTO schedules (name, last_slot, updated_at) \
         VALUES ('{REPORT}', '2026-01-05 01:00:00', '2026-01-05 01:00:00')"
    );
    database.connection().batch_execute(&missed).unwrap();
    let mut processes = [start(database), start(database)].map(Some);
    let mut holder = None;
    eventually("a process has told some of the people", async || {
        holder = holder_of_report(database).await;
        let told = told(database).await;
        assert!(told < PEOPLE, "too fast for this test");
        told > 0 && holder.is_some()
    })
    .await;
    let holder = holder.unwrap();
    let doomed = processes.iter_mut().find(|process| {
        process
            .as_ref()
            .is_some_and(|process| process.pid() == holder)
    });
    let doomed = doomed.and_then(Option::take).unwrap();
    doomed.kill();
    let told_then = told(database).await;
    assert!(0 < told_then && told_then < PEOPLE, "{told_then}");
    eventually("the other one has done the slot", async || {
        let last = last_slot(database).await;
        last > moment().after(crate::harness::seconds(60 * 86_400))
    })
    .await;
    let counts: Vec<(String, i64)> = database
        .read(|connection| {
            Ok(notifications::table
                .filter(notifications::kind.eq(REPORT))
                .group_by(notifications::user_id)
                .select((notifications::user_id, count_star()))
                .load(connection)?)
        })
        .await;
    let counts: BTreeMap<String, i64> = counts.into_iter().collect();
    assert_eq!(i64::try_from(counts.len()).unwrap(), PEOPLE);
    assert!(counts.values().all(|count| *count == 1), "told twice");
    let survivor = processes.into_iter().flatten().next().unwrap();
    let ended = survivor.terminate();
    assert!(ended.status.success(), "{}", ended.said);
    assert_eq!(holder_of_report(database).await, None, "nothing is held");
}

async fn staff(database: &TestDatabase) {
    database
        .write(|transaction| {
            for number in 0..PEOPLE {
                diesel::insert_into(users::table)
                    .values((
                        users::id.eq(UserId::generate()),
                        users::username.eq(format!("staff{number}")),
                        users::password_hash.eq("none"),
                        users::name.eq(format!("员工{number}")),
                        users::role.eq("employee"),
                        users::created_at.eq(moment()),
                        users::updated_at.eq(moment()),
                    ))
                    .execute(transaction.connection())?;
            }
            Ok(())
        })
        .await;
}

fn start(database: &TestDatabase) -> TestProcess {
    let arguments = [
        "--database-url",
        &database.url().reveal(),
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret",
        SECRET,
    ];
    TestProcess::start("crm-api", &arguments.map(str::to_owned))
}

async fn told(database: &TestDatabase) -> i64 {
    database
        .read(|connection| {
            let told = notifications::table.filter(notifications::kind.eq(REPORT));
            Ok(told.count().get_result(connection)?)
        })
        .await
}

async fn last_slot(database: &TestDatabase) -> UtcTimestamp {
    database
        .read(|connection| {
            Ok(schedules::table
                .find(REPORT)
                .select(schedules::last_slot)
                .first(connection)?)
        })
        .await
}

/// The number of the process that reports.
async fn holder_of_report(database: &TestDatabase) -> Option<u32> {
    let holder: Option<String> = database
        .read(|connection| {
            let lease = leases::table.find(format!("schedule:{REPORT}"));
            Ok(lease.select(leases::holder).first(connection).optional()?)
        })
        .await;
    holder.map(|holder| holder.split('-').next().unwrap().parse().unwrap())
}
