//! How long after a commit the message is on the wire, while nothing else happens.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::bail;
use rand::RngExt;
use shared::db::DatabaseUrl;
use shared::outbox::{Priority, enqueue};

use crate::arguments;
use crate::figures::{Durations, ratio, show_duration, show_ratio};
use crate::limit::listener::{Listener, Signaller};
use crate::message::new_message;
use crate::relay;
use crate::sink::{Count, Sink};
use crate::stage::Stage;
use crate::table::{self, say};

/// How many people messages are for, in turn: nobody is busy when the next one comes.
const RECIPIENTS: usize = 100;
/// How long between two messages, in microseconds: long enough that the last one is settled.
const PAUSE_MICROSECONDS: Range<u64> = 5_000..30_000;
/// How long the last messages may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];

/// When a message was written.
struct Sample {
    /// Before its transaction began.
    asked_at: Instant,
    /// When the process that wrote it knew of the commit.
    committed_at: Instant,
}

/// How long messages took.
struct Latencies {
    from_commit: Durations,
    from_enqueue: Durations,
    count: Count,
}

/// Measures and prints.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Latency) -> anyhow::Result<()> {
    let sink = Sink::start(Duration::ZERO)?;
    let stage = Stage::open(url, RECIPIENTS).await?;

    let listener = Listener::start(&stage, &sink)?;
    let mut signaller = Signaller::new(&stage)?;
    let limit = measure(&stage, &sink, arguments.samples, Some(&mut signaller)).await?;
    listener.stop()?;

    // A new stage: what the listener has leased would be taken back and sent again.
    drop(stage);
    let stage = Stage::open(url, RECIPIENTS).await?;
    let relays = relay::start_ready(&stage, &sink, &arguments.relays).await?;
    let ours = measure(&stage, &sink, arguments.samples, None).await?;
    relay::stop(relays).await?;

    say(&stage.describe()?);
    say(&format!(
        "{} messages, one every {} to {} ms, {} relay(s)",
        ours.from_commit.len(),
        PAUSE_MICROSECONDS.start / 1_000,
        PAUSE_MICROSECONDS.end / 1_000,
        arguments.relays.relays
    ));
    let line = |name: &str, ours: &Durations, limit: &Durations, share: f64| {
        let (ours, limit) = (ours.percentile(share), limit.percentile(share));
        [
            name.to_owned(),
            show_duration(ours),
            show_duration(limit),
            show_ratio(ratio(ours.as_secs_f64(), limit.as_secs_f64())),
        ]
    };
    let from_commit = SHARES.map(|(name, share)| {
        let name = format!("commit to wire, {name}");
        line(&name, &ours.from_commit, &limit.from_commit, share)
    });
    let from_enqueue = SHARES.map(|(name, share)| {
        let name = format!("enqueue to wire, {name}");
        line(&name, &ours.from_enqueue, &limit.from_enqueue, share)
    });
    table::print(
        [
            "latency",
            "ours",
            "limit (a thread that only claims and sends)",
            "ratio",
        ],
        from_commit.into_iter().chain(from_enqueue),
    );
    say(&ours.count.to_string());
    Ok(())
}

async fn measure(
    stage: &Stage,
    sink: &Sink,
    samples: usize,
    mut signaller: Option<&mut Signaller>,
) -> anyhow::Result<Latencies> {
    sink.clear();
    let mut written = Vec::with_capacity(samples);
    for number in 0..samples {
        let pause = rand::rng().random_range(PAUSE_MICROSECONDS);
        tokio::time::sleep(Duration::from_micros(pause)).await;
        let now = stage.now();
        let message = new_message(number, stage.people(), Priority::High, now);
        let asked_at = Instant::now();
        stage
            .database()
            .write(move |transaction| enqueue(transaction, vec![message], now))
            .await?;
        let committed_at = Instant::now();
        if let Some(signaller) = &mut signaller {
            signaller.signal()?;
        }
        written.push(Sample {
            asked_at,
            committed_at,
        });
    }
    until_arrived(sink, samples).await?;

    let tally = sink.tally();
    let since = |at: fn(&Sample) -> Instant| {
        let latencies = written.iter().enumerate().filter_map(|(number, sample)| {
            // The request may be faster than the answer to the commit.
            Some(
                tally
                    .first_arrival(number)?
                    .saturating_duration_since(at(sample)),
            )
        });
        Durations::new(latencies.collect())
    };
    Ok(Latencies {
        from_commit: since(|sample| sample.committed_at),
        from_enqueue: since(|sample| sample.asked_at),
        count: tally.count(0..samples),
    })
}

async fn until_arrived(sink: &Sink, samples: usize) -> anyhow::Result<()> {
    let asked_since = Instant::now();
    while sink.tally().distinct() < samples {
        if asked_since.elapsed() > PATIENCE {
            bail!(
                "{} of {samples} messages have arrived",
                sink.tally().distinct()
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
