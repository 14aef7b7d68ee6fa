use anyhow::bail;
use clap::Subcommand;
use shared::db::{Database, dialect};
use shared::domain::Channel;
use shared::outbox::{holds, lift_hold};

use super::table::{Format, or_dash, say, say_json, table};

/// Look at the channels and their holds.
#[derive(Debug, Subcommand)]
pub enum ChannelsCommand {
    /// List the channels that are held, and why
    Holds {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Lift a hold at once, without waiting for the next probe
    Lift {
        /// Which channel
        channel: Channel,
    },
}

pub(super) async fn run(command: ChannelsCommand, database: &Database) -> anyhow::Result<()> {
    match command {
        ChannelsCommand::Holds { json } => show_holds(Format::of_flag(json), database).await,
        ChannelsCommand::Lift { channel } => {
            if !database
                .write(move |transaction| {
                    let now = dialect::database_time(transaction.connection())?;
                    lift_hold(transaction, channel, now)
                })
                .await?
            {
                bail!("channel {channel} is not held");
            }
            say(&format!("channel {channel} is no longer held"));
            Ok(())
        }
    }
}

async fn show_holds(format: Format, database: &Database) -> anyhow::Result<()> {
    let holds = database.run(holds).await?;
    match format {
        Format::Json => say_json(&holds),
        Format::Table if holds.is_empty() => {
            say("no channel is held");
            Ok(())
        }
        Format::Table => {
            let rows = holds.iter().map(|hold| {
                vec![
                    hold.channel.to_string(),
                    hold.held_since.to_string(),
                    or_dash(hold.probe_at),
                    hold.held_by.clone(),
                    hold.reason.clone(),
                ]
            });
            say(&table(
                &["channel", "held since", "next probe", "by", "reason"],
                rows,
            ));
            Ok(())
        }
    }
}
