use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use shared::db::{Database, dialect};
use shared::domain::{OutboxMessageId, RepairId};
use shared::outbox::{
    ListFilter, MatchingRepair, PAYLOAD_BYTES_MAX, Payload, REASON_CHARACTERS_MAX, RepairAct,
    RepairError, RepairOrder, Repaired, Rest, RetryPolicy, Undone, Wish, count_repairable, repair,
    undo_next,
};

use super::{FilterArguments, Rate};
use crate::cli::operator;
use crate::cli::table::{Format, say, say_json, tell};

/// Above this many, the number must be typed.
const UNCONFIRMED_MAX: usize = 100;

/// Which messages to repair, and why.
#[derive(Debug, Args)]
pub struct RepairArguments {
    /// Which messages
    #[arg(
        required_unless_present = "all_matching",
        conflicts_with = "all_matching"
    )]
    ids: Vec<OutboxMessageId>,
    /// All messages that match the filters and can be repaired so
    #[arg(long)]
    all_matching: bool,
    #[command(flatten)]
    filter: FilterArguments,
    /// Why; it is kept with your name in the operation log
    #[arg(long)]
    reason: Reason,
    /// How many messages you expect to match; asked for above 100. A different number changes
    /// nothing
    #[arg(long, visible_alias = "yes", requires = "all_matching")]
    confirm: Option<usize>,
    /// How many messages a second at most
    #[arg(long, default_value = "1000/s")]
    rate: Rate,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which message to edit, into what, and why.
#[derive(Debug, Args)]
pub struct EditArguments {
    /// Which message
    id: OutboxMessageId,
    /// A file with the new payload, a JSON object; - reads it from standard input
    #[arg(long)]
    payload: PathBuf,
    /// Why; it is kept with your name in the operation log
    #[arg(long)]
    reason: Reason,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why something is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// A text that is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to {REASON_CHARACTERS_MAX} characters and no control characters")]
pub struct InvalidReason;

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=REASON_CHARACTERS_MAX).contains(&length) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidReason)
        }
    }
}

pub(super) async fn repair_messages(
    act: RepairAct,
    arguments: RepairArguments,
    database: &Database,
) -> anyhow::Result<()> {
    let attempts = RetryPolicy::default().attempts_max;
    let wish = match act {
        RepairAct::Cancel => Wish::Cancel,
        RepairAct::Requeue | RepairAct::Edit => Wish::Requeue { attempts },
    };
    let order = order(wish, arguments.reason.clone());
    if arguments.all_matching {
        repair_matching(order, &arguments, database).await
    } else {
        if !arguments.filter.is_empty() {
            bail!("filters need --all-matching; nothing is changed");
        }
        let format = Format::of_flag(arguments.json);
        let repaired = repair_chosen(order, arguments.ids, database).await?;
        say_repaired(&repaired, format)
    }
}

pub(super) async fn edit_message(
    arguments: EditArguments,
    database: &Database,
) -> anyhow::Result<()> {
    let wish = Wish::Edit {
        payload: read_payload(&arguments.payload)?,
        attempts: RetryPolicy::default().attempts_max,
    };
    let order = order(wish, arguments.reason);
    let repaired = repair_chosen(order, vec![arguments.id], database).await?;
    say_repaired(&repaired, Format::of_flag(arguments.json))
}

fn order(wish: Wish, reason: Reason) -> RepairOrder {
    RepairOrder {
        wish,
        reason: reason.0,
        actor: operator(),
        request_id: None,
    }
}

fn read_payload(path: &PathBuf) -> anyhow::Result<Payload> {
    // One byte more than is allowed tells that it is too much.
    let limit = u64::try_from(PAYLOAD_BYTES_MAX * 2 + 1)?;
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        file.take(limit).read_to_string(&mut text)
    }
    .with_context(|| format!("reading the payload from {}", path.display()))?;
    Ok(text.parse()?)
}

/// All or nothing: if one of them cannot be repaired, none is.
async fn repair_chosen(
    order: RepairOrder,
    ids: Vec<OutboxMessageId>,
    database: &Database,
) -> Result<Repaired, RepairError> {
    database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            repair(transaction, &order, &ids, now)
        })
        .await
}

fn say_repaired(repaired: &Repaired, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            let messages: Vec<_> = repaired
                .messages
                .iter()
                .map(|message| {
                    json!({
                        "id": message.id,
                        "status": message.status,
                        "fellBackTo": message.fell_back_to,
                    })
                })
                .collect();
            say_json(
                &json!({ "repair": repaired.repair, "changed": messages.len(), "messages": messages }),
            )
        }
        Format::Table => {
            for message in &repaired.messages {
                say(&format!("{} is {}", message.id, message.status));
            }
            let fell_back = repaired.fell_back();
            if fell_back > 0 {
                say(&format!(
                    "{fell_back} of them had gone on to another channel: whoever was told there is told again"
                ));
            }
            say(&how_to_undo(&repaired.repair));
            Ok(())
        }
    }
}

fn how_to_undo(repair: &RepairId) -> String {
    format!("to undo it within 10 minutes: outbox-relay outbox undo {repair}")
}

async fn repair_matching(
    order: RepairOrder,
    arguments: &RepairArguments,
    database: &Database,
) -> anyhow::Result<()> {
    let act = order.wish.act();
    let now = database.run(dialect::database_time).await?;
    let filter = arguments.filter.at(now);
    check_filter(act, &filter)?;
    let counted = filter.clone();
    let matching = database
        .run(move |connection| count_repairable(connection, act, &counted))
        .await?;
    let matching = usize::try_from(matching)?;
    if matching == 0 {
        bail!(
            "no message that is {} matches; nothing is changed",
            act.allowed()
        );
    }
    confirm(act, matching, arguments.confirm)?;

    let mut run = database
        .write(move |transaction| {
            let now = dialect::database_time(transaction.connection())?;
            MatchingRepair::begin(transaction, order, filter, matching, now)
        })
        .await?;
    let repair = run.id().clone();
    let (begun, rate) = (Instant::now(), arguments.rate);
    while !run.is_done() {
        run = database
            .write(move |transaction| {
                let now = dialect::database_time(transaction.connection())?;
                run.next_batch(transaction, rate.batch(), now)
            })
            .await
            .with_context(|| format!("interrupted; {}", how_to_undo(&repair)))?;
        if !run.is_done() {
            tell(&format!(
                "{} of {matching} {} (repair {repair})",
                run.changed(),
                act.participle()
            ));
            tokio::time::sleep(rate.pause(begun, run.changed())).await;
        }
    }
    match Format::of_flag(arguments.json) {
        Format::Json => {
            say_json(&json!({ "repair": repair, "matching": matching, "changed": run.changed() }))
        }
        Format::Table => {
            say(&format!(
                "{} of {matching} messages {}",
                run.changed(),
                act.participle()
            ));
            say(&how_to_undo(&repair));
            Ok(())
        }
    }
}

fn check_filter(act: RepairAct, filter: &ListFilter) -> anyhow::Result<()> {
    if filter.matches_all() {
        bail!("--all-matching needs a filter, such as --status failed; nothing is changed");
    }
    if let Some(status) = filter.status
        && !act.allows(status)
    {
        bail!(
            "{status} messages cannot be {}, only {} ones; nothing is changed",
            act.participle(),
            act.allowed()
        );
    }
    Ok(())
}

/// Lets a person say that they know how many messages it is about.
fn confirm(act: RepairAct, matching: usize, confirmed: Option<usize>) -> anyhow::Result<()> {
    let would = format!("{matching} messages would be {}", act.participle());
    let said = match confirmed {
        Some(number) => number.to_string(),
        None if matching <= UNCONFIRMED_MAX => return Ok(()),
        None if std::io::stdin().is_terminal() => {
            tell(&format!("{would}; type the number to go on:"));
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line
        }
        None => bail!("{would}; repeat it with --confirm {matching}. Nothing is changed"),
    };
    if said.trim() != matching.to_string() {
        bail!(
            "{would}, and {:?} was confirmed; nothing is changed",
            said.trim()
        );
    }
    Ok(())
}

pub(super) async fn undo_repair(
    repair: RepairId,
    format: Format,
    database: &Database,
) -> anyhow::Result<()> {
    let mut total = Undone::default();
    loop {
        let (id, actor) = (repair.clone(), operator());
        let done = database
            .write(move |transaction| {
                let now = dialect::database_time(transaction.connection())?;
                undo_next(transaction, &id, &actor, None, now)
            })
            .await?;
        total.undone += done.undone;
        total.moved += done.moved;
        if done.rest == Rest::Nothing {
            break;
        }
        tell(&format!("{} put back so far", total.undone));
    }
    match format {
        Format::Json => {
            say_json(&json!({ "repair": repair, "undone": total.undone, "moved": total.moved }))?;
        }
        Format::Table => say(&format!(
            "{} messages are as they were; {} had moved since and were left alone",
            total.undone, total.moved
        )),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_in_one_line() {
        assert_eq!(" 模板已修复 ".parse(), Ok(Reason("模板已修复".to_owned())));
        assert!("x".repeat(200).parse::<Reason>().is_ok());
        for text in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert_eq!(text.parse::<Reason>(), Err(InvalidReason), "{text}");
        }
    }

    #[test]
    fn a_confirmation_must_name_the_number() {
        for (matching, confirmed, right) in [
            (5, None, true),
            (5, Some(5), true),
            (5, Some(6), false),
            (101, Some(101), true),
            (101, Some(100), false),
        ] {
            let answer = confirm(RepairAct::Requeue, matching, confirmed);
            assert_eq!(answer.is_ok(), right, "{matching} {confirmed:?}");
        }
    }
}
