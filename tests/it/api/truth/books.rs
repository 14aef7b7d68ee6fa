//! What must be true of the tables afterwards, worked out from the history alone.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::{assignments, customers, notifications};
use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{Message, Status, audit};

use crate::harness::{TestDatabase, seconds};

/// Whose each customer is; nobody's if it is in the public pool.
pub type Owners = BTreeMap<String, Option<String>>;

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
struct Change {
    customer: String,
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    entrance: String,
    request: String,
    at: UtcTimestamp,
}

/// A customer, as it stands.
#[derive(Debug, PartialEq, Eq, Queryable)]
struct Standing {
    id: String,
    owner: Option<String>,
    in_pool: bool,
    level: Option<String>,
    claim_count: i32,
    version: i32,
}

/// The routes of the office.
const CHANNELS: [Channel; 2] = [Channel::WechatSubscribe, Channel::WechatCloud];

/// What moves by rule is told once a run: whoever lost customers, and whoever got some.
const BY_RULE: &str = "auto_transfer";
const RULE_KINDS: [&str; 2] = ["lead.auto_transfer_out", "lead.auto_transfer_in"];

/// What says "this customer is yours".
const SAY_IT_IS_YOURS: [&str; 2] = ["customer.assigned", "customer.assigned_from_pool"];

pub async fn owners(database: &TestDatabase) -> Owners {
    let standing = standing(database).await;
    let owners = standing
        .into_iter()
        .map(|customer| (customer.id, customer.owner));
    owners.collect()
}

/// Checks everything; answers how many changes of owner there were.
pub async fn check(database: &TestDatabase, before: &Owners, per_person_max: u32) -> usize {
    let history = history(database).await;
    check_owners(before, &history, &standing(database).await);
    check_cap(before, &history, per_person_max);
    let messages = database.messages().await;
    let (by_rule, by_people): (Vec<_>, Vec<_>) =
        history.iter().cloned().partition(|c| c.entrance == BY_RULE);
    let of_rules = |kind: &str| RULE_KINDS.contains(&kind);
    let (rule_notices, notices): (Vec<_>, Vec<_>) = notices(database)
        .await
        .into_iter()
        .partition(|(_, kind, _)| of_rules(kind));
    let (rule_messages, told): (Vec<_>, Vec<_>) = messages
        .iter()
        .cloned()
        .partition(|message| of_rules(&message.kind));
    check_told(&by_people, &notices, &told);
    check_told_of_runs(&by_rule, &rule_notices, &rule_messages);
    check_superseded(&history, &messages);

    // The operators' own check comes to the same.
    let now = SystemClock.now();
    let hour = seconds(3_600);
    let report = database
        .read(move |connection| audit(connection, now.before(hour), now.after(hour)))
        .await;
    assert_eq!(report.findings, []);
    assert_eq!(report.assignments, history.len());
    history.len()
}

/// The history of every customer is one chain, and ends where the customer is now.
fn check_owners(before: &Owners, history: &[Change], standing: &[Standing]) {
    for customer in standing {
        let mut owner = before[&customer.id].clone();
        let (mut changes, mut claims) = (0, 0);
        for change in history.iter().filter(|c| c.customer == customer.id) {
            assert_eq!(change.from, owner, "{change:?}");
            assert_ne!(
                change.to, owner,
                "an unchanged owner is no change: {change:?}"
            );
            claims += i32::from(owner.is_none());
            changes += 1;
            owner.clone_from(&change.to);
        }
        let told = (&customer.owner, customer.in_pool, customer.version);
        assert_eq!(told, (&owner, owner.is_none(), 1 + changes), "{customer:?}");
        assert_eq!(customer.claim_count, claims, "{customer:?}");
        let lost = customer.level.as_deref() == Some("流失");
        assert_eq!(lost, customer.in_pool, "{customer:?}");
    }
}

/// Nobody has more than they may after a claim. Whoever gets customers is locked from the count to
/// the commit, and the ids of the history are made in between: in their order nobody has more than
/// they had.
fn check_cap(before: &Owners, history: &[Change], per_person_max: u32) {
    let mut held: BTreeMap<&str, u32> = BTreeMap::new();
    for owner in before.values().flatten() {
        *held.entry(owner).or_default() += 1;
    }
    let mut full = 0;
    for change in history {
        if let Some(from) = &change.from {
            *held.get_mut(from.as_str()).expect("they had it") -= 1;
        }
        if let Some(to) = &change.to {
            let count = held.entry(to).or_default();
            *count += 1;
            if change.entrance == "claim" {
                assert!(*count <= per_person_max, "{count} after {change:?}");
                full += usize::from(*count == per_person_max);
            }
        }
    }
    assert!(full > 0, "nobody came near the cap");
}

/// Who is told what: a request, a person, a kind.
type Told<'a> = (&'a str, &'a str, &'static str);

/// Who is to be told what, at which moment, and whether it goes out.
fn expected(history: &[Change]) -> BTreeMap<Told<'_>, (UtcTimestamp, bool)> {
    let mut gains: BTreeMap<(&str, &str), Vec<&Change>> = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for change in history {
        let request = change.request.as_str();
        if let Some(to) = &change.to {
            gains.entry((request, to)).or_default().push(change);
        }
        if let Some(from) = &change.from
            && change.by.as_ref() != Some(from)
        {
            let kind = match change.to {
                Some(_) => "customer.transferred_away",
                None => "customer.reclaimed",
            };
            expected.insert((request, from.as_str(), kind), (change.at, true));
        }
    }
    for ((request, to), changes) in gains {
        let entrance = changes[0].entrance.as_str();
        let kind = match (changes.len(), entrance) {
            (1, "pool") => "customer.assigned_from_pool",
            (1, _) => "customer.assigned",
            _ => "customer.batch_assigned",
        };
        let goes_out = entrance != "claim";
        expected.insert((request, to, kind), (changes[0].at, goes_out));
    }
    expected
}

/// Everybody concerned is told of every change once: in the centre, and on each channel.
fn check_told(
    history: &[Change],
    notices: &[(String, String, UtcTimestamp)],
    messages: &[Message],
) {
    let expected = expected(history);
    // Two requests may fall into one moment: what is compared is how often.
    let mut centre: BTreeMap<(&str, &str, UtcTimestamp), i32> = BTreeMap::new();
    for ((_, person, kind), (at, _)) in &expected {
        *centre.entry((person, kind, *at)).or_default() += 1;
    }
    for (person, kind, at) in notices {
        *centre.entry((person, kind, *at)).or_default() -= 1;
    }
    centre.retain(|_, difference| *difference != 0);
    assert_eq!(centre, BTreeMap::new(), "the notification centre");

    let mut outbox: BTreeMap<(&str, &str, &str, Channel), i32> = BTreeMap::new();
    for ((request, person, kind), (_, goes_out)) in &expected {
        for channel in CHANNELS.into_iter().filter(|_| *goes_out) {
            *outbox.entry((request, person, kind, channel)).or_default() += 1;
        }
    }
    for message in messages {
        let request = message.request_id.as_ref().expect("of a request");
        let person = message.recipient_id.as_str();
        let told = (
            request.as_str(),
            person,
            message.kind.as_str(),
            message.channel,
        );
        *outbox.entry(told).or_default() -= 1;
    }
    outbox.retain(|_, difference| *difference != 0);
    assert_eq!(outbox, BTreeMap::new(), "the outbox");
}

/// Of every run, everybody who lost customers and everybody who got some is told once: in the centre,
/// and on each channel.
fn check_told_of_runs(
    history: &[Change],
    notices: &[(String, String, UtcTimestamp)],
    messages: &[Message],
) {
    let mut expected: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    for change in history {
        let (from, to) = (change.from.as_deref(), change.to.as_deref());
        expected.insert((&change.request, from.expect("an owner"), RULE_KINDS[0]));
        expected.insert((&change.request, to.expect("an owner"), RULE_KINDS[1]));
    }
    for channel in CHANNELS {
        let on_channel = messages.iter().filter(|message| message.channel == channel);
        let mut told: Vec<(&str, &str, &str)> = on_channel
            .map(|message| {
                let request = message.request_id.as_ref().expect("of a run");
                (
                    request.as_str(),
                    message.recipient_id.as_str(),
                    message.kind.as_str(),
                )
            })
            .collect();
        told.sort_unstable();
        assert_eq!(told, Vec::from_iter(expected.iter().copied()), "{channel}");
    }
    let mut centre: Vec<(&str, &str)> = notices
        .iter()
        .map(|(person, kind, _)| (person.as_str(), kind.as_str()))
        .collect();
    let mut people: Vec<(&str, &str)> = expected
        .iter()
        .map(|(_, person, kind)| (*person, *kind))
        .collect();
    centre.sort_unstable();
    people.sort_unstable();
    assert_eq!(centre, people, "the notification centre");
}

/// What tells somebody that a customer is theirs waits, or has left, if it is true; else it had left
/// before, or was taken back and says what took its place. Everything else waits or has left.
fn check_superseded(history: &[Change], messages: &[Message]) {
    let mut superseded = BTreeSet::new();
    for message in messages {
        let lead = message
            .subject
            .as_deref()
            .and_then(|s| s.strip_prefix("customer:"));
        let yours = SAY_IT_IS_YOURS.contains(&message.kind.as_str());
        let Some(lead) = lead.filter(|_| yours) else {
            assert_ne!(message.status, Status::Cancelled, "{message:?}");
            continue;
        };
        let request = message.request_id.as_ref().expect("of a request").as_str();
        let mut changes = history.iter().filter(|change| change.customer == lead);
        assert!(changes.any(|change| change.request == request));
        let Some(next) = changes.next() else {
            assert_ne!(message.status, Status::Cancelled, "{message:?}");
            continue;
        };
        if message.status == Status::Sent {
            continue;
        }
        assert_eq!(message.status, Status::Cancelled, "{message:?} {next:?}");
        if next.entrance == BY_RULE {
            // Told once a run: no message took its place.
            assert_eq!(message.superseded_by, None, "{message:?} {next:?}");
            superseded.insert(&message.id);
            continue;
        }
        let successor = messages.iter().find(|other| {
            let request = other.request_id.as_ref();
            request.is_some_and(|id| id.as_str() == next.request)
                && other.channel == message.channel
                && Some(other.recipient_id.as_str()) == next.to.as_deref()
        });
        assert_eq!(
            message.superseded_by.as_ref(),
            successor.map(|other| &other.id),
            "{message:?} {next:?}"
        );
        assert_eq!(next.to.is_none(), successor.is_none(), "{next:?}");
        superseded.insert(&message.id);
    }
    assert!(!superseded.is_empty(), "nothing was overtaken");
    let resting = [Status::Pending, Status::Sent, Status::Cancelled];
    assert!(messages.iter().all(|m| resting.contains(&m.status)));
}

async fn history(database: &TestDatabase) -> Vec<Change> {
    database
        .read(|connection| {
            Ok(assignments::table
                .order(assignments::id)
                .select((
                    assignments::customer_id,
                    assignments::from_user_id,
                    assignments::to_user_id,
                    assignments::assigned_by,
                    assignments::entrance,
                    assignments::request_id.assume_not_null(),
                    assignments::created_at,
                ))
                .load(connection)?)
        })
        .await
}

async fn standing(database: &TestDatabase) -> Vec<Standing> {
    database
        .read(|connection| {
            Ok(customers::table
                .order(customers::id)
                .select((
                    customers::id,
                    customers::assigned_to,
                    customers::in_public_pool,
                    customers::lead_level,
                    customers::claim_count,
                    customers::version,
                ))
                .load(connection)?)
        })
        .await
}

async fn notices(database: &TestDatabase) -> Vec<(String, String, UtcTimestamp)> {
    database
        .read(|connection| {
            Ok(notifications::table
                .select((
                    notifications::user_id,
                    notifications::kind,
                    notifications::created_at,
                ))
                .load(connection)?)
        })
        .await
}
