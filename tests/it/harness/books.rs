//! The books after a fault: what was enqueued, what became of it, what the platform got.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::sync::Once;
use std::time::Duration;

use diesel::prelude::*;
use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::outbox_attempts;
use shared::db::{DbConnection, DbError};
use shared::domain::{OutboxMessageId, UtcTimestamp};
use shared::outbox::{Message, Status, backlog, holds};
use wechat_sandbox::MessageFilter;

use super::drain::{Drain, long_run, name_of_round};
use super::{Employee, eventually, moment};

/// Something that went wrong: what it is called in the table, when it was, and how many requests
/// it interrupted.
#[derive(Debug)]
pub struct Incident {
    fault: String,
    began_at: UtcTimestamp,
    over_at: Option<UtcTimestamp>,
    interrupted: usize,
}

/// What an incident has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Messages that were committed and have not arrived.
    pub lost: usize,
    /// Messages that the platform accepted once more than it should have.
    pub repeated: usize,
    /// Attempts that counted and did not deliver.
    pub attempts: usize,
}

/// Who was told what: a message as the platform can tell it from others.
type Told = (String, String);

/// The verdicts under which an attempt counts although it did not deliver.
const COUNTED: [&str; 3] = ["retry", "unknown", "rescued"];
/// Those of them after which nobody knows whether it was delivered.
const IN_DOUBT: [&str; 2] = ["unknown", "rescued"];

/// Those of a message that was under way, whatever it cost. (Not `postponed`, which says that two
/// relays had a message for one person each.)
const INTERRUPTED: [&str; 4] = ["retry", "unknown", "rescued", "held"];

/// What every line of the table begins with, so that they can be collected from a run.
const TABLE: &str = "fault table:";

/// What is left out of a rate at either end.
const WARM_UP: Duration = Duration::from_secs(1);

/// A rate is taken over at least this long; shorter, it says more about the machine.
const RATE_WINDOW_MIN: Duration = Duration::from_secs(3);

/// So many messages can be waited for by counting them; and so many more than relays with a few slots
/// can have delivered and not yet settled.
const FEW: usize = 400;

impl Incident {
    pub(super) fn begin(fault: &str, began_at: UtcTimestamp) -> Self {
        Self {
            fault: fault.to_owned(),
            began_at,
            over_at: None,
            interrupted: 0,
        }
    }

    /// So many requests at most were interrupted by it: each may have used up one attempt, and may
    /// have led to one repeat.
    pub fn interrupting(mut self, requests: usize) -> Self {
        self.interrupted = requests;
        self
    }

    /// Nothing is wrong any more.
    pub fn is_over(&mut self) {
        self.over_at = Some(SystemClock.now());
    }
}

impl Drain<'_> {
    /// Waits until every message has its final state, prints the line of the table, and checks the
    /// books.
    pub async fn close_books(&self, incident: &Incident) -> Cost {
        self.until_final().await;
        let database = self.stage.database;
        let messages = database.messages().await;
        let attempts = database.read(attempts_by_message).await;
        let told = told(&self.people, &messages);
        let arrived = self.arrived();
        let cost = self.cost(&told, &attempts, &arrived);
        say(&self.line(incident, &messages, &attempts, cost));

        for (key, message) in &told {
            assert_eq!(message.status, Status::Sent, "{message:?}");
            let attempts = Attempts::of(message, &attempts);
            assert!(
                arrived
                    .get(key)
                    .is_none_or(|times| times - 1 <= attempts.with(&IN_DOUBT)),
                "{} was repeated without a doubt: {attempts:?}",
                message.id
            );
            assert_eq!(
                usize::try_from(message.attempt).unwrap(),
                attempts.with(&COUNTED) + 1,
                "{} has used up attempts that nobody knows of: {attempts:?}",
                message.id
            );
        }
        assert_eq!(cost.lost, 0, "{}", incident.fault);
        assert!(
            cost.repeated <= incident.interrupted && cost.attempts <= incident.interrupted,
            "{}: {} requests were interrupted at most, but {cost:?}",
            incident.fault,
            incident.interrupted
        );
        let stats = self.stage.sandbox.stats();
        assert_eq!(
            (stats.accepted, stats.in_flight),
            ((messages.len() + cost.repeated) as u64, 0),
            "the platform has accepted each message once, and the repeats, and nothing else"
        );
        assert_eq!(database.read(holds).await, [], "no channel is held");
        cost
    }

    fn cost(
        &self,
        told: &BTreeMap<Told, &Message>,
        attempts: &AttemptsByMessage,
        arrived: &BTreeMap<Told, usize>,
    ) -> Cost {
        let committed = self.committed.iter().flat_map(|round| {
            let name = name_of_round(*round);
            self.people
                .iter()
                .map(move |person| (person.openid.clone(), name.clone()))
        });
        let expected: BTreeSet<Told> = committed.chain(told.keys().cloned()).collect();
        let counted = told
            .values()
            .map(|message| Attempts::of(message, attempts).with(&COUNTED));
        Cost {
            lost: expected
                .iter()
                .filter(|key| !arrived.contains_key(*key))
                .count(),
            repeated: arrived.values().map(|times| times - 1).sum(),
            attempts: counted.sum(),
        }
    }

    /// In a long run there is more to wait for than elsewhere.
    async fn until_final(&self) {
        let mut left = self.unfinished().await;
        // To count thousands of rows all the time costs the relays a third of their rate: as long
        // as many are left, the platform says how it goes.
        while left > FEW {
            self.until_more_are_accepted((left - FEW).min(FEW)).await;
            left = self.unfinished().await;
        }
        while left > 0 {
            eventually("another message has its final state", async || {
                let now = self.unfinished().await;
                std::mem::replace(&mut left, now) != now || now == 0
            })
            .await;
        }
        eventually("no request is under way", async || {
            self.stage.sandbox.stats().in_flight == 0
        })
        .await;
    }

    async fn unfinished(&self) -> usize {
        let backlog = self.stage.database.read(|c| backlog(c, moment())).await;
        usize::try_from(backlog.count(Status::Pending) + backlog.count(Status::Sending)).unwrap()
    }

    /// What the platform accepted, and how often.
    fn arrived(&self) -> BTreeMap<Told, usize> {
        let mut arrived = BTreeMap::new();
        for message in self.stage.sandbox.messages(&MessageFilter::default()) {
            let name = message.data()["thing1"]["value"].clone();
            let key = (message.envelope.recipient().to_owned(), text(&name));
            *arrived.entry(key).or_default() += 1;
        }
        arrived
    }

    fn line(
        &self,
        incident: &Incident,
        messages: &[Message],
        attempts: &AttemptsByMessage,
        cost: Cost,
    ) -> String {
        let over_at = incident.over_at.expect("the incident is over");
        let database = match self.stage.database.connection() {
            DbConnection::Sqlite(_) => "sqlite",
            DbConnection::Postgres(_) => "postgres",
        };
        let after = |moment: Option<UtcTimestamp>| {
            moment.map_or_else(
                || "-".to_owned(),
                |moment| format!("{:.1} s", moment.since(over_at).as_secs_f64()),
            )
        };
        let sent: Vec<UtcTimestamp> = messages.iter().filter_map(|m| m.sent_at).collect();
        let next = sent.iter().copied().filter(|at| *at >= over_at).min();
        let interrupted = messages
            .iter()
            .filter(|message| Attempts::of(message, attempts).with(&INTERRUPTED) > 0)
            .filter_map(|message| message.sent_at)
            .max();
        let mut line = format!(
            "| {:<52} | {database:<8} | {:>6} | {:>4} | {:>8} | {:>8} | {:>9} | {:>11} | {:>8} |",
            incident.fault,
            messages.len(),
            cost.lost,
            cost.repeated,
            cost.attempts,
            after(next),
            after(interrupted),
            after(sent.iter().copied().max()),
        );
        if long_run().is_some() {
            let goes_on_at = next.unwrap_or(over_at);
            line.push_str(&rates(&sent, incident.began_at, goes_on_at).map_or_else(
                || " -      | -      | -    |".to_owned(),
                |(before, after)| {
                    let share = 100.0 * after / before;
                    format!(" {before:>4.0}/s | {after:>4.0}/s | {share:.0} % |")
                },
            ));
        }
        line
    }
}

/// The messages, by what the platform can tell them by.
fn told<'messages>(
    people: &[Employee],
    messages: &'messages [Message],
) -> BTreeMap<Told, &'messages Message> {
    let openids: HashMap<&str, &str> = people
        .iter()
        .map(|person| (person.id.as_str(), person.openid.as_str()))
        .collect();
    let keyed = messages.iter().map(|message| {
        let payload: Value = serde_json::from_str(&message.payload).unwrap();
        let openid = openids[message.recipient_id.as_str()];
        ((openid.to_owned(), text(&payload["customerName"])), message)
    });
    let told: BTreeMap<Told, &Message> = keyed.collect();
    assert_eq!(told.len(), messages.len(), "no two messages are alike");
    told
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

type AttemptsByMessage = HashMap<OutboxMessageId, Vec<String>>;

fn attempts_by_message(connection: &mut DbConnection) -> Result<AttemptsByMessage, DbError> {
    let rows: Vec<(OutboxMessageId, String)> = outbox_attempts::table
        .order(outbox_attempts::id)
        .select((outbox_attempts::message_id, outbox_attempts::verdict))
        .load(connection)?;
    let mut attempts = AttemptsByMessage::new();
    for (message, verdict) in rows {
        attempts.entry(message).or_default().push(verdict);
    }
    Ok(attempts)
}

/// The verdicts of those attempts of a message that did not simply succeed.
#[derive(Debug)]
struct Attempts<'all>(&'all [String]);

impl<'all> Attempts<'all> {
    fn of(message: &Message, all: &'all AttemptsByMessage) -> Self {
        Self(all.get(&message.id).map_or(&[], Vec::as_slice))
    }

    fn with(&self, verdicts: &[&str]) -> usize {
        self.0
            .iter()
            .filter(|verdict| verdicts.contains(&verdict.as_str()))
            .count()
    }
}

/// Messages per second before the incident and after it: from the second after the first to the
/// incident, and from the second after the first that was sent when it was over to shortly before the
/// end.
fn rates(
    sent: &[UtcTimestamp],
    began_at: UtcTimestamp,
    goes_on_at: UtcTimestamp,
) -> Option<(f64, f64)> {
    let (first, last) = (sent.iter().copied().min()?, sent.iter().copied().max()?);
    let before = rate(sent, first.after(WARM_UP), began_at)?;
    let after = rate(sent, goes_on_at.after(WARM_UP), last.before(WARM_UP))?;
    Some((before, after))
}

fn rate(sent: &[UtcTimestamp], from: UtcTimestamp, to: UtcTimestamp) -> Option<f64> {
    let window = to.since(from);
    let count = sent.iter().filter(|at| (from..to).contains(*at)).count();
    (window >= RATE_WINDOW_MIN).then(|| count as f64 / window.as_secs_f64())
}

/// Prints a line of the table. Past the capture of the test runner: the table is a result of the
/// run, not the talk of one test.
fn say(line: &str) {
    static HEADING: Once = Once::new();
    let mut out = std::io::stdout().lock();
    HEADING.call_once(|| writeln!(out, "{TABLE} {}", heading()).unwrap());
    writeln!(out, "{TABLE} {line}").unwrap();
}

fn heading() -> String {
    let mut heading = format!(
        "| {:<52} | {:<8} | {:>6} | {:>4} | {:>8} | {:>8} | {:>9} | {:>11} | {:>8} |",
        "fault",
        "database",
        "rows",
        "lost",
        "repeated",
        "attempts",
        "next sent",
        "interrupted",
        "all sent"
    );
    if long_run().is_some() {
        heading.push_str(" before | after  |      |");
    }
    heading
}
