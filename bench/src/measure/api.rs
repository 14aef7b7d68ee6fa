//! How many assignments a second the API takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use diesel::prelude::*;
use reqwest::Method;
use serde_json::json;
use shared::db::DatabaseUrl;
use shared::db::schema::{assignments, outbox_messages};
use tokio::task::JoinSet;

use crate::arguments;
use crate::figures::{ratio, show_duration, show_rate, show_ratio};
use crate::limit::assignment;
use crate::load::{Load, Worked};
use crate::meter::{self, Meter};
use crate::running_api::{RunningApi, client};
use crate::stage::Stage;
use crate::table::{self, say};

/// How many people customers are given to, in turn.
const OWNERS: usize = 50;

/// Measures and prints.
///
/// # Errors
/// If the database or the program fails, or one assignment is refused.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Api) -> anyhow::Result<()> {
    let time = Duration::from_secs(arguments.seconds);
    // The API makes its first user in a database without any.
    let mut stage = Stage::open(url, 0).await?;
    let api = RunningApi::start(&stage, &arguments.api_flags).await?;
    stage.hire(OWNERS).await?;
    let load = Arc::new(Load::prepare(&stage, api.admin.clone(), arguments.clients).await?);
    let meter = Meter::start(&stage, std::slice::from_ref(&api.program))?;
    let ours = assign(&api, &load, arguments.clients, time).await?;
    let used = meter.read(std::slice::from_ref(&api.program))?;
    let (history, messages) = rows(&stage)?;
    api.program.stop().await?;
    drop(stage);

    // SQLite has one writer: one connection, and a commit for each assignment.
    let stage = Stage::open(url, OWNERS).await?;
    let connections = if stage.url().is_embedded() {
        1
    } else {
        arguments.connections
    };
    let actor = stage.people()[0].id.clone();
    let load = Arc::new(Load::prepare(&stage, actor, connections).await?);
    let by_hand = async |in_a_commit| {
        let (database, load) = (stage.url().clone(), Arc::clone(&load));
        tokio::task::spawn_blocking(move || {
            assignment::run(&database, &load, connections, in_a_commit, time)
        })
        .await?
    };
    let limit = by_hand(1).await?;
    // What one writer can do at all, whoever waits for its commits.
    let grouped = if stage.url().is_embedded() {
        Some(by_hand(arguments.clients).await?)
    } else {
        None
    };

    say(&stage.describe()?);
    say(&format!(
        "{} clients of the API, {connections} connection(s) without it, {} s each",
        arguments.clients, arguments.seconds
    ));
    print(&ours, &limit);
    if let Some(grouped) = grouped {
        say(&format!(
            "the same statements, {} assignments in a commit: {}, of which ours is {}",
            arguments.clients,
            show_rate(grouped.rate),
            show_ratio(ratio(ours.rate, grouped.rate))
        ));
    }
    say(&format!(
        "{} answers, {history} assignments and {messages} messages in the tables",
        ours.took.len()
    ));
    meter::print_for(&used, ours.took.len());
    Ok(())
}

fn print(ours: &Worked, limit: &Worked) {
    let line = |name: &str, share: f64| {
        let (ours, limit) = (ours.took.percentile(share), limit.took.percentile(share));
        [
            name.to_owned(),
            show_duration(ours),
            show_duration(limit),
            show_ratio(ratio(ours.as_secs_f64(), limit.as_secs_f64())),
        ]
    };
    table::print(
        [
            "assignments",
            "ours",
            "limit (the same statements)",
            "ratio",
        ],
        [
            [
                "rate".to_owned(),
                show_rate(ours.rate),
                show_rate(limit.rate),
                show_ratio(ratio(ours.rate, limit.rate)),
            ],
            line("p50", 0.5),
            line("p99", 0.99),
            line("max", 1.0),
        ],
    );
}

/// So many clients assign, each one after the other, for so long.
async fn assign(
    api: &RunningApi,
    load: &Arc<Load>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Worked> {
    let http = client()?;
    let mut asking = JoinSet::new();
    let began_at = Instant::now();
    for number in 0..clients {
        let (http, load) = (http.clone(), Arc::clone(load));
        let (url, token) = (api.url.clone(), api.token.clone());
        asking.spawn(async move {
            let mut took = Vec::new();
            for turn in load.turns(number) {
                if began_at.elapsed() >= time {
                    break;
                }
                let path = format!("{url}/api/customers/{}/assign", turn.customer);
                let request = http
                    .request(Method::PATCH, path)
                    .bearer_auth(&token)
                    .json(&json!({ "assignedTo": turn.owner }));
                let asked_at = Instant::now();
                let answer = request.send().await?;
                let status = answer.status();
                let said = answer.bytes().await?;
                took.push(asked_at.elapsed());
                if !status.is_success() {
                    bail!("{status}: {}", String::from_utf8_lossy(&said));
                }
            }
            Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = asking.join_next().await {
        took.extend(ended??);
    }
    Ok(Worked::new(took, began_at.elapsed()))
}

/// Assignments and messages in the tables.
fn rows(stage: &Stage) -> anyhow::Result<(i64, i64)> {
    let mut connection = stage.connection()?;
    let history = assignments::table.count().get_result(&mut connection)?;
    let messages = outbox_messages::table.count().get_result(&mut connection)?;
    Ok((history, messages))
}
