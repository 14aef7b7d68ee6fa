//! What it costs whoever writes members by SQL that the database captures it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::schema::{members, outbox_messages};
use shared::db::{DatabaseUrl, DbConnection};
use shared::domain::Channel;
use shared::members::Write;
use shared::notification::{Kind, Route, RouteSettings, put_route};

use crate::arguments;
use crate::figures::{
    Durations, per_second, ratio, show_duration, show_rate, show_ratio, to_float,
};
use crate::stage::Stage;
use crate::table::{self, say};

/// Whether the database captures what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Triggers {
    Kept,
    Dropped,
}

/// How long the same rows took.
struct Inserted {
    /// All in one statement.
    together: Duration,
    /// Each in one of its own, with its commit.
    singly: Durations,
    messages: i64,
}

/// Measures and prints.
///
/// # Errors
/// What the database says.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Trigger) -> anyhow::Result<()> {
    let stage = Stage::open(url, 0).await?;
    let with = insert(&stage, arguments, Triggers::Kept).await?;
    let described = stage.describe()?;
    drop(stage);
    let stage = Stage::open(url, 0).await?;
    let without = insert(&stage, arguments, Triggers::Dropped).await?;
    drop(stage);

    let rows = arguments.rows + arguments.singles;
    let messages = usize::try_from(with.messages)?;
    ensure!(
        messages == rows && without.messages == 0,
        "{messages} messages of {rows} members, and {} without triggers",
        without.messages
    );
    say(&described);
    say(&format!(
        "{} members inserted by one statement, then {} one by one; a message of each",
        arguments.rows, arguments.singles
    ));
    print(arguments, &with, &without);
    Ok(())
}

async fn insert(
    stage: &Stage,
    arguments: &arguments::Trigger,
    triggers: Triggers,
) -> anyhow::Result<Inserted> {
    route(stage).await?;
    if triggers == Triggers::Dropped {
        let on_table = if stage.url().is_embedded() {
            ""
        } else {
            " ON members"
        };
        for write in [Write::Insert, Write::Update] {
            let drop = format!("DROP TRIGGER {}{on_table}", write.trigger());
            stage.execute(vec![drop]).await?;
        }
    }
    stage.settle().await?;
    let mut connection = stage.connection()?;
    let (rows, singles) = (arguments.rows, arguments.singles);
    tokio::task::spawn_blocking(move || {
        let began_at = Instant::now();
        connection.batch_execute(&many(rows))?;
        let together = began_at.elapsed();
        let mut singly = Vec::with_capacity(singles);
        for number in 0..singles {
            let began_at = Instant::now();
            connection.batch_execute(&one(number))?;
            singly.push(began_at.elapsed());
        }
        count(&mut connection, rows + singles)?;
        Ok(Inserted {
            together,
            singly: Durations::new(singly),
            messages: outbox_messages::table.count().get_result(&mut connection)?,
        })
    })
    .await?
}

/// One route, as an administrator switches it on.
async fn route(stage: &Stage) -> anyhow::Result<()> {
    let now = stage.now();
    let route = Route {
        kind: Kind::MemberRegistered,
        channel: Channel::WecomApp,
        settings: RouteSettings {
            enabled: true,
            recipients: Some("@all".parse()?),
            ..RouteSettings::default()
        },
    };
    let database = stage.database();
    database
        .write(move |transaction| put_route(transaction, &route, now))
        .await?;
    Ok(())
}

const COLUMNS: &str = "member_no, nickname, wechat, phone, gender, birth_year, height, weight, \
     province, city, district, education, occupation";
const DETAILS: &str = "'female', 1990, 172, 60, '浙江', '杭州', '西湖区', 'bachelor', 'teacher'";

fn many(rows: usize) -> String {
    format!(
        "INSERT INTO members ({COLUMNS}) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) \
         SELECT 'A' || n, '会员' || n, 'wx-a' || n, '138' || (10000000 + n), {DETAILS} FROM numbers"
    )
}

fn one(number: usize) -> String {
    format!(
        "INSERT INTO members ({COLUMNS}) \
         VALUES ('B{number}', '会员{number}', 'wx-b{number}', '139{number:08}', {DETAILS})"
    )
}

/// Makes sure that the members are there.
fn count(connection: &mut DbConnection, wanted: usize) -> anyhow::Result<()> {
    let there: i64 = members::table.count().get_result(connection)?;
    ensure!(
        usize::try_from(there)? == wanted,
        "{there} members instead of {wanted}"
    );
    Ok(())
}

fn print(arguments: &arguments::Trigger, with: &Inserted, without: &Inserted) {
    let together = |inserted: &Inserted| per_second(arguments.rows, inserted.together);
    let added = with.together.saturating_sub(without.together).as_secs_f64();
    let line = |name: &str, share: f64| {
        let (ours, limit) = (
            with.singly.percentile(share),
            without.singly.percentile(share),
        );
        [
            name.to_owned(),
            show_duration(ours),
            show_duration(limit),
            show_ratio(ratio(ours.as_secs_f64(), limit.as_secs_f64())),
            show_duration(ours.saturating_sub(limit)),
        ]
    };
    table::print(
        [
            "members",
            "with triggers",
            "limit (without)",
            "ratio",
            "added for each",
        ],
        [
            [
                "by one statement".to_owned(),
                show_rate(together(with)),
                show_rate(together(without)),
                show_ratio(ratio(together(with), together(without))),
                format!("{:.1} µs", ratio(added * 1e6, to_float(arguments.rows))),
            ],
            line("one by one, p50", 0.5),
            line("one by one, p99", 0.99),
        ],
    );
}
