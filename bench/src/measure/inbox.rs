//! How long the questions of the notification centre take beside very many entries.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::schema::notifications;
use shared::db::{DatabaseUrl, DbConnection, DbError, each_backend};
use shared::domain::{NotificationId, UserId, UtcTimestamp};
use shared::notification::{
    self, InboxFilter, Kind, NotificationPriority, ReadFilter, entries_since,
};

use crate::arguments;
use crate::figures::{Durations, show_duration};
use crate::stage::Stage;
use crate::table::{self, say};

/// How far apart two entries are, in time.
const APART: Duration = Duration::from_secs(6);

/// Entries written in one statement.
const AT_ONCE: usize = 1_000;

/// One entry in so many is unread.
const UNREAD_ONE_IN: usize = 10;

type Question = fn(&mut DbConnection, &UserId) -> Result<(), DbError>;

/// Measures and prints.
///
/// # Errors
/// What the database says.
pub async fn run(url: Option<&DatabaseUrl>, arguments: &arguments::Inbox) -> anyhow::Result<()> {
    let stage = Stage::open(url, arguments.people).await?;
    fill(&stage, arguments.entries).await?;
    stage.settle().await?;
    let mut connection = stage.connection()?;
    let people: Vec<UserId> = stage.people().iter().map(|p| p.id.clone()).collect();
    let samples = arguments.samples;
    let rows = tokio::task::spawn_blocking(move || {
        let mut rows = Vec::new();
        for (name, question) in QUESTIONS {
            let mut took = Vec::with_capacity(samples);
            for number in 0..samples {
                // Far apart, so that few pages of the table are in memory already.
                let person = &people[number * 37 % people.len()];
                let asked_at = Instant::now();
                question(&mut connection, person)?;
                took.push(asked_at.elapsed());
            }
            rows.push((*name, Durations::new(took)));
        }
        let plans = plans(&mut connection, &people[0])?;
        anyhow::Ok((rows, plans))
    });
    let (rows, plans) = rows.await??;
    say(&stage.describe()?);
    say(&format!(
        "{} entries of {} people; each question asked {samples} times, of one after the other",
        arguments.entries, arguments.people
    ));
    table::print(
        ["question", "p50", "p99", "max"],
        rows.iter().map(|(name, took)| {
            [
                (*name).to_owned(),
                show_duration(took.percentile(0.5)),
                show_duration(took.percentile(0.99)),
                show_duration(took.percentile(1.0)),
            ]
        }),
    );
    for line in plans {
        say(&line);
    }
    Ok(())
}

const QUESTIONS: &[(&str, Question)] = &[
    ("first page, with the number of all", |connection, user| {
        list(connection, user, &InboxFilter::default(), 0)
    }),
    ("page 40", |connection, user| {
        list(connection, user, &InboxFilter::default(), 39 * 20)
    }),
    ("unread only", |connection, user| {
        let filter = InboxFilter {
            read: ReadFilter::UnreadOnly,
            ..InboxFilter::default()
        };
        list(connection, user, &filter, 0)
    }),
    ("one kind", |connection, user| {
        let filter = InboxFilter {
            kind: Some(Kind::CustomerTransferredAway),
            ..InboxFilter::default()
        };
        list(connection, user, &filter, 0)
    }),
    ("search, many found", |connection, user| {
        search(connection, user, "王女士")
    }),
    ("search, nothing found", |connection, user| {
        search(connection, user, "no such text")
    }),
    ("unread count", |connection, user| {
        notification::unread_count(connection, user).map(drop)
    }),
    ("by kind and priority", |connection, user| {
        let day = seen_at(connection)?.before(Duration::from_secs(60 * 60));
        notification::inbox_summary(connection, user, day).map(drop)
    }),
    ("since the newest", |connection, user| {
        let moment = seen_at(connection)?;
        let seen = NotificationId::earliest_at(moment);
        entries_since(connection, user, &seen, moment, 201).map(drop)
    }),
];

fn seen_at(connection: &mut DbConnection) -> Result<UtcTimestamp, DbError> {
    shared::db::dialect::database_time(connection)
}

fn search(connection: &mut DbConnection, user: &UserId, part: &str) -> Result<(), DbError> {
    let filter = InboxFilter {
        search: Some(part.to_owned()),
        ..InboxFilter::default()
    };
    list(connection, user, &filter, 0)
}

fn list(
    connection: &mut DbConnection,
    user: &UserId,
    filter: &InboxFilter,
    offset: i64,
) -> Result<(), DbError> {
    notification::inbox(connection, user, filter, offset, 20).map(drop)
}

/// Entries of everybody in turn, the last one now.
async fn fill(stage: &Stage, entries: usize) -> anyhow::Result<()> {
    let people: Vec<UserId> = stage.people().iter().map(|p| p.id.clone()).collect();
    let now = stage.now();
    for from in (0..entries).step_by(AT_ONCE) {
        let people = people.clone();
        stage
            .database()
            .write(move |transaction| {
                let rows: Vec<_> = (from..entries.min(from + AT_ONCE))
                    .map(|number| {
                        let left = u32::try_from(entries - number).unwrap_or(u32::MAX);
                        let made_at = now.before(APART * left);
                        let kind = if (number / people.len()).is_multiple_of(5) {
                            Kind::CustomerTransferredAway
                        } else {
                            Kind::CustomerAssigned
                        };
                        let turn = number / people.len();
                        (
                            notifications::id.eq(NotificationId::earliest_at(made_at)),
                            notifications::user_id.eq(people[number % people.len()].clone()),
                            notifications::kind.eq(kind),
                            notifications::title.eq("客户分配通知"),
                            notifications::content.eq(format!(
                                "您有新的客户【王女士{number}】，电话：138****8999，来源：美团，请及时跟进！"
                            )),
                            notifications::priority.eq(NotificationPriority::High),
                            notifications::link.eq(format!("/customers/{number}")),
                            notifications::data.eq(format!(
                                "{{\"customerName\":\"王女士{number}\",\"phone\":\"138****8999\",\"leadSource\":\"美团\"}}"
                            )),
                            notifications::read_at
                                .eq((!turn.is_multiple_of(UNREAD_ONE_IN)).then_some(made_at)),
                            notifications::created_at.eq(made_at),
                        )
                    })
                    .collect();
                each_backend!(transaction.connection(), |c| diesel::insert_into(
                    notifications::table
                )
                .values(rows)
                .execute(c))?;
                Ok::<_, DbError>(())
            })
            .await?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct PlanLine {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// What PostgreSQL does for the list, the count and the search.
fn plans(connection: &mut DbConnection, user: &UserId) -> anyhow::Result<Vec<String>> {
    let DbConnection::Postgres(connection) = connection else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for query in [
        format!(
            "SELECT * FROM notifications WHERE user_id = '{user}' AND deleted_at IS NULL \
             ORDER BY id DESC LIMIT 20"
        ),
        format!(
            "SELECT count(*) FROM notifications WHERE user_id = '{user}' AND deleted_at IS NULL"
        ),
        format!(
            "SELECT count(*) FROM notifications WHERE user_id = '{user}' AND deleted_at IS NULL \
             AND (lower(title) LIKE '%no such%' OR lower(content) LIKE '%no such%')"
        ),
        format!("SELECT count(*) FROM notifications WHERE user_id = '{user}' AND read_at IS NULL"),
    ] {
        lines.push(format!("\n{query}"));
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {query}");
        let plan: Vec<PlanLine> = diesel::sql_query(explain).load(connection)?;
        lines.extend(plan.into_iter().map(|row| format!("  {}", row.line)));
    }
    Ok(lines)
}
