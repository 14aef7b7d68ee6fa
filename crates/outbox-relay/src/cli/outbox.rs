use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use shared::db::{Database, dialect};
use shared::domain::{Channel, OutboxMessageId, RecipientId};
use shared::outbox::{
    Attempt, Backlog, ListFilter, Message, RetryPolicy, Status, attempts_of, backlog, cancel, find,
    list, requeue,
};

use super::operator;
use super::table::{Format, or_dash, say, say_json, table};

/// Look at messages and repair them.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List messages, newest first
    List(ListArguments),
    /// Show one message with its attempts
    Show {
        /// Which message
        id: OutboxMessageId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put failed, skipped or cancelled messages back to pending with fresh attempts
    Requeue {
        /// Which messages
        #[arg(required = true)]
        ids: Vec<OutboxMessageId>,
    },
    /// Take back pending or failed messages
    Cancel {
        /// Which messages
        #[arg(required = true)]
        ids: Vec<OutboxMessageId>,
    },
    /// Count messages by channel and status
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which messages to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only this status: pending, sending, sent, failed, skipped or cancelled
    #[arg(long)]
    status: Option<Status>,
    /// Only this channel: wechat_subscribe, wechat_cloud, wecom_app or wecom_robot
    #[arg(long)]
    channel: Option<Channel>,
    /// Only this kind, such as customer.assigned
    #[arg(long)]
    kind: Option<String>,
    /// Only this recipient
    #[arg(long)]
    recipient: Option<RecipientId>,
    /// Only messages made before this one: the last of the page before
    #[arg(long)]
    before: Option<OutboxMessageId>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: OutboxCommand, database: &Database) -> anyhow::Result<()> {
    match command {
        OutboxCommand::List(arguments) => show_list(arguments, database).await,
        OutboxCommand::Show { id, json } => show_one(id, Format::of_flag(json), database).await,
        OutboxCommand::Stats { json } => show_stats(Format::of_flag(json), database).await,
        OutboxCommand::Requeue { ids } => repair(ids, Repair::Requeue, database).await,
        OutboxCommand::Cancel { ids } => repair(ids, Repair::Cancel, database).await,
    }
}

async fn show_list(arguments: ListArguments, database: &Database) -> anyhow::Result<()> {
    let filter = ListFilter {
        status: arguments.status,
        channel: arguments.channel,
        kind: arguments.kind,
        recipient_id: arguments.recipient,
        before: arguments.before,
    };
    let limit = usize::from(arguments.limit);
    let messages = database
        .run(move |connection| list(connection, &filter, limit))
        .await?;
    match Format::of_flag(arguments.json) {
        Format::Json => say_json(&messages),
        Format::Table if messages.is_empty() => {
            say("no message matches");
            Ok(())
        }
        Format::Table => {
            let head = [
                "id",
                "kind",
                "channel",
                "status",
                "attempt",
                "due",
                "last error",
            ];
            say(&table(&head, messages.iter().map(line)));
            Ok(())
        }
    }
}

fn line(message: &Message) -> Vec<String> {
    vec![
        message.id.to_string(),
        message.kind.clone(),
        message.channel.to_string(),
        message.status.to_string(),
        format!("{}/{}", message.attempt, message.attempts_max),
        message.due_at.to_string(),
        or_dash(message.last_error.as_deref()),
    ]
}

async fn show_one(id: OutboxMessageId, format: Format, database: &Database) -> anyhow::Result<()> {
    let wanted = id.clone();
    let found = database
        .run(move |connection| {
            let message = find(connection, &wanted)?;
            let attempts = attempts_of(connection, &wanted)?;
            Ok::<_, shared::db::DbError>((message, attempts))
        })
        .await?;
    let (Some(message), attempts) = found else {
        bail!("there is no outbox message {id}")
    };
    match format {
        Format::Json => say_json(&json!({ "message": message, "attempts": attempts })),
        Format::Table => {
            let fields = serde_json::to_value(&message)?;
            let rows = fields
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| {
                    vec![
                        name.clone(),
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), ToOwned::to_owned),
                    ]
                });
            say(&table(&["field", "value"], rows));
            say("");
            say(&attempts_table(&attempts));
            Ok(())
        }
    }
}

fn attempts_table(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no attempt that did not simply succeed".to_owned();
    }
    let rows = attempts.iter().map(|attempt| {
        vec![
            attempt.attempt.to_string(),
            attempt.started_at.to_string(),
            attempt.duration_ms.to_string(),
            attempt.relay.to_string(),
            attempt.verdict.clone(),
            attempt.rule.clone(),
            or_dash(attempt.errcode),
            or_dash(attempt.errmsg.as_deref()),
        ]
    });
    table(
        &[
            "attempt", "started", "ms", "relay", "verdict", "rule", "errcode", "error",
        ],
        rows,
    )
}

async fn show_stats(format: Format, database: &Database) -> anyhow::Result<()> {
    let (backlog, now) = database
        .run(|connection| {
            let now = dialect::database_time(connection)?;
            Ok::<_, shared::db::DbError>((backlog(connection, now)?, now))
        })
        .await?;
    match format {
        Format::Json => say_json(&backlog),
        Format::Table => {
            say(&stats_table(&backlog));
            let oldest = backlog
                .oldest_due_at
                .map(|due| format!("{:.1} s", now.since(due).as_secs_f64()));
            say(&format!("oldest due message waits: {}", or_dash(oldest)));
            Ok(())
        }
    }
}

fn stats_table(backlog: &Backlog) -> String {
    let rows = backlog.lines.iter().map(|line| {
        vec![
            line.channel.to_string(),
            line.status.to_string(),
            line.count.to_string(),
        ]
    });
    table(&["channel", "status", "messages"], rows)
}

#[derive(Debug, Clone, Copy)]
enum Repair {
    Requeue,
    Cancel,
}

/// All or nothing: if one of them cannot be repaired, none is.
async fn repair(
    ids: Vec<OutboxMessageId>,
    repair: Repair,
    database: &Database,
) -> anyhow::Result<()> {
    let actor = operator();
    let attempts = RetryPolicy::default().attempts_max;
    let changed = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            ids.iter()
                .map(|id| match repair {
                    Repair::Requeue => requeue(transaction, id, attempts, &actor, now),
                    Repair::Cancel => cancel(transaction, id, &actor, now),
                })
                .collect::<Result<Vec<_>, shared::outbox::RepairError>>()
        })
        .await?;
    for message in changed {
        say(&format!("{} is {}", message.id, message.status));
    }
    Ok(())
}
