//! How long leads take to move on by rule.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use diesel::prelude::*;
use shared::db::schema::{
    assignments, customers, lead_transfer_records, lead_transfer_rule_users, lead_transfer_rules,
    lead_transfer_runs, notifications, outbox_messages, schedules,
};
use shared::db::{Database, DatabaseUrl, DbError, each_backend};
use shared::domain::{AssignmentId, CustomerId, TransferRuleId, UserId, UtcTimestamp};
use tokio::task::JoinHandle;

use crate::arguments;
use crate::figures::{Durations, per_second, ratio, show_duration, show_rate, show_ratio};
use crate::limit;
use crate::message::APPID;
use crate::meter::{self, Meter};
use crate::program::{Program, free_address};
use crate::stage::Stage;
use crate::table::{self, say};

/// How many people give leads by each rule, and how many get them.
const SOURCES: usize = 5;
const TARGETS: usize = 10;

/// Since when nobody has touched the leads.
const UNTOUCHED: Duration = Duration::from_secs(100 * 60 * 60);
/// How often somebody wants to change one of the leads while they move.
const ASKED_EVERY: Duration = Duration::from_millis(5);
/// How often to look whether the run is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(600);

const SECRET: &str = "a signing secret for the bench, longer than 32 bytes";

/// Measures and prints.
///
/// # Errors
/// If the database or the program fails, or a lead was not moved exactly once.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Transfer) -> anyhow::Result<()> {
    let stage = Stage::open(url, arguments.rules * (SOURCES + TARGETS)).await?;
    let leads = enter(&stage, arguments).await?;
    if !stage.url().is_embedded() {
        let tables = ["customers", "assignments", "users"];
        let analyze = tables.map(|table| format!("VACUUM (ANALYZE) {table}"));
        stage.execute(analyze.to_vec()).await?;
    }
    stage.settle().await?;

    let address = free_address()?;
    let flags = [
        stage.program_flag(),
        format!("--listen={address}"),
        format!("--jwt-secret={SECRET}"),
        format!("--wechat-appid={APPID}"),
        "--log=warn".to_owned(),
    ];
    let meter = Meter::start(&stage, &[])?;
    // It makes up at once for the hour that was missed.
    let programs = [Program::start("crm-api", &flags, stage.folder())?];
    let asking = ask(stage.database().clone(), leads.clone());
    let ended = until_over(stage.database())
        .await
        .with_context(|| programs[0].last_words())?;
    asking.abort_asking();
    let used = meter.read(&programs)?;
    let waited = asking.waited().await?;
    let [program] = programs;
    program.stop().await?;

    let moved = usize::try_from(ended.moved)?;
    ensure!(
        moved == arguments.leads,
        "{moved} of {} leads have moved",
        arguments.leads
    );
    let (history, notices, messages) = rows(&stage)?;
    ensure!(
        history == 2 * i64::try_from(arguments.leads)?,
        "{history} lines of history: a lead has moved twice"
    );
    let by_hand = by_hand(&stage, &leads).await?;
    say(&stage.describe()?);
    say(&format!(
        "{} leads, {} rules of {SOURCES} people who give and {TARGETS} who get; {notices} people told, {messages} messages",
        arguments.leads, arguments.rules
    ));
    let time = ended.finished_at.since(ended.began_at);
    let (ours, limit) = (per_second(moved, time), per_second(moved, by_hand));
    table::print(
        ["lead transfer", "leads", "time", "rate"],
        [
            ("the run", time, ours),
            ("its rows, by hand", by_hand, limit),
        ]
        .map(|(name, time, rate)| {
            let [time, rate] = [show_duration(time), show_rate(rate)];
            [name.to_owned(), moved.to_string(), time, rate]
        }),
    );
    say(&format!("ratio {}", show_ratio(ratio(ours, limit))));
    table::print(
        [
            "whoever changes one of the leads meanwhile",
            "times",
            "p50",
            "p99",
            "max",
        ],
        [[
            "waits".to_owned(),
            waited.len().to_string(),
            show_duration(waited.percentile(0.5)),
            show_duration(waited.percentile(0.99)),
            show_duration(waited.percentile(1.0)),
        ]],
    );
    meter::print_for(&used, moved);
    Ok(())
}

/// How long it takes to write the same rows by hand, once more for the same leads.
async fn by_hand(stage: &Stage, leads: &[CustomerId]) -> anyhow::Result<Duration> {
    let tables = [
        "customers",
        "assignments",
        "operation_logs",
        "lead_transfer_records",
    ];
    let begin = if stage.url().is_embedded() {
        "BEGIN IMMEDIATE"
    } else {
        let vacuum = tables.map(|table| format!("VACUUM (ANALYZE) {table}"));
        stage.execute(vacuum.to_vec()).await?;
        "BEGIN"
    };
    stage.settle().await?;
    let people: Vec<UserId> = stage.people().iter().map(|one| one.id.clone()).collect();
    let transactions = limit::transfer::transactions(leads, &people, stage.now(), begin);
    let asking = ask(stage.database().clone(), leads.to_vec());
    let began_at = Instant::now();
    stage.execute(transactions).await?;
    let time = began_at.elapsed();
    asking.abort_asking();
    asking.waited().await?;
    Ok(time)
}

/// Leads with their owners and one line of history each, and rules that want them.
async fn enter(stage: &Stage, arguments: &arguments::Transfer) -> Result<Vec<CustomerId>, DbError> {
    let now = stage.now();
    let mut all = Vec::with_capacity(arguments.leads);
    let people: Vec<UserId> = stage
        .people()
        .iter()
        .map(|person| person.id.clone())
        .collect();
    let crews: Vec<Vec<UserId>> = people
        .chunks(SOURCES + TARGETS)
        .map(<[UserId]>::to_vec)
        .collect();
    let numbers: Vec<usize> = (0..arguments.leads).collect();
    for chunk in numbers.chunks(1_000) {
        let leads: Vec<(usize, CustomerId, UserId)> = chunk
            .iter()
            .map(|&number| {
                let crew = &crews[number % crews.len()];
                let owner = crew[number / crews.len() % SOURCES].clone();
                (number, CustomerId::generate(), owner)
            })
            .collect();
        all.extend(leads.iter().map(|(_, id, _)| id.clone()));
        stage
            .database()
            .write(move |transaction| {
                let connection = transaction.connection();
                let touched_at = now.before(UNTOUCHED);
                let rows: Vec<_> = leads
                    .iter()
                    .map(|(number, id, owner)| {
                        (
                            customers::id.eq(id.clone()),
                            customers::number.eq(format!("CUS{number:011}")),
                            customers::name.eq(format!("客户{number}")),
                            customers::phone.eq(format!("139{number:08}")),
                            customers::lead_source.eq("美团"),
                            customers::contract_status.eq("待定"),
                            customers::assigned_to.eq(owner.clone()),
                            customers::last_activity_at.eq(touched_at),
                            customers::created_at.eq(touched_at),
                            customers::updated_at.eq(touched_at),
                        )
                    })
                    .collect();
                let history: Vec<_> = leads
                    .iter()
                    .map(|(_, id, owner)| {
                        (
                            assignments::id.eq(AssignmentId::generate()),
                            assignments::customer_id.eq(id.clone()),
                            assignments::to_user_id.eq(owner.clone()),
                            assignments::entrance.eq("create"),
                            assignments::created_at.eq(touched_at),
                        )
                    })
                    .collect();
                each_backend!(&mut *connection, |c| diesel::insert_into(customers::table)
                    .values(rows)
                    .execute(c))?;
                each_backend!(&mut *connection, |c| diesel::insert_into(
                    assignments::table
                )
                .values(history)
                .execute(c))?;
                Ok::<_, DbError>(())
            })
            .await?;
    }
    stage
        .database()
        .write(move |transaction| {
            let connection = transaction.connection();
            for (number, crew) in crews.iter().enumerate() {
                enter_rule(connection, number, crew, now)?;
            }
            diesel::insert_into(schedules::table)
                .values((
                    schedules::name.eq("lead_transfer"),
                    schedules::last_slot.eq(now.before(Duration::from_secs(2 * 60 * 60))),
                    schedules::updated_at.eq(now),
                ))
                .execute(connection)?;
            Ok::<_, DbError>(())
        })
        .await?;
    Ok(all)
}

fn enter_rule(
    connection: &mut shared::db::DbConnection,
    number: usize,
    crew: &[UserId],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    use {lead_transfer_rule_users as members, lead_transfer_rules as rules};

    let id = TransferRuleId::generate();
    diesel::insert_into(rules::table)
        .values((
            rules::id.eq(id.clone()),
            rules::name.eq(format!("规则{number}")),
            rules::enabled.eq(true),
            rules::inactive_hours.eq(48),
            rules::cooldown_hours.eq(24),
            rules::transfers_max.eq(0),
            rules::contract_statuses.eq("[]"),
            rules::lead_sources.eq("[]"),
            rules::window_enabled.eq(false),
            rules::window_start.eq("09:30"),
            rules::window_end.eq("18:30"),
            rules::strategy.eq("balanced"),
            rules::created_at.eq(now),
            rules::updated_at.eq(now),
        ))
        .execute(connection)?;
    for (position, user) in (0..).zip(crew) {
        let gives = usize::try_from(position).is_ok_and(|place| place < SOURCES);
        diesel::insert_into(members::table)
            .values((
                members::rule_id.eq(id.clone()),
                members::user_id.eq(user.clone()),
                members::is_source.eq(gives),
                members::is_target.eq(!gives),
                members::position.eq(position),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// A run that is over.
struct EndedRun {
    moved: i32,
    began_at: UtcTimestamp,
    finished_at: UtcTimestamp,
}

async fn until_over(database: &Database) -> anyhow::Result<EndedRun> {
    let asked_since = Instant::now();
    loop {
        let ended: Option<(i32, UtcTimestamp, Option<UtcTimestamp>)> = database
            .run(|connection| {
                let over =
                    lead_transfer_runs::table.filter(lead_transfer_runs::finished_at.is_not_null());
                let columns = (
                    lead_transfer_runs::moved,
                    lead_transfer_runs::created_at,
                    lead_transfer_runs::finished_at,
                );
                Ok::<_, DbError>(over.select(columns).first(connection).optional()?)
            })
            .await?;
        if let Some((moved, began_at, Some(finished_at))) = ended {
            return Ok(EndedRun {
                moved,
                began_at,
                finished_at,
            });
        }
        ensure!(asked_since.elapsed() < PATIENCE, "the run is not over");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Somebody who changes one lead after the other.
struct Asking {
    stop: tokio::sync::watch::Sender<bool>,
    task: JoinHandle<Result<Vec<Duration>, DbError>>,
}

impl Asking {
    fn abort_asking(&self) {
        self.stop.send_replace(true);
    }

    async fn waited(self) -> anyhow::Result<Durations> {
        Ok(Durations::new(self.task.await??))
    }
}

fn ask(database: Database, leads: Vec<CustomerId>) -> Asking {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let task = tokio::spawn(async move {
        let mut waited = Vec::new();
        while !*stopped.borrow() {
            let lead = leads[rand::random_range(0..leads.len())].clone();
            let asked_at = Instant::now();
            database
                .write(move |transaction| {
                    diesel::update(customers::table.find(lead))
                        .set(customers::remarks.eq("看过"))
                        .execute(transaction.connection())?;
                    Ok::<_, DbError>(())
                })
                .await?;
            waited.push(asked_at.elapsed());
            tokio::time::sleep(ASKED_EVERY).await;
        }
        Ok(waited)
    });
    Asking { stop, task }
}

/// Lines of history, people told, and messages.
fn rows(stage: &Stage) -> anyhow::Result<(i64, i64, i64)> {
    let mut connection = stage.connection()?;
    let connection = &mut connection;
    let records: i64 = lead_transfer_records::table
        .count()
        .get_result(connection)?;
    let history: i64 = assignments::table.count().get_result(connection)?;
    ensure!(
        history == 2 * records,
        "{records} records, {history} lines of history"
    );
    let notices = notifications::table.count().get_result(connection)?;
    let messages = outbox_messages::table.count().get_result(connection)?;
    Ok((history, notices, messages))
}
