//! Measures the real programs against limits that are measured in the same run.
//!
//! Everything is counted from the outside: at a sink that stands in for the platform, in the table,
//! and in what Linux tells of the processes. See `docs/PERFORMANCE.md`.

mod arguments;
mod crowd;
mod figures;
mod limit;
mod load;
mod measure;
mod message;
mod meter;
mod people;
mod plan;
mod process;
mod program;
mod relay;
mod running_api;
mod server;
mod sink;
mod stage;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use arguments::{Arguments, Measure};
use shared::command_line::settings_of_this_process;
use shared::telemetry::{LogFormat, start_logging};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait, at the end, for what is still running on other threads.
const THREADS_WAIT_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = settings_of_this_process();
    start_logging("warn", LogFormat::Text);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.measure.runs_programs() {
        program::build()?;
    }
    let runtime = Runtime::new()?;
    let done = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        // Whichever ends first: what the other one holds is dropped, programs and schemas with it.
        tokio::select! {
            done = measure(arguments) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminated.recv() => bail!("terminated"),
        }
    });
    runtime.shutdown_timeout(THREADS_WAIT_MAX);
    done
}

async fn measure(arguments: Arguments) -> anyhow::Result<()> {
    let url = arguments.database_url.as_ref();
    match arguments.measure {
        Measure::Drain(arguments) => measure::drain::run(url, &arguments).await,
        Measure::Latency(arguments) => measure::latency::run(url, &arguments).await,
        Measure::Api(arguments) => measure::api::run(url, &arguments).await,
        Measure::Customers(arguments) => measure::customers::run(url, &arguments).await,
        Measure::Backlog(arguments) => measure::backlog::run(url, &arguments).await,
        Measure::Idle(arguments) => measure::idle::run(url, &arguments).await,
        Measure::Soak(arguments) => measure::soak::run(url, &arguments).await,
        Measure::Transfer(arguments) => measure::transfer::run(url, &arguments).await,
        Measure::Trigger(arguments) => measure::trigger::run(url, &arguments).await,
        Measure::Inbox(arguments) => measure::inbox::run(url, &arguments).await,
        Measure::Sockets(arguments) => measure::sockets::run(url, &arguments).await,
    }
}
