use std::time::Duration;

use anyhow::bail;
use clap::Args;
use humantime::format_duration;
use shared::db::{Database, DbError, dialect};
use shared::outbox::{AuditReport, Expected, Finding, audit};

use super::table::{Format, say, say_json, table};
use crate::Config;

/// A person reads no more.
const SHOWN_MAX: usize = 100;

/// Which time to look at.
#[derive(Debug, Args)]
pub struct AuditArguments {
    /// How far to look back: 2h, 1day, 4weeks
    #[arg(long, default_value = "1day", value_parser = humantime::parse_duration)]
    since: Duration,
    /// How long before now to stop: younger transactions may still be open
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    margin: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: AuditArguments,
    config: &Config,
    database: &Database,
) -> anyhow::Result<()> {
    let (since, margin) = (arguments.since, arguments.margin);
    let kept = config
        .keep_sent
        .min(config.keep_failed)
        .min(config.keep_skipped);
    if since > kept {
        bail!(
            "--since reaches back {}, but relays delete finished messages after {} (the shortest of \
             KEEP_SENT, KEEP_FAILED and KEEP_SKIPPED), which would look like missing ones; give at \
             most --since {}",
            format_duration(since),
            format_duration(kept),
            format_duration(kept).to_string().replace(' ', "")
        );
    }
    let report = database
        .run(move |connection| {
            let now = dialect::database_time(connection)?;
            let report = audit(connection, now.before(since), now.before(margin))?;
            Ok::<_, DbError>(report)
        })
        .await?;
    match Format::of_flag(arguments.json) {
        Format::Json => say_json(&report)?,
        Format::Table => say_report(&report),
    }
    match report.findings.len() {
        0 => Ok(()),
        count => bail!("{count} finding(s)"),
    }
}

fn say_report(report: &AuditReport) {
    if !report.findings.is_empty() {
        let head = [
            "finding",
            "kind",
            "to",
            "at",
            "channel",
            "request or message",
        ];
        say(&table(
            &head,
            report.findings.iter().take(SHOWN_MAX).map(line),
        ));
        if report.findings.len() > SHOWN_MAX {
            let more = report.findings.len() - SHOWN_MAX;
            say(&format!("and {more} more; --json prints all of them"));
        }
    }
    for (note, count) in &report.notes {
        say(&format!("note: {note} ({count} times)"));
    }
    say(&format!(
        "{} assignments and {} messages from {} to {}: {} finding(s)",
        report.assignments,
        report.messages,
        report.since,
        report.until,
        report.findings.len()
    ));
}

fn line(finding: &Finding) -> Vec<String> {
    let told = |what: &str, expected: &Expected, channel: String| {
        let request = expected.request_id.as_ref();
        vec![
            what.to_owned(),
            expected.kind.to_owned(),
            expected.recipient.clone(),
            expected.at.to_string(),
            channel,
            request.map_or_else(|| "-".to_owned(), ToString::to_string),
        ]
    };
    match finding {
        Finding::MissingNotification(expected) => told(
            "assignment without its notification",
            expected,
            "-".to_owned(),
        ),
        Finding::MissingMessage { expected, channel } => told(
            "assignment without its message",
            expected,
            channel.to_string(),
        ),
        Finding::MessageWithoutAssignment {
            message,
            recipient,
            kind,
            at,
        } => vec![
            "message without its assignment".to_owned(),
            kind.clone(),
            recipient.clone(),
            at.to_string(),
            "-".to_owned(),
            message.to_string(),
        ],
    }
}
