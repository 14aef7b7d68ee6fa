//! The command line: `serve`, and what is done at a server and nowhere else.

mod service_token;

use clap::{Parser, Subcommand};
use shared::db::{Database, PoolOptions, migrations};
use shared::operation_log::Actor;

use crate::config::Config;
pub use service_token::ServiceTokenCommand;

/// The HTTP service of the CRM.
#[derive(Debug, Parser)]
#[command(name = "crm-api", version)]
pub struct Cli {
    /// What to do; without a command, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How.
    #[command(flatten)]
    pub config: Config,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer requests until SIGTERM or SIGINT (the default).
    Serve,
    /// Bring the database schema up to date and end.
    Migrate,
    /// Make, list and revoke the tokens with which other programs use the API.
    #[command(subcommand)]
    ServiceToken(ServiceTokenCommand),
}

/// Does what was asked for with service tokens.
///
/// # Errors
/// One sentence for whoever asked.
pub async fn run_service_token(
    command: ServiceTokenCommand,
    config: &Config,
) -> anyhow::Result<()> {
    service_token::run(command, &open(config).await?).await
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
