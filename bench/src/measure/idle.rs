//! What a relay costs while there is nothing to do.

use std::time::{Duration, Instant};

use shared::db::DatabaseUrl;

use crate::arguments;
use crate::figures::{ratio, show_bytes, show_rate};
use crate::process::Usage;
use crate::relay;
use crate::server::Server;
use crate::sink::Sink;
use crate::stage::Stage;
use crate::table::{self, say};

/// How long a relay may take to come to rest, and the server's processes to report what was before.
const SETTLING: Duration = Duration::from_secs(3);

/// Measures and prints.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Idle) -> anyhow::Result<()> {
    let sink = Sink::start(Duration::ZERO)?;
    let stage = Stage::open(url, 1).await?;
    let mut server = Server::of(stage.url())?;
    let relays = relay::start_ready(&stage, &sink, &arguments.relays).await?;
    tokio::time::sleep(SETTLING).await;

    let (began_at, before) = (Instant::now(), relay::usages(&relays)?);
    let server_before = server.as_ref().and_then(Server::cpu);
    let transactions_before = server.as_mut().map(Server::transactions).transpose()?;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (time, after) = (began_at.elapsed(), relay::usages(&relays)?);
    let server_after = server.as_ref().and_then(Server::cpu);
    let transactions_after = server.as_mut().map(Server::transactions).transpose()?;
    relay::stop(relays).await?;

    say(&stage.describe()?);
    say(&format!("{} s without a message", arguments.seconds));
    let share = |cpu: Duration| {
        let share = ratio(cpu.as_secs_f64(), time.as_secs_f64());
        format!("{:.2} % of a core", share * 100.0)
    };
    let mut rows: Vec<[String; 4]> = before
        .iter()
        .zip(&after)
        .map(|(before, after): (&Usage, &Usage)| {
            [
                "outbox-relay".to_owned(),
                share(after.cpu.saturating_sub(before.cpu)),
                show_bytes(after.memory),
                show_bytes(after.memory_peak),
            ]
        })
        .collect();
    if let (Some(before), Some(after)) = (server_before, server_after) {
        rows.push([
            "PostgreSQL, all processes".to_owned(),
            share(after.saturating_sub(before)),
            "-".to_owned(),
            "-".to_owned(),
        ]);
    }
    table::print(["program", "CPU", "memory", "peak memory"], rows);
    if let (Some(before), Some(after)) = (transactions_before, transactions_after) {
        // One of them asked for this very number.
        let count = u32::try_from(after - before - 1).unwrap_or(0);
        say(&format!(
            "transactions on the server: {}",
            show_rate(ratio(f64::from(count), time.as_secs_f64()))
        ));
    }
    Ok(())
}
