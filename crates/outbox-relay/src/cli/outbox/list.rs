use anyhow::bail;
use clap::Args;
use shared::db::{Database, DbError, dialect};
use shared::domain::{OutboxMessageId, mask_phones};
use shared::outbox::{ListFilter, Message, list};

use super::FilterArguments;
use crate::cli::table::{Format, or_dash, say, say_json, table};

/// Which messages to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    filter: FilterArguments,
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

pub(super) async fn show_list(arguments: ListArguments, database: &Database) -> anyhow::Result<()> {
    let limit = usize::from(arguments.limit);
    let format = Format::of_flag(arguments.json);
    let (filter, messages) = database
        .run(move |connection| {
            let filter = ListFilter {
                before: arguments.before,
                ..arguments.filter.at(dialect::database_time(connection)?)
            };
            let mut messages = list(connection, &filter, limit)?;
            messages.iter_mut().for_each(mask);
            Ok::<_, DbError>((filter, messages))
        })
        .await?;
    match format {
        Format::Json => say_json(&messages)?,
        Format::Table if messages.is_empty() && filter.matches_all() => say("the outbox is empty"),
        Format::Table if messages.is_empty() => {}
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
            if let (Some(last), true) = (messages.last(), messages.len() == limit) {
                say(&format!("perhaps more: --before {}", last.id));
            }
        }
    }
    if messages.is_empty() && !filter.matches_all() {
        bail!("no message matches");
    }
    Ok(())
}

/// What is stored is masked already, unless somebody put a payload there by hand.
pub(super) fn mask(message: &mut Message) {
    message.payload = mask_phones(&message.payload);
    message.last_error = message.last_error.as_deref().map(mask_phones);
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
