//! Messages that wait, and relays that deliver them.

use std::time::{Duration, Instant};

use anyhow::bail;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::db::DbConnection;

use crate::arguments::Delivery;
use crate::meter::{Meter, Used};
use crate::program::Program;
use crate::relay;
use crate::sink::{Count, Sink};
use crate::stage::Stage;

/// How long nothing may arrive before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two looks at the sink.
const SINK_LOOKED_AT_EVERY: Duration = Duration::from_millis(2);
/// How long between two looks at the table, each a query.
const TABLE_LOOKED_AT_EVERY: Duration = Duration::from_millis(5);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// All messages have arrived.
    Arrived,
    /// All messages have arrived, and nothing in the table is pending or leased.
    Settled,
}

/// How a delivery went.
pub struct Delivered {
    /// From the start of the programs to the first request.
    pub start_up: Duration,
    /// From the first request to the last answer.
    pub on_the_wire: Duration,
    /// From the first request until nothing was pending or leased; none if not waited for.
    pub settled: Option<Duration>,
    /// What arrived of what was sent.
    pub count: Count,
    /// All that arrived while it was measured, whatever it was.
    pub requests: usize,
    /// Status → rows.
    pub statuses: Vec<(String, i64)>,
    /// What used how much.
    pub used: Vec<Used>,
}

/// Starts relays on `stage`, where the messages 0 to `delivery.rows` wait already, and lets them
/// deliver.
///
/// # Errors
/// If a program fails, or nothing arrives for a minute.
pub async fn deliver(
    stage: &Stage,
    sink: &Sink,
    delivery: &Delivery,
    until: Until,
) -> anyhow::Result<Delivered> {
    sink.clear();
    let mut connection = stage.connection()?;
    let meter = Meter::start(stage, &[])?;

    let started_at = Instant::now();
    let relays = relay::start(stage, sink, &delivery.relays, Some(delivery.in_flight))?;
    until_arrived(sink, delivery.rows, &relays).await?;
    let (first_request, on_the_wire, requests) = {
        let tally = sink.tally();
        (tally.first_request(), tally.span(), tally.requests())
    };
    let first_request = first_request.unwrap_or(started_at);
    let settled = match until {
        Until::Arrived => None,
        Until::Settled => {
            until_settled(&mut connection, &relays).await?;
            Some(first_request.elapsed())
        }
    };

    let used = meter.read(&relays)?;
    relay::stop(relays).await?;
    let count = sink.tally().count(0..delivery.rows);
    Ok(Delivered {
        start_up: first_request - started_at,
        on_the_wire,
        settled,
        count,
        requests,
        statuses: statuses(&mut connection)?,
        used,
    })
}

async fn until_arrived(sink: &Sink, rows: usize, relays: &[Program]) -> anyhow::Result<()> {
    let mut arrived = 0;
    let mut last_news = Instant::now();
    loop {
        let now_arrived = sink.tally().distinct();
        if now_arrived == rows {
            return Ok(());
        }
        if now_arrived > arrived {
            arrived = now_arrived;
            last_news = Instant::now();
        }
        if last_news.elapsed() > PATIENCE {
            bail!(
                "{arrived} of {rows} messages have arrived, and no more for {} s; {}",
                PATIENCE.as_secs(),
                words(relays)
            );
        }
        tokio::time::sleep(SINK_LOOKED_AT_EVERY).await;
    }
}

async fn until_settled(connection: &mut DbConnection, relays: &[Program]) -> anyhow::Result<()> {
    let asked_since = Instant::now();
    while unsettled(connection)? > 0 {
        if asked_since.elapsed() > PATIENCE {
            bail!("not everything is settled; {}", words(relays));
        }
        tokio::time::sleep(TABLE_LOOKED_AT_EVERY).await;
    }
    Ok(())
}

fn words(relays: &[Program]) -> String {
    let said: Vec<String> = relays.iter().map(Program::last_words).collect();
    said.join("\n")
}

#[derive(QueryableByName)]
struct StatusCount {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Of the rows that are pending or leased, two at most: whether there are any is in the indexes.
fn unsettled(connection: &mut DbConnection) -> anyhow::Result<usize> {
    let found: Vec<StatusCount> = diesel::sql_query(
        "SELECT * FROM (SELECT status, CAST(1 AS BIGINT) AS rows FROM outbox_messages WHERE status = 'pending' LIMIT 1) p \
         UNION ALL \
         SELECT * FROM (SELECT status, CAST(1 AS BIGINT) AS rows FROM outbox_messages WHERE status = 'sending' LIMIT 1) s",
    )
    .load(connection)?;
    Ok(found.len())
}

fn statuses(connection: &mut DbConnection) -> anyhow::Result<Vec<(String, i64)>> {
    let counted: Vec<StatusCount> = diesel::sql_query(
        "SELECT status, count(*) AS rows FROM outbox_messages GROUP BY status ORDER BY status",
    )
    .load(connection)?;
    Ok(counted
        .into_iter()
        .map(|line| (line.status, line.rows))
        .collect())
}
