mod filter;
mod list;
mod pace;
mod repair;
mod show;
mod standing;

use clap::Subcommand;
use shared::db::Database;
use shared::domain::{OutboxMessageId, RepairId};
use shared::outbox::RepairAct;

use super::table::Format;
pub use filter::FilterArguments;
pub use list::ListArguments;
pub use pace::Rate;
pub use repair::{EditArguments, RepairArguments};
use standing::duration;

/// Look at messages and repair them.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List messages, newest first
    List(ListArguments),
    /// Show one message with its attempts and its history
    Show {
        /// Which message
        id: OutboxMessageId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say why a message is not sent, when that changes, and what to do
    Explain {
        /// Which message
        id: OutboxMessageId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List what should have moved and has not, grouped by cause
    Stuck {
        /// Only what has been waiting for longer than this
        #[arg(long, default_value = "1m", value_parser = duration)]
        waiting: std::time::Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count what failed or was skipped, by errcode, kind and channel
    Failures {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count messages by channel and status
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put failed, skipped or cancelled messages back to pending with fresh attempts
    Requeue(RepairArguments),
    /// Take back pending or failed messages
    Cancel(RepairArguments),
    /// Give a failed, skipped or cancelled message another payload and requeue it
    Edit(EditArguments),
    /// Put messages back as they were before a requeue, cancel or edit of the last 10 minutes
    Undo {
        /// Which repair: the id that it printed
        repair: RepairId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: OutboxCommand, database: &Database) -> anyhow::Result<()> {
    match command {
        OutboxCommand::List(arguments) => list::show_list(arguments, database).await,
        OutboxCommand::Show { id, json } => {
            show::show_one(id, Format::of_flag(json), database).await
        }
        OutboxCommand::Explain { id, json } => {
            show::explain_one(id, Format::of_flag(json), database).await
        }
        OutboxCommand::Stuck { waiting, json } => {
            standing::show_stuck(waiting, Format::of_flag(json), database).await
        }
        OutboxCommand::Failures { json } => {
            standing::show_failures(Format::of_flag(json), database).await
        }
        OutboxCommand::Stats { json } => {
            standing::show_stats(Format::of_flag(json), database).await
        }
        OutboxCommand::Requeue(arguments) => {
            repair::repair_messages(RepairAct::Requeue, arguments, database).await
        }
        OutboxCommand::Cancel(arguments) => {
            repair::repair_messages(RepairAct::Cancel, arguments, database).await
        }
        OutboxCommand::Edit(arguments) => repair::edit_message(arguments, database).await,
        OutboxCommand::Undo { repair, json } => {
            repair::undo_repair(repair, Format::of_flag(json), database).await
        }
    }
}
