//! A connection that dies takes its own work with it and nothing else.

use std::net::TcpListener;
use std::time::Instant;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use shared::db::schema::relays;
use shared::db::{Database, DbConnection, DbError, PoolOptions};
use shared::outbox;

use crate::harness::{TestDatabase, TestProcess, eventually, moment, relay, seconds};

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

fn backend(connection: &mut DbConnection) -> Result<i32, DbError> {
    let backend: Backend =
        diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(connection)?;
    Ok(backend.pid)
}

fn kill(killer: &mut DbConnection, pid: i32) {
    // Waits until it is gone.
    diesel::sql_query("SELECT pg_terminate_backend($1, $2)")
        .bind::<Integer, _>(pid)
        .bind::<BigInt, _>(5_000)
        .execute(killer)
        .unwrap();
}

async fn database_with_one_connection(database: &TestDatabase) -> Database {
    let options = PoolOptions {
        connections_max: 1,
        wait_max: seconds(5),
    };
    Database::connect(database.url(), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_killed_between_two_uses_is_replaced() {
    let database = TestDatabase::postgres().await;
    let pooled = database_with_one_connection(&database).await;
    let first = pooled.run(backend).await.unwrap();
    kill(&mut database.connection(), first);
    // One caller may notice it; the next one must not.
    if let Err(error) = pooled.run(backend).await {
        assert!(matches!(error, DbError::Unavailable(_)), "{error}");
    }
    let second = pooled.run(backend).await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_killed_within_a_transaction_writes_nothing_and_is_replaced() {
    let database = TestDatabase::postgres().await;
    let pooled = database_with_one_connection(&database).await;
    let mut killer = database.connection();
    let error = pooled
        .write(move |transaction| {
            outbox::register_relay(transaction, &relay("lost"), moment())?;
            let own = backend(transaction.connection())?;
            kill(&mut killer, own);
            outbox::register_relay(transaction, &relay("lost-too"), moment())
        })
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::Unavailable(_)), "{error}");
    pooled
        .write(|transaction| outbox::register_relay(transaction, &relay("kept"), moment()))
        .await
        .unwrap();
    let names: Vec<String> = relays::table
        .select(relays::name)
        .load(&mut database.connection())
        .unwrap();
    assert_eq!(names, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_recovers_from_a_server_that_dropped_every_connection() {
    let database = TestDatabase::postgres().await;
    let pooled = Database::connect(database.url(), PoolOptions::default())
        .await
        .unwrap();
    for _ in 0..3 {
        let uses = (0..8).map(|_| {
            let pooled = pooled.clone();
            tokio::spawn(async move { pooled.run(backend).await })
        });
        let mut backends = Vec::new();
        for one in uses.collect::<Vec<_>>() {
            backends.extend(one.await.unwrap());
        }
        let mut killer = database.connection();
        for pid in backends {
            kill(&mut killer, pid);
        }
    }
    eventually("every connection works again", async || {
        pooled.run(backend).await.is_ok()
    })
    .await;
}

/// A server that takes connections and never says a word: a stopped process, a dead host behind a
/// proxy.
struct SilentServer(TcpListener);

impl SilentServer {
    fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts a program on it that gives up after `database_wait`.
    fn tried_by(&self, program: &str, database_wait: &str) -> TestProcess {
        let url = format!(
            "postgres://yizhan:geheim@{}/x",
            self.0.local_addr().unwrap()
        );
        let mut arguments = vec!["--database-url", &url, "--database-wait", database_wait];
        arguments.extend(["--listen", "127.0.0.1:0"]);
        if program == "crm-api" {
            arguments.extend([
                "--jwt-secret",
                "a signing secret for tests, longer than 32 bytes",
            ]);
        }
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        TestProcess::start(program, &arguments)
    }
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_start_up_for_ever() {
    let server = SilentServer::start();
    let began_at = Instant::now();
    let programs = ["outbox-relay", "crm-api"].map(|program| server.tried_by(program, "1s"));
    for program in programs {
        let ended = program.end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
        assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
        assert!(ended.said.contains("timeout expired"), "{}", ended.said);
        assert!(!ended.said.contains("geheim"), "{}", ended.said);
    }
    assert!(began_at.elapsed() < seconds(10), "{:?}", began_at.elapsed());
}

#[test]
fn a_program_that_waits_for_a_silent_server_ends_when_asked_to() {
    let server = SilentServer::start();
    for program in ["outbox-relay", "crm-api"] {
        let waiting = server.tried_by(program, "60s");
        // Kept open: it is to wait for an answer.
        let _connection = server.0.accept().unwrap();
        let asked_at = Instant::now();
        let ended = waiting.terminate();
        assert!(ended.status.success(), "{}", ended.said);
        assert!(
            asked_at.elapsed() < seconds(4),
            "{program} took {:?}",
            asked_at.elapsed()
        );
    }
}
