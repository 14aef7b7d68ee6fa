//! How the outbox stands as a whole.

use std::time::Duration;

use shared::db::{Database, DbError, dialect};
use shared::outbox::{Backlog, FailureLine, StuckGroup, backlog, failures, stuck};

use crate::cli::table::{Format, age, or_dash, say, say_json, table};

pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

pub(super) async fn show_stats(format: Format, database: &Database) -> anyhow::Result<()> {
    let (backlog, now) = database
        .run(|connection| {
            let now = dialect::database_time(connection)?;
            Ok::<_, DbError>((backlog(connection, now)?, now))
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

pub(super) async fn show_stuck(
    patience: Duration,
    format: Format,
    database: &Database,
) -> anyhow::Result<()> {
    let (groups, now) = database
        .run(move |connection| {
            let now = dialect::database_time(connection)?;
            Ok::<_, DbError>((stuck(connection, patience, now)?, now))
        })
        .await?;
    match format {
        Format::Json => say_json(&groups),
        Format::Table if groups.is_empty() => {
            say("nothing is stuck");
            Ok(())
        }
        Format::Table => {
            let rows = groups.iter().map(|group: &StuckGroup| {
                vec![
                    group.channel.to_string(),
                    group.count.to_string(),
                    age(now.since(group.since)),
                    group.text.clone(),
                    or_dash(group.fix),
                    group.example.to_string(),
                ]
            });
            let head = [
                "channel",
                "messages",
                "longest",
                "cause",
                "to do",
                "for example",
            ];
            say(&table(&head, rows));
            Ok(())
        }
    }
}

pub(super) async fn show_failures(format: Format, database: &Database) -> anyhow::Result<()> {
    let lines = database
        .run(|connection| {
            let now = dialect::database_time(connection)?;
            failures(connection, now)
        })
        .await?;
    match format {
        Format::Json => say_json(&lines),
        Format::Table if lines.is_empty() => {
            say("nothing failed or was skipped in the last 7 days");
            Ok(())
        }
        Format::Table => {
            let rows = lines.iter().map(|line: &FailureLine| {
                vec![
                    line.status.to_string(),
                    or_dash(line.errcode),
                    line.kind.clone(),
                    line.channel.to_string(),
                    line.last_hour.to_string(),
                    line.last_day.to_string(),
                    line.last_week.to_string(),
                    line.last_week_fell_back.to_string(),
                    or_dash(line.example.as_deref()),
                ]
            });
            let head = [
                "status",
                "errcode",
                "kind",
                "channel",
                "1 h",
                "24 h",
                "7 d",
                "went on",
                "for example",
            ];
            say(&table(&head, rows));
            Ok(())
        }
    }
}
