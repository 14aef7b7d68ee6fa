//! The command line: `run`, and what operators need to look and to repair.

mod audit;
mod channels;
mod doctor;
mod errcodes;
mod outbox;
mod preview;
mod relays;
mod table;
mod test_send;

use clap::{Parser, Subcommand};
use shared::db::{Database, PoolOptions, migrations};
use shared::operation_log::Actor;
use shared::telemetry::start_logging;
use tokio::signal::unix::{SignalKind, signal};

use crate::Config;
use crate::config::OptionalAddress;
use crate::relay::{Relay, Until};
pub use audit::AuditArguments;
pub use channels::{ChannelsArguments, HoldArguments};
pub use doctor::DoctorArguments;
pub use errcodes::ErrcodesCommand;
pub use outbox::OutboxCommand;
pub use preview::PreviewArguments;
pub use relays::RelaysArguments;
pub use test_send::TestSendArguments;

/// Delivers the outbox and lets operators look at it and repair it.
#[derive(Debug, Parser)]
#[command(name = "outbox-relay", version)]
pub struct Cli {
    /// What to do; without a command, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How.
    #[command(flatten)]
    pub config: Config,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deliver, until told to stop (the default).
    Run {
        /// Deliver what is due, then end, without health endpoints: for cron.
        #[arg(long)]
        once: bool,
    },
    /// Look at messages and repair them.
    #[command(subcommand)]
    Outbox(Box<OutboxCommand>),
    /// Look at the channels, or set how relays use them.
    Channels(ChannelsArguments),
    /// Stop a channel for all relays until somebody lifts the hold.
    Hold(HoldArguments),
    /// Lift a hold at once, whoever is behind it.
    Lift(HoldArguments),
    /// Look at what the platform's error codes mean here, or set it.
    #[command(subcommand)]
    Errcodes(ErrcodesCommand),
    /// List the relays that are alive: since when, how loaded, what they hold.
    Relays(RelaysArguments),
    /// Check everything that a delivery needs, and say what to do; sends nothing.
    Doctor(DoctorArguments),
    /// Send one message that is clearly marked as a test, and say step by step how it went.
    TestSend(TestSendArguments),
    /// Show what a platform would be sent of a kind, and what of its texts does not fit; sends nothing.
    Preview(PreviewArguments),
    /// Compare assignments with their notifications and messages.
    Audit(AuditArguments),
    /// Bring the database schema up to date.
    Migrate,
}

/// Does what was asked for.
///
/// # Errors
/// One sentence for whoever asked.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    start_logging(&cli.config.log, cli.config.log_format);
    match cli.command.unwrap_or(Command::Run { once: false }) {
        Command::Run { once: false } => deliver(cli.config, Until::Stopped).await,
        Command::Run { once: true } => deliver(cli.config, Until::Drained).await,
        Command::Outbox(command) => outbox::run(*command, &open(&cli.config).await?).await,
        Command::Channels(arguments) => {
            channels::run(arguments, &cli.config, &open(&cli.config).await?).await
        }
        Command::Hold(arguments) => channels::hold(arguments, &open(&cli.config).await?).await,
        Command::Lift(arguments) => channels::lift(arguments, &open(&cli.config).await?).await,
        Command::Errcodes(command) => errcodes::run(command, &open(&cli.config).await?).await,
        Command::Relays(arguments) => relays::run(arguments, &open(&cli.config).await?).await,
        Command::Doctor(arguments) => doctor::run(arguments, &cli.config).await,
        Command::TestSend(arguments) => test_send::run(arguments, &cli.config).await,
        Command::Preview(arguments) => {
            preview::run(arguments, &cli.config, &open(&cli.config).await?).await
        }
        Command::Audit(arguments) => {
            audit::run(arguments, &cli.config, &open(&cli.config).await?).await
        }
        Command::Migrate => {
            let database =
                Database::connect(&cli.config.database_url, PoolOptions::default()).await?;
            let run = database.run(migrations::run).await?;
            table::say(&format!("{run} migration(s) run; the schema is current"));
            Ok(())
        }
    }
}

async fn deliver(mut config: Config, until: Until) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    // A run for cron may stand beside a daemon, whose port it must not want.
    if until == Until::Drained {
        config.listen = OptionalAddress(None);
    }
    let mut relay = tokio::select! {
        relay = Relay::start(config, until) => relay?,
        // Still waiting for the database: there is nothing to clean up.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tokio::select! {
        () = relay.ended() => {}
        _ = terminate.recv() => log::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => log::info!("SIGINT: stopping"),
    }
    relay.stop().await;
    Ok(())
}

/// For commands: no waiting, a clear word at once.
async fn open(config: &Config) -> anyhow::Result<Database> {
    let database = Database::connect(&config.database_url, PoolOptions::default()).await?;
    database.run(migrations::check).await?;
    Ok(database)
}

/// Who is at the command line, for the operation log.
fn operator() -> Actor {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    Actor::Console(name.unwrap_or_else(|_| "unknown".to_owned()))
}
