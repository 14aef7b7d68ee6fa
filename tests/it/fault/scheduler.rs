//! Two API processes, one of which is killed while it moves leads by rule.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::schema::{
    assignments, customers, lead_transfer_records, lead_transfer_runs, leases,
};
use shared::domain::Role;

use crate::harness::{SECRET, TestDatabase, TestProcess, eventually, on_each_database};

on_each_database!(a_run_whose_process_is_killed_is_finished_by_another_one_and_told_once);

/// Some seconds of work without optimisation.
const LEADS: u32 = 4_000;

async fn a_run_whose_process_is_killed_is_finished_by_another_one_and_told_once(
    database: &TestDatabase,
) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let wang = database.staff("wang", "王五", Role::Employee).await;
    let zhou = database.staff("zhou", "周派单", Role::Employee).await;
    database.leads(LEADS, &li).await;
    let rule = "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff";
    let made = format!(
        "INSERT INTO lead_transfer_rules (id, name, enabled, inactive_hours, cooldown_hours, transfers_max, \
         contract_statuses, lead_sources, window_enabled, window_start, window_end, strategy, created_at, updated_at) \
         VALUES ('{rule}', '规则', TRUE, 48, 24, 0, '[]', '[]', FALSE, '09:30', '18:30', 'balanced', \
         '2026-01-02 00:00:00', '2026-01-02 00:00:00'); \
         INSERT INTO lead_transfer_rule_users (rule_id, user_id, is_source, is_target, position) VALUES \
         ('{rule}', '{}', TRUE, FALSE, 1), ('{rule}', '{}', FALSE, TRUE, 2), ('{rule}', '{}', FALSE, TRUE, 3); \
         INSERT INTO schedules (name, last_slot, updated_at) \
         VALUES ('lead_transfer', '2026-01-02 00:00:00', '2026-01-02 00:00:00')",
        li.id, wang.id, zhou.id
    );
    database.connection().batch_execute(&made).unwrap();

    // The hours since then were missed: the last of them is made up for at once.
    let mut processes = [start(database), start(database)].map(Some);
    let mut holder = None;
    eventually("a process has moved some of the leads", async || {
        holder = holder_of_runs(database).await;
        let moved = moved(database).await;
        assert!(moved < i64::from(LEADS), "too fast for this test");
        moved > 0 && holder.is_some()
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
    let killed_after = moved(database).await;
    eventually("the other one has finished the run", async || {
        finished_runs(database).await == 1
    })
    .await;
    assert!(killed_after < i64::from(LEADS));
    assert_eq!(moved(database).await, i64::from(LEADS));
    assert_eq!(runs(database).await, 1, "one hour, one run");
    let left: (i64, i64) = database
        .read(move |connection| {
            let li = customers::table.filter(customers::assigned_to.eq(li.id));
            let history = assignments::table.count().get_result(connection)?;
            Ok((li.count().get_result(connection)?, history))
        })
        .await;
    assert_eq!(left, (0, i64::from(LEADS)), "each lead moved once");
    assert_eq!(
        database.news().await,
        [
            "lead.auto_transfer_in wang: inbox",
            "lead.auto_transfer_in zhou: inbox",
            "lead.auto_transfer_out li: inbox",
        ]
    );
    let survivor = processes.into_iter().flatten().next().unwrap();
    let ended = survivor.terminate();
    assert!(ended.status.success(), "{}", ended.said);
    assert_eq!(holder_of_runs(database).await, None, "nothing is held");
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

async fn moved(database: &TestDatabase) -> i64 {
    database
        .read(|connection| {
            Ok(lead_transfer_records::table
                .count()
                .get_result(connection)?)
        })
        .await
}

async fn runs(database: &TestDatabase) -> i64 {
    database
        .read(|connection| Ok(lead_transfer_runs::table.count().get_result(connection)?))
        .await
}

async fn finished_runs(database: &TestDatabase) -> i64 {
    database
        .read(|connection| {
            let finished =
                lead_transfer_runs::table.filter(lead_transfer_runs::status.eq("finished"));
            Ok(finished.count().get_result(connection)?)
        })
        .await
}

/// The number of the process that does the runs.
async fn holder_of_runs(database: &TestDatabase) -> Option<u32> {
    let holder: Option<String> = database
        .read(|connection| {
            let holder = leases::table.find("lead_transfer").select(leases::holder);
            Ok(holder.first(connection).optional()?)
        })
        .await;
    holder.map(|holder| holder.split('-').next().unwrap().parse().unwrap())
}
