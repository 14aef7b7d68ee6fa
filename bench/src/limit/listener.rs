//! The least that can follow a commit by a request: a thread that hears of it, marks one message as
//! leased, which is a commit as well, and writes the request to a socket. No pool, no runtime, no
//! rendering, no batches.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;
use shared::db::{DbConnection, DbError};

use crate::message;
use crate::sink::Sink;
use crate::stage::Stage;

/// How long between two looks for news: a tenth of what the relay takes, and too dear for a program
/// that runs all day.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// What the signal of a commit is called.
const SIGNAL: &str = "bench_limit";

/// A thread that listens and sends.
pub struct Listener {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// Tells the listener that something was committed, where the database does not show it by itself.
pub struct Signaller(DbConnection);

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = Text)]
    payload: String,
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

impl Listener {
    /// Starts listening on a stage.
    ///
    /// # Errors
    /// If the database or the sink does not answer.
    pub fn start(stage: &Stage, sink: &Sink) -> anyhow::Result<Self> {
        let mut connection = stage.connection()?;
        if let DbConnection::Postgres(c) = &mut connection {
            c.batch_execute(&format!("LISTEN {SIGNAL}"))?;
        }
        let stream = TcpStream::connect(sink.address())?;
        stream.set_nodelay(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to_stop = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || listen(&mut connection, stream, &asked_to_stop))?;
        Ok(Self { stop, thread })
    }

    /// Stops listening.
    ///
    /// # Errors
    /// What went wrong while it listened.
    pub fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow::anyhow!("the listener panicked"))?
    }
}

impl Signaller {
    /// For the listener on this stage.
    ///
    /// # Errors
    /// If the database does not answer.
    pub fn new(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self(stage.connection()?))
    }

    /// Something was committed.
    ///
    /// # Errors
    /// What the database says.
    pub fn signal(&mut self) -> Result<(), DbError> {
        match &mut self.0 {
            DbConnection::Postgres(c) => Ok(c.batch_execute(&format!("NOTIFY {SIGNAL}"))?),
            DbConnection::Sqlite(_) => Ok(()),
        }
    }
}

fn listen(
    connection: &mut DbConnection,
    stream: TcpStream,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut version = 0;
    while !stop.load(Ordering::Relaxed) {
        if !was_woken(connection, &mut version)? {
            thread::sleep(LOOK_EVERY);
            continue;
        }
        while let Some(payload) = claim_one(connection)? {
            send(&mut stream, &mut answers, &payload)?;
        }
    }
    Ok(())
}

fn was_woken(connection: &mut DbConnection, version: &mut i64) -> anyhow::Result<bool> {
    match connection {
        DbConnection::Postgres(c) => {
            let signals: Vec<_> = c.notifications_iter().collect::<Result<_, _>>()?;
            Ok(!signals.is_empty())
        }
        DbConnection::Sqlite(c) => {
            let now: DataVersion = diesel::sql_query("PRAGMA data_version").get_result(c)?;
            Ok(std::mem::replace(version, now.data_version) != now.data_version)
        }
    }
}

fn claim_one(connection: &mut DbConnection) -> anyhow::Result<Option<String>> {
    let lock = match connection {
        DbConnection::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        DbConnection::Sqlite(_) => "",
    };
    let claimed: Option<Claimed> = diesel::sql_query(format!(
        "UPDATE outbox_messages SET status = 'sending', attempt = attempt + 1, fence = fence + 1, \
         claimed_by = 'limit', lease_expires_at = due_at \
         WHERE id = (SELECT id FROM outbox_messages WHERE status = 'pending' \
         AND channel = 'wechat_subscribe' ORDER BY priority, due_at LIMIT 1 {lock}) \
         RETURNING payload"
    ))
    .get_result(connection)
    .optional()?;
    Ok(claimed.map(|row| row.payload))
}

fn send(
    stream: &mut TcpStream,
    answers: &mut BufReader<TcpStream>,
    payload: &str,
) -> anyhow::Result<()> {
    let payload: Value = serde_json::from_str(payload)?;
    let number = payload["customerName"].as_str().and_then(message::number);
    let body = message::body(number.context("not a message of the bench")?);
    let request = format!(
        "POST /cgi-bin/message/subscribe/send?access_token=bench HTTP/1.1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    answers.read_exact(&mut vec![0; length])?;
    Ok(())
}
