//! What the statements of a relay cost on PostgreSQL, and how the server runs them: read from the
//! server's own log (`auto_explain`), so that it is always what the relay really asks.

use std::collections::BTreeMap;

use crate::figures::to_float;
use crate::table::{self, say};

/// How many statements are shown.
const STATEMENTS_SHOWN: usize = 12;
/// How much of a statement is shown in a table …
const STATEMENT_CHARACTERS: usize = 70;
/// … and how much of a line of its plan, which may have a list of a thousand ids in it.
const PLAN_CHARACTERS: usize = 160;

/// One statement, however often it was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// How often.
    pub runs: usize,
    /// How long all runs took together, in milliseconds.
    pub total_milliseconds: f64,
    /// How long the slowest took.
    pub slowest_milliseconds: f64,
    /// The plan of the slowest.
    pub slowest_plan: String,
}

/// Prints what the statements cost, the dearest first, and the slowest plan of each that has to do
/// with this table.
pub fn print(log: &str, about: &str) {
    let mut statements = statements(log);
    statements.truncate(STATEMENTS_SHOWN);
    table::print(
        ["statement", "runs", "mean", "slowest", "total"],
        statements.iter().map(|statement| {
            let mean = statement.total_milliseconds / to_float(statement.runs);
            [
                shortened(&statement.text, STATEMENT_CHARACTERS),
                statement.runs.to_string(),
                format!("{mean:.2} ms"),
                format!("{:.2} ms", statement.slowest_milliseconds),
                format!("{:.0} ms", statement.total_milliseconds),
            ]
        }),
    );
    for statement in statements
        .iter()
        .filter(|statement| statement.text.contains(about))
    {
        say(&format!("\n{}", statement.text));
        for line in statement.slowest_plan.lines() {
            say(&shortened(line, PLAN_CHARACTERS));
        }
    }
}

fn shortened(text: &str, characters: usize) -> String {
    let mut shortened: String = text.chars().take(characters).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}

/// The statements of which a server's log has plans, the dearest first.
fn statements(log: &str) -> Vec<Statement> {
    let mut by_text: BTreeMap<String, Statement> = BTreeMap::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(milliseconds) = duration(line) else {
            continue;
        };
        let mut text = Vec::new();
        let mut plan = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            let line = &line[1..];
            if plan.is_empty() && !line.contains("(cost=") {
                text.push(line.trim_start_matches("Query Text: ").trim());
            } else {
                plan.push(line);
            }
        }
        let text = text.join(" ");
        let statement = by_text.entry(text.clone()).or_insert_with(|| Statement {
            text,
            runs: 0,
            total_milliseconds: 0.0,
            slowest_milliseconds: 0.0,
            slowest_plan: String::new(),
        });
        statement.runs += 1;
        statement.total_milliseconds += milliseconds;
        if milliseconds >= statement.slowest_milliseconds {
            statement.slowest_milliseconds = milliseconds;
            statement.slowest_plan = plan.join("\n");
        }
    }
    let mut statements: Vec<Statement> = by_text.into_values().collect();
    statements.sort_by(|a, b| b.total_milliseconds.total_cmp(&a.total_milliseconds));
    statements
}

/// Of a line that begins the plan of a statement.
fn duration(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("LOG:  duration: ")?;
    rest.strip_suffix(" ms  plan:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-02 [7] LOG:  listening on IPv4 address\n\
2026-01-02 [7] LOG:  duration: 1.500 ms  plan:\n\
\tQuery Text: SELECT 1\n\
\tResult  (cost=0.00..0.01 rows=1 width=4)\n\
2026-01-02 [7] LOG:  duration: 2.000 ms  plan:\n\
\tQuery Text: UPDATE outbox_messages\n\
\t  SET status = 'sent'\n\
\tUpdate on outbox_messages  (cost=0.00..8.00 rows=0 width=0)\n\
\t  Buffers: shared hit=5\n\
2026-01-02 [7] LOG:  duration: 0.250 ms  plan:\n\
\tQuery Text: UPDATE outbox_messages\n\
\t  SET status = 'sent'\n\
\tUpdate on outbox_messages  (cost=0.00..9.00 rows=0 width=0)\n";

    #[test]
    fn plans_are_gathered_by_statement_the_dearest_first() {
        let statements = statements(LOG);
        let texts: Vec<&str> = statements.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(
            texts,
            ["UPDATE outbox_messages SET status = 'sent'", "SELECT 1"]
        );
        assert_eq!(statements[0].runs, 2);
        assert_eq!(statements[0].total_milliseconds, 2.25);
        assert_eq!(statements[0].slowest_milliseconds, 2.0);
        assert_eq!(
            statements[0].slowest_plan,
            "Update on outbox_messages  (cost=0.00..8.00 rows=0 width=0)\n  Buffers: shared hit=5"
        );
    }
}
