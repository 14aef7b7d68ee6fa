use std::sync::Arc;

use chrono_tz::Tz;
use crm_api::assignment::Telling;
use crm_api::auto_transfer::{NewRun, Runner, enqueue_run};
use crm_api::schedule::Lease;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::domain::{Channel, ChannelSet, RequestId, TransferRunId};

use super::{execute_sql, get, rule};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    a_run_that_was_left_half_way_is_finished_and_told_once,
    of_two_runners_one_does_the_runs,
    an_hour_has_one_run,
);

fn runner(database: &TestDatabase) -> Runner {
    let telling = Telling {
        channels: ChannelSet::default().with(Channel::WechatCloud),
        time_zone: Tz::Asia__Shanghai,
    };
    Runner::new(
        database.database().clone(),
        Arc::new(SystemClock),
        telling,
        |_| {},
    )
}

/// Orders a run by all rules.
async fn order(database: &TestDatabase, leads_max: Option<i32>) -> TransferRunId {
    let order = NewRun {
        slot: None,
        rule: None,
        leads_max,
        by: None,
        request_id: RequestId::generate(),
    };
    let now = SystemClock.now();
    database
        .write(move |transaction| enqueue_run(transaction, &order, now))
        .await
}

/// As the books look when a process dies between two batches.
async fn a_run_that_was_left_half_way_is_finished_and_told_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let targets = [&office.wang, &office.zhou];
    let id = rule(&office, "规则", &[&office.li], &targets, json!({})).await;
    database.leads(5, &office.li).await;
    // Not by the API: its own runner would look once more, and might find what is done to the run below.
    let run = order(database, Some(3)).await;
    runner(database).work_off().await.unwrap();
    let half = get(&office, &format!("runs/{run}")).await;
    assert_eq!(half["moved"], 3);
    execute_sql(
        database,
        "UPDATE lead_transfer_runs SET status = 'running', leads_max = NULL, finished_at = NULL; \
         UPDATE lead_transfer_rules SET round = 0; \
         DELETE FROM notifications; DELETE FROM outbox_messages; \
         INSERT INTO leases (name, holder, expires_at) VALUES ('lead_transfer', 'gone', '2026-01-01 00:00:00')",
    );
    runner(database).work_off().await.unwrap();
    let ended = get(&office, &format!("runs/{run}")).await;
    assert_eq!(
        (&ended["status"], &ended["moved"]),
        (&json!("finished"), &json!(5))
    );
    assert!(office.inbox(&office.li).await[0].starts_with("您有 5 条线索"));
    assert_eq!(
        database.news().await,
        [
            "lead.auto_transfer_in wang: inbox wechat_cloud",
            "lead.auto_transfer_in zhou: inbox wechat_cloud",
            "lead.auto_transfer_out li: inbox wechat_cloud",
        ]
    );
    let rule = get(&office, &format!("rules/{id}")).await;
    let [(_, wang), (_, zhou)] = targets.map(|person| super::counters(&rule, person));
    assert_eq!(
        (wang + zhou, (wang - zhou).abs()),
        (5, 1),
        "fair over both halves"
    );
}

async fn of_two_runners_one_does_the_runs(database: &TestDatabase) {
    let office = Office::open(database).await;
    rule(&office, "规则", &[&office.li], &[&office.wang], json!({})).await;
    database.leads(30, &office.li).await;
    for _ in 0..3 {
        order(database, Some(10)).await;
    }
    let (one, other) = (runner(database), runner(database));
    let (one, other) = tokio::join!(one.work_off(), other.work_off());
    one.unwrap();
    other.unwrap();
    let runs = get(&office, "runs?status=finished").await;
    for run in runs["items"].as_array().unwrap() {
        assert_eq!((&run["moved"], &run["skipped"]), (&json!(10), &json!(0)));
    }
    assert_eq!(runs["total"], 3);
    // Nobody holds anything any more.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = Lease::acquire(database.database(), &clock, "lead_transfer")
        .await
        .unwrap();
    assert!(lease.is_some());
}

async fn an_hour_has_one_run(database: &TestDatabase) {
    let office = Office::open(database).await;
    let slot = crate::harness::moment();
    for _ in 0..2 {
        let order = NewRun {
            slot: Some(slot),
            rule: None,
            leads_max: None,
            by: None,
            request_id: RequestId::generate(),
        };
        database
            .write(move |transaction| enqueue_run(transaction, &order, slot))
            .await;
    }
    let runs = get(&office, "runs").await;
    assert_eq!(
        (&runs["total"], &runs["items"][0]["origin"]),
        (&json!(1), &json!("schedule"))
    );
    // Its window is judged by its hour, not by when it is made up for.
    let shut = json!({ "window": { "enabled": true, "start": "11:05", "end": "12:00" } });
    rule(&office, "后", &[&office.li], &[&office.wang], shut).await;
    let open = json!({ "window": { "enabled": true, "start": "11:00", "end": "11:05" } });
    rule(&office, "中", &[&office.li], &[&office.zhou], open).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    execute_sql(
        database,
        "UPDATE customers SET last_activity_at = '2025-12-01 00:00:00'",
    );
    runner(database).work_off().await.unwrap();
    assert_eq!(
        office.customer(&lead).await["assignedTo"],
        json!(office.zhou.id)
    );
}
