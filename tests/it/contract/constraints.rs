//! The tables themselves refuse what no verb would write: whoever edits a row by hand hears of it.

use diesel::prelude::*;
use shared::db::DbError;

use crate::harness::{TestDatabase, accepted, message, moment, on_each_database, relay};

on_each_database! {
    an_impossible_edit_of_a_waiting_message_is_refused_by_name,
    an_impossible_edit_of_a_leased_message_is_refused_by_name,
    an_impossible_edit_of_a_sent_message_is_refused_by_name,
    a_possible_edit_is_not_refused,
    a_pooled_customer_has_no_owner_and_every_customer_can_be_reached,
}

async fn edit(database: &TestDatabase, edit: &str) -> Result<(), DbError> {
    let sql = format!("UPDATE outbox_messages SET {edit}");
    database
        .database()
        .write(move |transaction| {
            diesel::sql_query(sql).execute(transaction.connection())?;
            Ok(())
        })
        .await
}

async fn assert_refused(database: &TestDatabase, cases: &[(&str, &str)]) {
    for (sql, constraint) in cases {
        let before = database.messages().await;
        match edit(database, sql).await {
            Err(DbError::Constraint(named)) => {
                assert!(named.contains(constraint), "{sql}: {named}");
            }
            other => panic!("{sql}: {other:?}"),
        }
        assert_eq!(database.messages().await, before, "{sql}");
    }
}

const MOMENT: &str = "'2026-01-02 03:04:05'";

async fn an_impossible_edit_of_a_waiting_message_is_refused_by_name(database: &TestDatabase) {
    database.enqueue(message()).await;
    assert_refused(
        database,
        &[
            ("claimed_by = 'a'", "outbox_lease_only_while_sending"),
            (
                &format!("lease_expires_at = {MOMENT}"),
                "outbox_lease_only_while_sending",
            ),
            ("status = 'sending'", "outbox_lease_only_while_sending"),
            ("status = 'failed'", "outbox_finished_in_final_states"),
            ("status = 'cancelled'", "outbox_finished_in_final_states"),
            (
                &format!("finished_at = {MOMENT}"),
                "outbox_finished_in_final_states",
            ),
            (&format!("sent_at = {MOMENT}"), "outbox_sent_at_when_sent"),
            (
                &format!("status = 'sent', finished_at = {MOMENT}"),
                "outbox_sent_at_when_sent",
            ),
            ("attempt = 3, fence = 3", "outbox_pending_has_attempts_left"),
            (
                &format!("delivered_at = {MOMENT}"),
                "outbox_delivered_only_when_sent",
            ),
            ("delivery_error = 'x'", "outbox_delivered_only_when_sent"),
        ],
    )
    .await;
    // Constraints without a name of their own go by that of their column.
    for sql in [
        "status = 'done'",
        "channel = 'sms'",
        "priority = 3",
        "priority = -1",
        "attempt = -1",
        "attempt = 1",
        "attempts_max = 0",
        "rescues = -1",
    ] {
        let answer = edit(database, sql).await;
        assert!(
            matches!(answer, Err(DbError::Constraint(_))),
            "{sql}: {answer:?}"
        );
    }
}

async fn an_impossible_edit_of_a_leased_message_is_refused_by_name(database: &TestDatabase) {
    database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    assert_refused(
        database,
        &[
            ("claimed_by = NULL", "outbox_lease_only_while_sending"),
            ("lease_expires_at = NULL", "outbox_lease_only_while_sending"),
            ("status = 'pending'", "outbox_lease_only_while_sending"),
            (
                &format!("finished_at = {MOMENT}"),
                "outbox_finished_in_final_states",
            ),
        ],
    )
    .await;
    database
        .settle(&relay("a"), &claimed, accepted(), moment())
        .await;
}

async fn an_impossible_edit_of_a_sent_message_is_refused_by_name(database: &TestDatabase) {
    database.enqueue(message()).await;
    let claimed = database.claim_one(&relay("a"), moment()).await;
    database
        .settle(&relay("a"), &claimed, accepted(), moment())
        .await;
    assert_refused(
        database,
        &[
            ("status = 'pending'", "outbox_"),
            ("status = 'failed'", "outbox_sent_at_when_sent"),
            ("finished_at = NULL", "outbox_finished_in_final_states"),
            ("sent_at = NULL", "outbox_sent_at_when_sent"),
            ("claimed_by = 'a'", "outbox_lease_only_while_sending"),
        ],
    )
    .await;
}

async fn a_possible_edit_is_not_refused(database: &TestDatabase) {
    database.enqueue(message()).await;
    for sql in [
        "priority = 0",
        "attempts_max = 20",
        &format!("due_at = {MOMENT}"),
        &format!("status = 'cancelled', finished_at = {MOMENT}"),
        "status = 'pending', finished_at = NULL",
        &format!(
            "status = 'sent', sent_at = {MOMENT}, finished_at = {MOMENT}, delivered_at = {MOMENT}"
        ),
    ] {
        edit(database, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

async fn a_pooled_customer_has_no_owner_and_every_customer_can_be_reached(database: &TestDatabase) {
    let insert = async |values: &str| {
        let sql = format!(
            "INSERT INTO customers (id, number, name, lead_source, contract_status, last_activity_at, \
             created_at, updated_at, phone, wechat_id, in_public_pool, assigned_to) VALUES \
             ('c', 'CUS00000000001', '王女士', '美团', '待定', {MOMENT}, {MOMENT}, {MOMENT}, {values})"
        );
        database
            .database()
            .write(move |transaction| {
                diesel::sql_query(
                    "INSERT INTO users (id, username, password_hash, name, role, created_at, updated_at) \
                     VALUES ('u', 'u', 'x', 'x', 'employee', '2026-01-02', '2026-01-02')",
                )
                .execute(transaction.connection())?;
                diesel::sql_query(sql).execute(transaction.connection())?;
                Ok::<_, DbError>(())
            })
            .await
    };
    for (values, constraint) in [
        ("NULL, NULL, FALSE, NULL", "customers_can_be_reached"),
        (
            "'13800138999', NULL, TRUE, 'u'",
            "customers_pooled_or_owned",
        ),
    ] {
        match insert(values).await {
            Err(DbError::Constraint(named)) => assert_eq!(named, constraint),
            other => panic!("{values}: {other:?}"),
        }
    }
    insert("NULL, 'wang', TRUE, NULL").await.unwrap();
}
