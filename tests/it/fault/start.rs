use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use outbox_relay::relay::Until;

use crate::harness::{RelayStage, TestDatabase, TestProcess, eventually, on_each_database, run};

on_each_database!(
    a_schema_that_is_too_new_is_refused_in_one_sentence,
    a_schema_that_is_behind_is_waited_for,
    a_busy_port_is_named_with_the_way_out,
    the_health_endpoints_answer,
    half_a_request_on_the_health_port_does_not_keep_a_relay_from_stopping,
);

async fn a_schema_that_is_too_new_is_refused_in_one_sentence(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    database
        .connection()
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231235959')")
        .unwrap();
    let ended = run(
        "outbox-relay",
        &stage.relay_arguments(&["--database-wait", "60s"]),
    );
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended
            .said
            .contains("the database schema (20991231235959) is newer than this program"),
        "{}",
        ended.said
    );
}

async fn a_schema_that_is_behind_is_waited_for(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let mut connection = database.connection();
    shared::db::migrations::revert_all(&mut connection).unwrap();
    let relay = TestProcess::start(
        "outbox-relay",
        &stage.relay_arguments(&["--database-wait", "60s"]),
    );
    eventually("the relay says what it waits for", async || {
        relay.said().contains("run `crm-api migrate`")
    })
    .await;
    shared::db::migrations::run(&mut connection).unwrap();
    eventually("the relay has started", async || {
        relay.said().contains("started on")
    })
    .await;
    assert!(relay.terminate().status.success());
}

async fn a_busy_port_is_named_with_the_way_out(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(
        "outbox-relay",
        &stage.relay_arguments(&["--listen", &address]),
    );
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.said.contains(&format!("cannot listen on {address}")),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("RELAY_LISTEN"), "{}", ended.said);
}

async fn the_health_endpoints_answer(database: &TestDatabase) {
    let stage = RelayStage::on(database).await;
    let employee = stage.employee().await;
    stage
        .assign(&[employee.id], &[shared::domain::Channel::WechatSubscribe])
        .await;
    let relay = stage
        .relay_with(&["--listen", "127.0.0.1:0"], Until::Stopped)
        .await;
    stage.until_status(shared::outbox::Status::Sent, 1).await;
    let address = relay.address().unwrap();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(get("/readyz").await, (200, "ready\n".to_owned()));
    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        metrics.contains(
            r#"yizhan_relay_attempts_total{channel="wechat_subscribe",verdict="accepted"} 1"#
        ),
        "{metrics}"
    );
    relay.stop().await;
}

async fn half_a_request_on_the_health_port_does_not_keep_a_relay_from_stopping(
    database: &TestDatabase,
) {
    let stage = RelayStage::on(database).await;
    let relay = stage
        .relay_with(&["--listen", "127.0.0.1:0"], Until::Stopped)
        .await;
    let mut client = std::net::TcpStream::connect(relay.address().unwrap()).unwrap();
    client
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    let stopping_since = Instant::now();
    relay.stop().await;
    assert!(stopping_since.elapsed() < Duration::from_secs(5));
    drop(client);
}

#[test]
fn a_mistyped_database_url_is_refused_with_the_way_out() {
    for (url, problem) in [
        ("postgres:yizhan:geheim@host", "must be followed by //"),
        ("mysql://x/y", "unknown scheme"),
        ("yizhan.db", "no scheme"),
    ] {
        let ended = run(
            "outbox-relay",
            &["--database-url".to_owned(), url.to_owned()],
        );
        assert!(!ended.status.success());
        assert!(
            ended.said.contains(problem) && ended.said.contains("write sqlite:"),
            "{}",
            ended.said
        );
    }
}

#[test]
fn a_database_that_cannot_be_had_ends_the_start_after_the_configured_time() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (url, problem) in [
        (
            "sqlite:/no/such/dir/x.db".to_owned(),
            "the folder /no/such/dir does not exist".to_owned(),
        ),
        (
            format!("postgres://nobody:geheim@{free}/x"),
            format!("postgres://nobody@{free}/x"),
        ),
    ] {
        let started = Instant::now();
        let arguments = ["--database-url", &url, "--database-wait", "1s"].map(str::to_owned);
        let ended = run("outbox-relay", &arguments);
        assert_eq!(ended.status.code(), Some(1));
        assert!(
            started.elapsed() >= Duration::from_secs(1),
            "it waits as long as it was told"
        );
        assert!(
            ended.said.contains("waiting for the database"),
            "{}",
            ended.said
        );
        assert!(
            ended.said.contains(&problem) && !ended.said.contains("geheim"),
            "{}",
            ended.said
        );
    }
}
