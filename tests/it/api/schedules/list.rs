//! How the schedules stand, for administrators.

use chrono_tz::Tz;
use crm_api::reports::Report;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};

use super::Process;
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    every_schedule_says_when_it_was_done_and_is_next,
    without_an_interval_nobody_is_reminded,
);

async fn every_schedule_says_when_it_was_done_and_is_next(database: &TestDatabase) {
    let office = Office::open(database).await;
    let listed = list(&office).await;
    let names: Vec<&Value> = listed.iter().map(|schedule| &schedule["name"]).collect();
    assert_eq!(
        names,
        [
            "lead_transfer",
            "report.daily_personal",
            "report.daily_team",
            "report.weekly",
            "report.monthly",
            "customer.follow_up_due",
        ]
    );
    let timetables: Vec<&Value> = listed.iter().map(|one| &one["timetable"]).collect();
    assert_eq!(
        timetables,
        [
            "每小时第 0 分",
            "每天 18:00",
            "每天 18:00",
            "每周一 09:00",
            "每月 1 日 09:00",
            "每天 09:30",
        ]
    );
    for schedule in &listed {
        assert_eq!(schedule["state"], "new", "{schedule}");
        assert!(schedule["lastSlot"].is_null() && schedule["updatedAt"].is_null());
        let next: chrono::DateTime<chrono::Utc> =
            serde_json::from_value(schedule["nextSlot"].clone()).unwrap();
        assert!(next > SystemClock.now().to_datetime(), "{schedule}");
    }
    let process = Process::at(database, SystemClock.now(), Tz::Asia__Shanghai);
    process.look(&process.report(Report::Monthly)).await;
    assert_eq!(state(&office).await, "done");
    let behind = "UPDATE schedules SET last_slot = '2026-01-01 01:00:00.000000'";
    database.connection().batch_execute(behind).unwrap();
    assert_eq!(state(&office).await, "waiting");
    let held = "INSERT INTO leases (name, holder, expires_at) \
                VALUES ('schedule:report.monthly', 'somebody', '2999-01-01 00:00:00.000000')";
    database.connection().batch_execute(held).unwrap();
    assert_eq!(state(&office).await, "running");
    let given_back = "DELETE FROM leases";
    database.connection().batch_execute(given_back).unwrap();
}

async fn list(office: &Office<'_>) -> Vec<Value> {
    let listed = office.api.get(&office.admin, "/api/schedules").await.data();
    listed.as_array().unwrap().clone()
}

async fn state(office: &Office<'_>) -> Value {
    let listed = list(office).await;
    let monthly = listed
        .into_iter()
        .find(|schedule| schedule["name"] == json!("report.monthly"));
    monthly.unwrap()["state"].clone()
}

async fn without_an_interval_nobody_is_reminded(database: &TestDatabase) {
    let office = Office::open_with(database, |config| config.follow_up_reminder_days = 0).await;
    let listed = list(&office).await;
    assert_eq!(listed.len(), 5);
    assert!(
        listed
            .iter()
            .all(|one| one["name"] != "customer.follow_up_due")
    );
}
