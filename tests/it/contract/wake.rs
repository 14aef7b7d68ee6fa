use diesel::connection::SimpleConnection;
use shared::db::{Database, PoolOptions, Topic};

use crate::harness::{TestDatabase, message, on_each_database};

on_each_database!(a_committed_message_wakes_listeners_of_another_process);

/// A pool of its own, as another process has it.
async fn other_process(database: &TestDatabase) -> Database {
    Database::connect(database.url(), PoolOptions::default())
        .await
        .unwrap()
}

async fn a_committed_message_wakes_listeners_of_another_process(database: &TestDatabase) {
    let other = other_process(database).await;
    let (mut one, mut two) = (
        other.listen(Topic::Outbox).await.unwrap(),
        other.listen(Topic::Outbox).await.unwrap(),
    );
    for _ in 0..3 {
        database.enqueue(message()).await;
        // Ends when the signal comes; the test runner's patience ends it otherwise.
        one.changed().await.unwrap();
        two.changed().await.unwrap();
    }
}

/// Only where a listener's connection leads to a server.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_goes_on_after_its_connection_was_cut() {
    let database = TestDatabase::postgres().await;
    let mut woken = other_process(&database)
        .await
        .listen(Topic::Outbox)
        .await
        .unwrap();
    database.connection().batch_execute(CUT_LISTENERS).unwrap();
    // Reconnecting wakes once by itself: something may have been missed.
    woken.changed().await.unwrap();
    database.enqueue(message()).await;
    woken.changed().await.unwrap();
}

/// The listeners of this test's own URL.
const CUT_LISTENERS: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
    WHERE application_name = current_setting('application_name') AND query LIKE 'LISTEN%'";
