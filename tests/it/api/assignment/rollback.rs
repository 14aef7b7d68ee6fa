use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Answer, TestDatabase, on_each_database, refuse_inserts};

on_each_database!(
    an_outbox_that_refuses_leaves_nothing_of_an_assignment,
    a_notification_centre_that_refuses_leaves_nothing_of_an_assignment,
    an_operation_log_that_refuses_leaves_nothing_of_an_assignment,
    a_history_that_refuses_leaves_nothing_of_an_assignment,
);

async fn an_outbox_that_refuses_leaves_nothing_of_an_assignment(database: &TestDatabase) {
    nothing_remains(database, "outbox_messages").await;
}

async fn a_notification_centre_that_refuses_leaves_nothing_of_an_assignment(
    database: &TestDatabase,
) {
    nothing_remains(database, "notifications").await;
}

async fn an_operation_log_that_refuses_leaves_nothing_of_an_assignment(database: &TestDatabase) {
    nothing_remains(database, "operation_logs").await;
}

async fn a_history_that_refuses_leaves_nothing_of_an_assignment(database: &TestDatabase) {
    nothing_remains(database, "assignments").await;
}

/// Tries every entrance while one of the tables takes no rows.
async fn nothing_remains(database: &TestDatabase, table: &str) {
    let office = Office::open(database).await;
    let lead = database.lead("王女士", "13800138999", &office.li).await;
    let pooled = database.pooled_leads(2).await;
    let thousand = database.leads(1_000, &office.li).await;
    refuse_inserts(database, table);
    let before = database.contents().await;

    let to_wang = json!({ "assignedTo": office.wang.id });
    let mini_program = format!("/api/customers/miniprogram/{lead}/assign");
    let new = json!({
        "name": "赵先生", "phone": "13900139000", "leadSource": "美团", "assignedTo": office.wang.id,
    });
    failed(&office.assign(&office.zhang, &lead, &office.wang).await);
    failed(
        &office
            .api
            .patch(&office.zhang, &mini_program, &to_wang)
            .await,
    );
    failed(&office.batch(&office.zhang, &thousand, &office.wang).await);
    failed(
        &office
            .assign_from_pool(&office.zhang, &pooled, &office.wang)
            .await,
    );
    failed(&office.api.post(&office.zhang, "/api/customers", &new).await);
    database.assert_unchanged_since(&before).await;
}

/// It says nothing of the cause.
#[track_caller]
fn failed(answer: &Answer) {
    assert_eq!(answer.said(), (500, "服务器内部错误"));
    assert_eq!(answer.body["error"], json!({ "code": "INTERNAL_ERROR" }));
    assert_eq!(answer.body["data"], Value::Null);
}
