//! Other messages, by the million: those that wait behind the urgent ones, and those that were sent
//! long ago. Written by the database itself, in one statement each.

use std::fmt;
use std::time::Duration;

use shared::db::DatabaseUrl;
use shared::domain::UtcTimestamp;

use crate::message;
use crate::stage::Stage;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What they are there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Waiting for their time, tomorrow; then they are urgent.
    Later,
    /// Waiting for their turn: due, with the lowest priority.
    LowPriority,
    /// Sent yesterday.
    Finished,
}

/// Puts so many messages into a stage's table, to everybody in turn.
///
/// # Errors
/// What the database says.
pub async fn gather(stage: &Stage, crowd: Crowd, count: usize) -> anyhow::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let people = stage.people().len();
    stage
        .execute(vec![
            "CREATE TABLE bench_people (number INTEGER PRIMARY KEY, id TEXT NOT NULL)".to_owned(),
            "INSERT INTO bench_people SELECT row_number() OVER (ORDER BY id) - 1, id FROM users"
                .to_owned(),
            insert(stage.url(), crowd, count, people, stage.now()),
            "DROP TABLE bench_people".to_owned(),
        ])
        .await
}

fn insert(
    url: &DatabaseUrl,
    crowd: Crowd,
    count: usize,
    people: usize,
    now: UtcTimestamp,
) -> String {
    let tomorrow = Moments::from(url, now.after(DAY));
    let yesterday = Moments::from(url, now.before(DAY));
    let columns = match crowd {
        Crowd::Later => {
            format!("'pending', 0, 0, 0, {tomorrow}, NULL, {yesterday}, NULL, NULL")
        }
        Crowd::LowPriority => {
            format!("'pending', 2, 0, 0, {yesterday}, NULL, {yesterday}, NULL, NULL")
        }
        Crowd::Finished => {
            format!(
                "'sent', 0, 1, 1, {yesterday}, '1000000000000000001', {yesterday}, {yesterday}, {yesterday}"
            )
        }
    };
    // Of the form of a UUID whose time is in the past; a block of its own for each crowd.
    let block = crowd as u8;
    let payload = message::payload("其他客户");
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) \
         INSERT INTO outbox_messages (id, kind, channel, recipient_id, payload, attempts_max, status, \
         priority, attempt, fence, due_at, provider_message_id, created_at, sent_at, finished_at) \
         SELECT '01900000-000{block}-7000-8000-' || substr('' || (1000000000000 + i), 2), \
         'customer.assigned', 'wechat_subscribe', p.id, '{payload}', 10, {columns} \
         FROM n JOIN bench_people AS p ON p.number = i % {people}"
    )
}

/// An expression for the moments from this one on, a millisecond apart: equal ones would make the
/// indexes smaller than they are in life.
struct Moments {
    from: String,
    is_text: bool,
}

impl Moments {
    fn from(url: &DatabaseUrl, from: UtcTimestamp) -> Self {
        Self {
            from: from.to_datetime().format("%Y-%m-%d %H:%M:%S").to_string(),
            is_text: url.is_embedded(),
        }
    }
}

impl fmt::Display for Moments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = &self.from;
        if self.is_text {
            write!(
                f,
                "strftime('%Y-%m-%d %H:%M:%f', '{from}', '+' || (i * 0.001) || ' seconds')"
            )
        } else {
            write!(f, "timestamp '{from}' + i * interval '1 millisecond'")
        }
    }
}
