//! Hosts whose clocks are wrong.
//!
//! The embedded database is a file of one host, and takes the time from it; its processes cannot
//! have different clocks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::{Drain, TestDatabase, TestProcess, eventually, lasting, stop_well};

const TEN_MINUTES: i64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn relays_whose_clocks_are_wrong_go_by_the_clock_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let wrong_clock = build_wrong_clock(folder.path());
    let database = TestDatabase::postgres().await;
    let mut drain = Drain::on(&database).await;
    let arguments = drain.relay_arguments(&[]);
    let relays = [TEN_MINUTES, -TEN_MINUTES, 0].map(|seconds| {
        let off = seconds.to_string();
        let environment = [
            ("LD_PRELOAD", wrong_clock.as_str()),
            ("WRONG_CLOCK_SECONDS", &off),
        ];
        let relay = TestProcess::start_with("outbox-relay", &arguments, &environment);
        (relay, TimeDelta::seconds(seconds))
    });
    let mut incident = drain.incident("two of three relays' clocks are ten minutes off");
    drain.until_under_way().await;
    for (relay, off) in &relays {
        let shown = time_of_first_line(relay).await;
        let difference = shown - Utc::now() - *off;
        assert!(difference.abs() < TimeDelta::seconds(60), "{difference}");
    }
    incident.is_over();
    // For longer than it takes until a relay that seems silent is taken for dead.
    for _ in 0..3 {
        drain.assign(400).await;
        drain.until_more_are_accepted(200).await;
        lasting(Duration::from_secs(2)).await;
    }
    drain.close_books(&incident).await;
    for (relay, _) in relays {
        stop_well([relay]);
    }
}

/// What a relay's log says that it is.
async fn time_of_first_line(relay: &TestProcess) -> DateTime<Utc> {
    eventually("the relay says something", async || {
        !relay.said().is_empty()
    })
    .await;
    let said = relay.said();
    let stamp = said
        .split([' ', '['])
        .find(|word| !word.is_empty())
        .unwrap();
    DateTime::parse_from_rfc3339(stamp)
        .unwrap_or_else(|error| panic!("{error}: {said}"))
        .to_utc()
}

/// Building the services needs a C compiler too.
fn build_wrong_clock(folder: &Path) -> String {
    let library = folder.join("wrong_clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/fault/wrong_clock.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .output()
        .expect("a C compiler named cc");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    library.to_str().unwrap().to_owned()
}
