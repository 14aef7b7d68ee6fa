use clap::Args;
use serde_json::json;
use shared::db::{Database, DbError, dialect};
use shared::domain::UtcTimestamp;
use shared::outbox::{Life, RelayLoad, relay_loads};

use super::table::{Format, age, or_dash, say, say_json, table};

/// How to show the relays.
#[derive(Debug, Args)]
pub struct RelaysArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: RelaysArguments, database: &Database) -> anyhow::Result<()> {
    let (loads, now) = database
        .run(|connection| {
            let now = dialect::database_time(connection)?;
            Ok::<_, DbError>((relay_loads(connection, now)?, now))
        })
        .await?;
    match Format::of_flag(arguments.json) {
        Format::Json => say_json(&json!({ "now": now, "relays": loads })),
        Format::Table => {
            if !loads.is_empty() {
                let head = [
                    "relay",
                    "",
                    "version",
                    "since",
                    "heartbeat",
                    "in flight",
                    "leased",
                ];
                say(&table(&head, loads.iter().map(|load| line(load, now))));
            }
            if !loads.iter().any(|load| load.life == Life::Alive) {
                say("no relay is alive");
            }
            Ok(())
        }
    }
}

fn line(load: &RelayLoad, now: UtcTimestamp) -> Vec<String> {
    let run = load.run.as_ref();
    let leased: Vec<String> = load
        .leased
        .iter()
        .map(|(channel, count)| format!("{count} {channel}"))
        .collect();
    vec![
        load.name.to_string(),
        match load.life {
            Life::Alive => "alive".to_owned(),
            Life::Silent => "silent".to_owned(),
        },
        or_dash(run.map(|run| run.version.clone())),
        or_dash(run.map(|run| age(now.since(run.started_at)))),
        or_dash(run.map(|run| format!("{} ago", age(now.since(run.heartbeat_at))))),
        or_dash(run.map(|run| run.in_flight)),
        or_dash((!leased.is_empty()).then(|| leased.join(", "))),
    ]
}
