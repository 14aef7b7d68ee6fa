//! The HTTP service of the CRM, and its command line.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use crm_api::cli::{self, Cli, Command};
use crm_api::{Config, Server};
use shared::command_line::settings_of_this_process;
use shared::telemetry::start_logging;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Every message and request takes hundreds of small pieces of memory; see docs/PERFORMANCE.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long to wait, at the end, for what is still running on other threads: a connection that is
/// being tried holds nothing worth keeping.
const THREADS_WAIT_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli: Cli = settings_of_this_process();
    start_logging(&cli.config.log, cli.config.log_format);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let done = runtime.block_on(async {
        match cli.command.unwrap_or(Command::Serve) {
            Command::Serve => serve(cli.config).await,
            Command::Migrate => migrate(&cli.config).await,
            Command::ServiceToken(command) => cli::run_service_token(command, &cli.config).await,
        }
    });
    runtime.shutdown_timeout(THREADS_WAIT_MAX);
    done
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    config.validate()?;
    let address = config.listen;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("LISTEN: cannot listen on {address}"))?;
    let mut server = tokio::select! {
        server = Server::start(config, listener) => server?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tokio::select! {
        ended = server.finished() => return ended.context("the server ended by itself"),
        _ = terminate.recv() => log::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => log::info!("stopping on SIGINT"),
    }
    server.stop().await;
    Ok(())
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    match crm_api::migrate(config).await? {
        0 => log::info!("the schema is up to date"),
        run => log::info!(migrations = run; "ran {run} migration(s)"),
    }
    Ok(())
}
