//! What becomes of speed and storage under a steady load.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::db::DatabaseUrl;
use shared::outbox::{Priority, enqueue};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use crate::arguments::Soak;
use crate::figures::{Durations, per_second, show_bytes, show_duration, show_rate};
use crate::message::new_message;
use crate::program::Program;
use crate::relay;
use crate::server::Server;
use crate::sink::Sink;
use crate::stage::Stage;
use crate::table::{self, say};

/// How often messages are enqueued: as many as this time's share of the rate.
const TICK: Duration = Duration::from_millis(10);
/// How many transactions may be open at once. Where the database is slower than the rate, the rate
/// falls and is reported.
const TRANSACTIONS_MAX: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);
/// How long the last messages may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each message was committed, by its number.
type Commits = Arc<Mutex<Vec<Option<Instant>>>>;

/// Measures, and prints a line a minute.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &Soak) -> anyhow::Result<()> {
    let sink = Sink::start(arguments.delay)?;
    let stage = Arc::new(Stage::open(url, arguments.recipients).await?);
    let relays = relay::start_ready(&stage, &sink, &arguments.relays).await?;
    say(&stage.describe()?);
    say(&format!(
        "{} messages a second for {} minute(s), {} relay(s)",
        arguments.rate, arguments.minutes, arguments.relays.relays
    ));

    let commits: Commits = Arc::default();
    let mut lines = Vec::new();
    let mut enqueued = 0;
    for minute in 1..=arguments.minutes {
        let (first, arrived_before) = (enqueued, sink.tally().distinct());
        let began_at = Instant::now();
        enqueued = enqueue_for_a_minute(&stage, arguments, &commits, enqueued).await?;
        let arrived = sink.tally().distinct() - arrived_before;
        let line = [
            minute.to_string(),
            show_rate(per_second(enqueued - first, began_at.elapsed())),
            show_rate(per_second(arrived, began_at.elapsed())),
            show_duration(latencies(&sink, &commits, first).percentile(0.5)),
            show_duration(latencies(&sink, &commits, first).percentile(0.99)),
            storage(&stage)?,
            memory(&relays)?,
        ];
        // Also at once: a long measurement that is broken off has been worth something.
        say(&line.join("  "));
        lines.push(line);
    }
    let asked_since = Instant::now();
    while sink.tally().distinct() < enqueued && asked_since.elapsed() < PATIENCE {
        tokio::time::sleep(TICK).await;
    }
    relay::stop(relays).await?;
    table::print(
        [
            "minute",
            "enqueued",
            "delivered",
            "p50",
            "p99",
            "storage",
            "relay memory",
        ],
        lines,
    );
    let count = sink.tally().count(0..enqueued);
    say(&count.to_string());
    Ok(())
}

/// Enqueues at the rate, each message in a transaction of its own. Answers the next number.
async fn enqueue_for_a_minute(
    stage: &Arc<Stage>,
    arguments: &Soak,
    commits: &Commits,
    first: usize,
) -> anyhow::Result<usize> {
    let open = Arc::new(Semaphore::new(TRANSACTIONS_MAX));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began_at = Instant::now();
    let mut next = first;
    while began_at.elapsed() < MINUTE {
        ticks.tick().await;
        let wanted = first + due(began_at.elapsed(), arguments.rate);
        while next < wanted {
            let permit = Arc::clone(&open).acquire_owned().await?;
            let (stage, commits, number) = (Arc::clone(stage), Arc::clone(commits), next);
            next += 1;
            tokio::spawn(async move {
                let now = stage.now();
                let message = new_message(number, stage.people(), Priority::High, now);
                let written = stage
                    .database()
                    .write(move |transaction| enqueue(transaction, vec![message], now))
                    .await;
                match written {
                    Ok(_) => remember(&commits, number),
                    Err(error) => log::error!("message {number} was not enqueued: {error}"),
                }
                drop(permit);
            });
        }
    }
    // Until all of them are committed.
    let all = u32::try_from(TRANSACTIONS_MAX)?;
    drop(open.acquire_many(all).await?);
    Ok(next)
}

/// How many messages should have been enqueued after this time.
fn due(elapsed: Duration, rate: u64) -> usize {
    let due = elapsed.as_millis() * u128::from(rate) / 1_000;
    usize::try_from(due).unwrap_or(usize::MAX)
}

fn remember(commits: &Commits, number: usize) {
    let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
    if commits.len() <= number {
        commits.resize(number + 1, None);
    }
    commits[number] = Some(Instant::now());
}

/// From the commit to the wire, of the messages from this number on that have arrived.
fn latencies(sink: &Sink, commits: &Commits, first: usize) -> Durations {
    let tally = sink.tally();
    let commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
    let latencies = commits.iter().enumerate().skip(first);
    Durations::new(
        latencies
            .filter_map(|(number, committed_at)| {
                let arrived_at = tally.first_arrival(number)?;
                Some(arrived_at.saturating_duration_since((*committed_at)?))
            })
            .collect(),
    )
}

fn storage(stage: &Stage) -> anyhow::Result<String> {
    if let Some(file) = stage.url().file() {
        let log = Path::new(&format!("{}-wal", file.display())).to_owned();
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        return Ok(format!(
            "{} + log {}",
            show_bytes(length(file)),
            show_bytes(length(&log))
        ));
    }
    let Some(mut server) = Server::of(stage.url())? else {
        return Ok("-".to_owned());
    };
    let size = server.table_size()?;
    Ok(format!(
        "{}, indexes {}, {} dead, {} vacuums",
        show_bytes(size.total.unsigned_abs()),
        show_bytes(size.indexes.unsigned_abs()),
        size.dead_rows,
        size.vacuums
    ))
}

fn memory(relays: &[Program]) -> anyhow::Result<String> {
    let memory = relays
        .iter()
        .map(|relay| Ok(show_bytes(relay.usage()?.memory)))
        .collect::<anyhow::Result<Vec<String>>>()?;
    Ok(memory.join(", "))
}
