use anyhow::bail;
use serde_json::json;
use shared::db::{Database, DbError, dialect};
use shared::domain::OutboxMessageId;
use shared::operation_log::{LoggedOperation, history};
use shared::outbox::{Attempt, attempts_of, explain, find};

use super::list::mask;
use crate::cli::table::{Format, or_dash, say, say_json, table};

pub(super) async fn show_one(
    id: OutboxMessageId,
    format: Format,
    database: &Database,
) -> anyhow::Result<()> {
    let wanted = id.clone();
    let found = database
        .run(move |connection| {
            let message = find(connection, &wanted)?;
            let attempts = attempts_of(connection, &wanted)?;
            let history = history(connection, "outbox_message", wanted.as_str())?;
            Ok::<_, DbError>((message, attempts, history))
        })
        .await?;
    let (Some(mut message), attempts, history) = found else {
        bail!("there is no outbox message {id}")
    };
    mask(&mut message);
    match format {
        Format::Json => {
            say_json(&json!({ "message": message, "attempts": attempts, "history": history }))
        }
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
            say("");
            say(&history_table(&history));
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

fn history_table(history: &[LoggedOperation]) -> String {
    if history.is_empty() {
        return "nobody has repaired it".to_owned();
    }
    let text = |operation: &LoggedOperation, field: &str| {
        or_dash(operation.detail[field].as_str().map(str::to_owned))
    };
    let rows = history.iter().map(|operation| {
        vec![
            operation.at.to_string(),
            operation.actor.clone(),
            operation.action.clone(),
            text(operation, "before"),
            text(operation, "after"),
            text(operation, "reason"),
        ]
    });
    table(&["at", "who", "act", "before", "after", "why"], rows)
}

pub(super) async fn explain_one(
    id: OutboxMessageId,
    format: Format,
    database: &Database,
) -> anyhow::Result<()> {
    let wanted = id.clone();
    let explanation = database
        .run(move |connection| {
            let now = dialect::database_time(connection)?;
            explain(connection, &wanted, now)
        })
        .await?;
    let Some(explanation) = explanation else {
        bail!("there is no outbox message {id}")
    };
    match format {
        Format::Json => say_json(&explanation),
        Format::Table => {
            say(&format!(
                "{id} is {}: {}",
                explanation.status, explanation.text
            ));
            if let Some(at) = explanation.expected_at {
                say(&format!("expected: {at}"));
            }
            if let Some(fix) = explanation.fix {
                say(&format!("to do: {fix}"));
            }
            Ok(())
        }
    }
}
