//! A queue with nothing to it: one narrow table, one index, claims of 500, settlements in batches. It
//! keeps no lease, no order, no attempts, renders nothing and asks for nobody's address. What is left is
//! what any queue in a database has to do: write every message twice, and wait for the disk.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text};
use reqwest::Url;
use shared::db::{DatabaseUrl, DbConnection};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::assignment::in_transaction;
use super::raw_loop;
use crate::message;
use crate::sink::Sink;
use crate::stage::Stage;

/// As many as did best when this was measured: claims of a hundred cost a quarter.
const CLAIMED_AT_ONCE: usize = 500;
/// More are claimed when fewer than this are in hand.
const IN_HAND_MIN: usize = 1_000;
/// Rows filled in by one statement.
const FILLED_AT_ONCE: usize = 500;

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = Integer)]
    id: i32,
    #[diesel(sql_type = Text)]
    body: String,
}

/// Sends messages that wait in a table made for it, and answers from the first request until all are
/// settled.
///
/// # Errors
/// If the database fails or a message is not taken.
pub async fn run(
    stage: &Stage,
    sink: &Sink,
    messages: usize,
    in_flight: u32,
) -> anyhow::Result<Duration> {
    stage.execute(filled_table(messages, stage.url())).await?;
    sink.clear();
    let (claimed, waiting) = unbounded_channel();
    let (sent, answered) = mpsc::channel();
    let url = raw_loop::address(sink)?;
    let sender = thread::spawn(move || send(&url, waiting, &sent, in_flight));
    let database = stage.url().clone();
    let kept =
        tokio::task::spawn_blocking(move || keep_queue(&database, messages, &claimed, &answered))
            .await?;
    let sent = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
    let settled_at = match (kept, sent) {
        (Ok(settled_at), Ok(())) => settled_at,
        (Err(error), Ok(())) | (Ok(_), Err(error)) => return Err(error),
        // Whichever ended first took the other one with it.
        (Err(queue), Err(sender)) => bail!("the queue: {queue:#}; its sender: {sender:#}"),
    };
    let first_request = {
        let tally = sink.tally();
        ensure!(tally.requests() == messages, "the queue was not counted");
        tally.first_request().context("nothing was sent")?
    };
    sink.clear();
    Ok(settled_at - first_request)
}

fn filled_table(messages: usize, url: &DatabaseUrl) -> Vec<String> {
    let mut statements = vec![
        "CREATE TABLE bare_queue (id INTEGER PRIMARY KEY, state SMALLINT NOT NULL, body TEXT NOT NULL)"
            .to_owned(),
        "CREATE INDEX bare_queue_waiting ON bare_queue (id) WHERE state = 0".to_owned(),
    ];
    for from in (0..messages).step_by(FILLED_AT_ONCE) {
        let rows = (from..messages.min(from + FILLED_AT_ONCE))
            .map(|number| format!("({number}, 0, '{}')", message::body(number)));
        let rows = rows.collect::<Vec<_>>().join(", ");
        statements.push(format!("INSERT INTO bare_queue VALUES {rows}"));
    }
    if url.is_embedded() {
        statements.push("PRAGMA wal_checkpoint(TRUNCATE)".to_owned());
    } else {
        statements.extend(["VACUUM (ANALYZE) bare_queue", "CHECKPOINT"].map(str::to_owned));
    }
    statements
}

/// Settles what was answered and claims the next, in one transaction after the other. Answers when all
/// was settled.
fn keep_queue(
    url: &DatabaseUrl,
    messages: usize,
    claimed: &UnboundedSender<Waiting>,
    answered: &mpsc::Receiver<i32>,
) -> anyhow::Result<Instant> {
    let mut connection = DbConnection::establish(url)?;
    let (mut unclaimed, mut in_hand) = (messages, 0);
    while unclaimed + in_hand > 0 {
        let mut done: Vec<i32> = answered.try_iter().collect();
        let claims = unclaimed > 0 && in_hand - done.len() < IN_HAND_MIN;
        if done.is_empty() && !claims {
            done.push(answered.recv().context("the sender has ended")?);
        }
        let mut next = Vec::new();
        in_transaction(&mut connection, |connection| {
            if !done.is_empty() {
                settle(connection, &done)?;
            }
            if claims {
                next = claim(connection)?;
            }
            Ok(())
        })?;
        in_hand = in_hand + next.len() - done.len();
        unclaimed -= next.len();
        for message in next {
            claimed.send(message)?;
        }
    }
    Ok(Instant::now())
}

fn claim(connection: &mut DbConnection) -> QueryResult<Vec<Waiting>> {
    let claim = |lock: &str| {
        diesel::sql_query(format!(
            "UPDATE bare_queue SET state = 1 WHERE id IN (SELECT id FROM bare_queue WHERE state = 0 \
             ORDER BY id LIMIT {CLAIMED_AT_ONCE} {lock}) RETURNING id, body"
        ))
    };
    match connection {
        DbConnection::Postgres(c) => claim("FOR UPDATE SKIP LOCKED").load(c),
        DbConnection::Sqlite(c) => claim("").load(c),
    }
}

fn settle(connection: &mut DbConnection, done: &[i32]) -> QueryResult<usize> {
    match connection {
        DbConnection::Postgres(c) => {
            diesel::sql_query("UPDATE bare_queue SET state = 2 WHERE id = ANY ($1)")
                .bind::<Array<Integer>, _>(done)
                .execute(c)
        }
        DbConnection::Sqlite(c) => diesel::sql_query(
            "UPDATE bare_queue SET state = 2 WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind::<Text, _>(serde_json::json!(done).to_string())
        .execute(c),
    }
}

/// Sends on one thread, as a relay does.
fn send(
    url: &Url,
    waiting: UnboundedReceiver<Waiting>,
    sent: &mpsc::Sender<i32>,
    in_flight: u32,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let http = raw_loop::client()?;
        let waiting = Arc::new(Mutex::new(waiting));
        let mut senders = JoinSet::new();
        for _ in 0..in_flight {
            let (http, url, sent) = (http.clone(), url.clone(), sent.clone());
            let waiting = Arc::clone(&waiting);
            senders.spawn(async move {
                loop {
                    let next = waiting.lock().await.recv().await;
                    let Some(message) = next else {
                        return anyhow::Ok(());
                    };
                    raw_loop::post(&http, &url, message.body).await?;
                    sent.send(message.id)?;
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    })
}
