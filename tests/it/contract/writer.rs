//! The embedded database's one writer, when its shared transaction is taken away from it.

use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::schema::relays;
use shared::db::{DbConnection, DbError};
use shared::outbox;

use crate::harness::{TestDatabase, moment, relay};

/// What a full disk, a failing one or too little memory do by themselves.
const GIVE_UP_THE_TRANSACTION: &str = "INSERT OR ROLLBACK INTO relays SELECT * FROM relays";

fn as_a_batch(connection: &mut DbConnection) -> Result<(), DbError> {
    Ok(connection.batch_execute(GIVE_UP_THE_TRANSACTION)?)
}

/// The driver notices less of it on this way.
fn as_a_prepared_statement(connection: &mut DbConnection) -> Result<(), DbError> {
    diesel::sql_query(GIVE_UP_THE_TRANSACTION).execute(connection)?;
    Ok(())
}

fn as_a_swallowed_failure(connection: &mut DbConnection) -> Result<(), DbError> {
    assert!(as_a_prepared_statement(connection).is_err());
    Ok(())
}

fn with_a_panic(connection: &mut DbConnection) -> Result<(), DbError> {
    as_a_prepared_statement(connection).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_given_up_by_the_database_makes_no_answer_a_lie() {
    for fail in [
        as_a_batch,
        as_a_prepared_statement,
        as_a_swallowed_failure,
        with_a_panic,
    ] {
        let database = TestDatabase::sqlite().await;
        let register = |name: &'static str| {
            database.database().write(move |transaction| {
                outbox::register_relay(transaction, &relay(name), moment())
            })
        };
        // The first one keeps the writer busy until the others wait, so that all share a commit.
        let (all_wait, go_on) = mpsc::channel();
        let (first, before, failing, next, last, ()) = tokio::join!(
            biased;
            database.database().write(move |transaction| {
                go_on.recv().map_err(|e| DbError::Unavailable(e.to_string()))?;
                outbox::register_relay(transaction, &relay("r0"), moment())
            }),
            register("r1"),
            database.database().write(move |transaction| {
                outbox::register_relay(transaction, &relay("r2"), moment())?;
                fail(transaction.connection())
            }),
            register("r3"),
            register("r4"),
            async { all_wait.send(()).unwrap() },
        );
        assert!(failing.is_err(), "its change is gone");
        let told_written: Vec<String> = [first, before, failing, next, last]
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.is_ok())
            .map(|(number, _)| format!("r{number}"))
            .collect();
        assert_eq!(relay_names(&mut database.connection()), told_written);
        assert_eq!(told_written, ["r3", "r4"], "these had not begun");
        register("r5").await.unwrap();
    }
}

fn relay_names(connection: &mut DbConnection) -> Vec<String> {
    relays::table
        .order(relays::name)
        .select(relays::name)
        .load(connection)
        .unwrap()
}
