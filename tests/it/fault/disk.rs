//! A disk that is full, until somebody makes room.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::db::DbConnection;

use crate::harness::{
    CONCURRENCY, Drain, SmallDisk, TestCluster, TestDatabase, TestProcess, backlog_size,
    eventually, lasting, stop_well,
};

/// Longer than a relay sends without being able to write down what it sends.
const FULL: Duration = Duration::from_secs(4);

/// There is always something more to be written, until it cannot be.
async fn until_noticed(drain: &mut Drain<'_>, relay: &TestProcess) {
    eventually("the relay has noticed", async || {
        drain.try_to_assign().await;
        relay.said().contains("the database does not answer")
    })
    .await;
}

/// A write-ahead log that has been long is used again from its beginning, and has room on a full
/// disk: this one has not.
async fn shorten_log(database: &TestDatabase) {
    #[derive(QueryableByName)]
    struct Checkpoint {
        #[diesel(sql_type = BigInt)]
        busy: i64,
    }
    let mut connection = database.connection();
    eventually("the log is empty", async || {
        let checkpoint: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)")
            .get_result(&mut connection)
            .unwrap();
        checkpoint.busy == 0
    })
    .await;
}

/// What relays have to write may find room in the pages of a full disk for a long time. The log
/// cannot be continued without a new file.
async fn use_up_log(drain: &mut Drain<'_>, administrator: &mut DbConnection) {
    eventually("the log cannot be continued", async || {
        drain.try_to_assign().await;
        diesel::sql_query("SELECT pg_switch_wal()")
            .execute(administrator)
            .is_err()
    })
    .await;
}

/// Megabytes: a message and what its updates leave behind take a few kilobytes.
fn room_for_a_long_run() -> usize {
    backlog_size() / 100
}

fn name_in_the_table(disk: &SmallDisk) -> String {
    format!("the database's disk is full ({})", disk.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_embedded_database_costs_nothing() {
    let disk = SmallDisk::of_megabytes(64 + room_for_a_long_run());
    let database = TestDatabase::sqlite_in(disk.path()).await;
    let mut drain = Drain::on(&database).await;
    let relays = [(); 2].map(|()| {
        TestProcess::start_despite_size_limits("outbox-relay", &drain.relay_arguments(&[]))
    });
    let writers = || relays.each_ref().map(TestProcess::pid).to_vec();
    drain.until_under_way().await;
    let mut incident = drain.incident(&name_in_the_table(&disk));
    shorten_log(&database).await;
    disk.fill(writers);
    for relay in &relays {
        until_noticed(&mut drain, relay).await;
    }
    lasting(FULL).await;
    disk.make_room(writers);
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well(relays);
}

/// A server that cannot write its log any more gives up; then somebody makes room and starts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_a_server_repeats_nothing() {
    let disk = SmallDisk::of_megabytes(192 + room_for_a_long_run());
    // Without a checkpoint no file of the log is used a second time.
    let cluster = TestCluster::start_in(
        disk.path(),
        &["max_wal_size = 4GB", "checkpoint_timeout = 1h"],
    );
    let database = TestDatabase::on_server(&cluster.url()).await;
    let mut drain = Drain::on(&database).await;
    let relays = [(); 2].map(|()| drain.relay(&["--lease", "10s", "--request-timeout", "2s"]));
    drain.until_under_way().await;
    let mut incident = drain
        .incident(&name_in_the_table(&disk))
        .interrupting(2 * CONCURRENCY);
    let mut administrator = database.connection();
    disk.fill(|| cluster.pids());
    use_up_log(&mut drain, &mut administrator).await;
    for relay in &relays {
        until_noticed(&mut drain, relay).await;
    }
    lasting(FULL).await;
    disk.make_room(|| cluster.pids());
    cluster.start_if_down();
    incident.is_over();
    let cost = drain.close_books(&incident).await;
    assert_eq!(
        cost.repeated, 0,
        "what was accepted was recorded in the end"
    );
    stop_well(relays);
}
