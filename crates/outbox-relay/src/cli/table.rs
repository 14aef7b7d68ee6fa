use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde::Serialize;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
}

impl Format {
    pub(super) fn of_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Table }
    }
}

/// Prints for the person or program that asked.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(super) fn say(text: &str) {
    println!("{text}");
}

/// Tells how it goes, beside the answer.
#[expect(clippy::print_stderr, reason = "progress, for the person who waits")]
pub(super) fn tell(text: &str) {
    eprintln!("{text}");
}

pub(super) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?);
    Ok(())
}

pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_header(head.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// A value that may be missing, in a table.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// How long something has lasted, in whole seconds: `2h 3m 4s`.
pub(super) fn age(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}
