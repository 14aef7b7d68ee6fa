//! A database server that goes away, cuts connections, or has none left.
//!
//! The embedded database is a file: it does not restart, and no connection to it can be refused.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::db::DbConnection;

use crate::harness::{
    CONCURRENCY, Drain, Stop, TestCluster, TestDatabase, TestProcess, eventually, lasting,
    stop_well,
};

/// A claim may stand whose confirmation was lost with the connection. Nobody knows of it until its
/// lease ends, which is a minute in production.
const SHORT_LEASE: [&str; 4] = ["--lease", "10s", "--request-timeout", "2s"];

/// As many messages as two relays have in hand: so many claims can be lost in that way.
const IN_HAND: usize = 2 * CONCURRENCY;

/// A server is away for this long, and relays have no connection.
const AWAY: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_loses_no_committed_assignment() {
    restart("the database is restarted", Stop::Fast).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_loses_no_committed_assignment() {
    restart("the database crashes and is started again", Stop::Crash).await;
}

async fn restart(name: &str, how: Stop) {
    let cluster = Arc::new(TestCluster::start(&[]));
    let database = TestDatabase::on_server(&cluster.url()).await;
    let mut drain = Drain::on(&database).await;
    let relays = [(); 2].map(|()| drain.relay(&SHORT_LEASE));
    drain.until_under_way().await;
    let mut incident = drain.incident(name).interrupting(IN_HAND);
    // Assignments are being committed at the moment it happens.
    let stopped = tokio::task::spawn_blocking({
        let cluster = Arc::clone(&cluster);
        move || cluster.stop(how)
    });
    while drain.try_to_assign().await {}
    stopped.await.unwrap();
    lasting(AWAY).await;
    cluster.start_again();
    incident.is_over();
    eventually("assignments are committed again", async || {
        drain.try_to_assign().await
    })
    .await;
    let cost = drain.close_books(&incident).await;
    assert_eq!(
        cost.repeated, 0,
        "what was accepted was recorded in the end"
    );
    stop_well(relays);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_under_load_repeat_nothing() {
    const CUTS: usize = 8;
    let database = TestDatabase::postgres().await;
    let mut drain = Drain::on(&database).await;
    let connections = RelayConnections::of(&database);
    let relays = [(); 2].map(|()| drain.relay(&connections.and(&SHORT_LEASE)));
    drain.until_under_way().await;
    // Each cut can lose the confirmation of one claim of each relay.
    let mut incident = drain
        .incident("the database cuts all connections eight times")
        .interrupting(CUTS * IN_HAND);
    let mut administrator = database.connection();
    for _ in 0..CUTS {
        // However fast they are, there is something left.
        drain.assign(40).await;
        connections.cut(&mut administrator);
        drain.until_more_are_accepted(20).await;
    }
    incident.is_over();
    let cost = drain.close_books(&incident).await;
    assert_eq!(
        cost.repeated, 0,
        "what was accepted was recorded in the end"
    );
    stop_well(relays);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_no_connection_left_is_waited_for() {
    let cluster = TestCluster::start(&["max_connections = 40"]);
    let database = TestDatabase::on_server(&cluster.url()).await;
    let drain = Drain::on(&database).await;
    let connections = RelayConnections::of(&database);
    let few = connections.and(&[&["--database-pool-size", "2"], &SHORT_LEASE[..]].concat());
    let relays = [(); 2].map(|()| drain.relay(&few));
    drain.until_under_way().await;
    let mut incident = drain
        .incident("the database has no connection left for 4 s")
        .interrupting(IN_HAND);
    let mut administrator = database.connection();
    let mut taken = Vec::new();
    // They stand still for the moment in which it is decided who gets the connections.
    relays.iter().for_each(TestProcess::freeze);
    eventually("the relays have no connection any more", async || {
        connections.cut(&mut administrator);
        taken.extend(std::iter::from_fn(|| {
            DbConnection::establish(database.url()).ok()
        }));
        connections.count(&mut administrator) == 0
    })
    .await;
    relays.iter().for_each(TestProcess::thaw);
    lasting(AWAY).await;
    drop(taken);
    incident.is_over();
    let cost = drain.close_books(&incident).await;
    assert_eq!(
        cost.repeated, 0,
        "what was accepted was recorded in the end"
    );
    stop_well(relays);
}

/// The connections that relays have, which say so; not those of the test.
struct RelayConnections {
    url: String,
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl RelayConnections {
    fn of(database: &TestDatabase) -> Self {
        let url = database.url().reveal();
        let (server, test) = url.rsplit_once("application_name=").unwrap();
        let name = format!("relay_of_{test}");
        Self {
            url: format!("{server}application_name={name}"),
            name,
        }
    }

    /// What relays are started with.
    fn and<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--database-url", self.url.as_str()], more].concat()
    }

    /// Ends all of them at once.
    fn cut(&self, administrator: &mut DbConnection) {
        self.query(administrator, "count(pg_terminate_backend(pid))");
    }

    fn count(&self, administrator: &mut DbConnection) -> i64 {
        self.query(administrator, "count(*)")
    }

    fn query(&self, administrator: &mut DbConnection, what: &str) -> i64 {
        let query =
            format!("SELECT {what} AS count FROM pg_stat_activity WHERE application_name = $1");
        let answer: Count = diesel::sql_query(query)
            .bind::<Text, _>(&self.name)
            .get_result(administrator)
            .unwrap();
        answer.count
    }
}
