//! What a relay costs while there is nothing to do.

use std::time::{Duration, Instant};

use shared::db::DatabaseUrl;

use crate::arguments;
use crate::crowd::{Crowd, gather};
use crate::figures::{ratio, show_rate};
use crate::meter::{self, Meter};
use crate::relay;
use crate::server::Server;
use crate::sink::Sink;
use crate::stage::Stage;
use crate::table::say;

/// Whom the waiting messages are for.
const RECIPIENTS: usize = 1_000;
/// How long a relay takes to come to rest: connections that nobody has needed since it started are
/// closed after a minute. The server's processes have reported what was before by then, too.
const SETTLING: Duration = Duration::from_secs(90);

/// Measures and prints.
///
/// # Errors
/// If the database or a program fails.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Idle) -> anyhow::Result<()> {
    let sink = Sink::start(Duration::ZERO)?;
    let stage = Stage::open(url, RECIPIENTS).await?;
    gather(&stage, Crowd::Later, arguments.waiting).await?;
    stage.settle().await?;
    let mut server = Server::of(stage.url())?;
    let relays = relay::start_ready(&stage, &sink, &arguments.relays).await?;
    tokio::time::sleep(SETTLING).await;

    let (began_at, meter) = (Instant::now(), Meter::start(&stage, &relays)?);
    let transactions_before = server.as_mut().map(Server::transactions).transpose()?;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (time, used) = (began_at.elapsed(), meter.read(&relays)?);
    let transactions_after = server.as_mut().map(Server::transactions).transpose()?;
    relay::stop(relays).await?;

    say(&stage.describe()?);
    say(&format!(
        "{} s with nothing due, {} messages wait for tomorrow",
        arguments.seconds, arguments.waiting
    ));
    meter::print_over(&used, time);
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
