mod deleted;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::dsl::min;
use diesel::prelude::*;
use serde::Serialize;

use self::deleted::DeletedCustomers;
use super::{TEST_SEND, fallback_chains};
use crate::db::schema::{assignments, notification_routes, notifications, outbox_messages};
use crate::db::{DbConnection, DbError};
use crate::domain::{Channel, CustomerId, OutboxMessageId, RequestId, UtcTimestamp};

/// Whether every assignment has its messages, and every message its assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// From this moment on.
    pub since: UtcTimestamp,
    /// Up to this one.
    pub until: UtcTimestamp,
    /// How many assignments were looked at.
    pub assignments: usize,
    /// How many outbox messages were looked at.
    pub messages: usize,
    /// What contradicts the first guarantee.
    pub findings: Vec<Finding>,
    /// What cannot be told from the data, and how often that was the case.
    pub notes: BTreeMap<&'static str, usize>,
}

/// Something that is there without its counterpart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "code",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub enum Finding {
    /// A customer changed hands, and somebody concerned has no entry in the notification centre.
    MissingNotification(Expected),
    /// A customer changed hands, and somebody concerned has no outbox message on a channel on which
    /// the kind goes out.
    MissingMessage {
        /// Who should have been told what.
        #[serde(flatten)]
        expected: Expected,
        /// On which channel.
        channel: Channel,
    },
    /// An outbox message tells of an assignment that is not there.
    MessageWithoutAssignment {
        /// Which message.
        message: OutboxMessageId,
        /// For whom.
        recipient: String,
        /// What it tells.
        kind: String,
        /// When it was enqueued.
        at: UtcTimestamp,
    },
}

/// Who should have been told what of an assignment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// When the assignment was made; everything of one transaction has the same moment.
    pub at: UtcTimestamp,
    /// To whom.
    pub recipient: String,
    /// The kind of the notification.
    pub kind: &'static str,
    /// The request that made the assignment.
    pub request_id: Option<RequestId>,
}

const GAINED_ONE: &str = "customer.assigned";
const GAINED_FROM_POOL: &str = "customer.assigned_from_pool";
const GAINED_MANY: &str = "customer.batch_assigned";
const LOST: &str = "customer.transferred_away";
const RECLAIMED: &str = "customer.reclaimed";
const KINDS: [&str; 5] = [GAINED_ONE, GAINED_FROM_POOL, GAINED_MANY, LOST, RECLAIMED];

/// Told once a run, in kinds of its own, and not lead by lead.
const BY_RULE: &str = "auto_transfer";

const ROUTE_CHANGED: &str = "no message, but the route was changed after the assignment: whether it was on then is not known";
const CHANNEL_UNUSED: &str = "no message, but nothing was ever enqueued on the channel before: it was perhaps not configured on crm-api";
const CUSTOMER_DELETED: &str =
    "a message about a customer that was deleted since: what it tells of went with the customer";

#[derive(Queryable)]
struct Assignment {
    customer_id: CustomerId,
    from_user_id: Option<String>,
    to_user_id: Option<String>,
    assigned_by: Option<String>,
    entrance: String,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
}

#[derive(Queryable)]
struct EnqueuedMessage {
    id: OutboxMessageId,
    kind: String,
    channel: Channel,
    recipient_id: String,
    subject: Option<String>,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
}

#[derive(Queryable)]
struct RouteState {
    kind: String,
    channel: Channel,
    enabled: bool,
    fallback: Option<Channel>,
    updated_at: UtcTimestamp,
}

/// How far a notice of an assignment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Somebody entered a customer for themselves, or took it out of the public pool.
    InboxOnly,
    AllChannels,
}

/// Compares the assignments made from `since` until before `until` with the notifications and the
/// outbox messages of the same time.
///
/// All rows of one transaction carry one moment, and all but the notifications the id of the
/// request, so that each is matched exactly: who got customers and who lost them, in one order, has
/// one notification of the right kind, and one message on each channel on which the kind goes out; of
/// channels that are fallbacks of each other, on one. What takes over from another message is not looked
/// at: that one is.
/// `until` must lie so far back that no transaction of that time is still open.
///
/// It is taken for a finding only where the route has been on since before the assignment and the
/// channel was in use; where it cannot be told any more, it is a note. Who enters or claims a customer
/// for themselves gets no message, by design. A release has its message to the owner, unless the owner
/// released it. What was cancelled, by an operator or because it was superseded, counts as told: it was
/// enqueued. Test messages tell of nothing. What moves by rule is told once a run, and nothing is expected for it here. Assignments of
/// customers that were deleted since are read from the operation log. Entries that were deleted since
/// are reported as missing.
///
/// # Errors
/// What the database says.
pub fn audit(
    connection: &mut DbConnection,
    since: UtcTimestamp,
    until: UtcTimestamp,
) -> Result<AuditReport, DbError> {
    let mut assignments = load_assignments(connection, since, until)?;
    // Afterwards: one that is deleted meanwhile is seen twice, which is as good as once.
    let deleted = DeletedCustomers::load(connection, since)?;
    assignments.extend(deleted.assignments(connection, since, until)?);
    let messages = load_messages(connection, since, until)?;
    let notified = load_notifications(connection, since, until)?;
    let channels = Channels {
        routes: load_routes(connection)?,
        used_since: load_first_uses(connection)?,
    };
    let expectations = expectations(&assignments);
    let enqueued: HashSet<(&str, &str, Option<&RequestId>, UtcTimestamp, Channel)> = messages
        .iter()
        .map(|m| {
            (
                m.recipient_id.as_str(),
                m.kind.as_str(),
                m.request_id.as_ref(),
                m.created_at,
                m.channel,
            )
        })
        .collect();
    let mut report = AuditReport {
        since,
        until,
        assignments: assignments.len(),
        messages: messages.len(),
        findings: Vec::new(),
        notes: BTreeMap::new(),
    };
    for (expected, reach) in &expectations {
        let entry = (
            expected.recipient.clone(),
            expected.kind.to_owned(),
            expected.at,
        );
        if !notified.contains(&entry) {
            report
                .findings
                .push(Finding::MissingNotification(expected.clone()));
        }
        if *reach == Reach::AllChannels {
            channels.compare(expected, &mut report, |channel| {
                enqueued.contains(&(
                    expected.recipient.as_str(),
                    expected.kind,
                    expected.request_id.as_ref(),
                    expected.at,
                    channel,
                ))
            });
        }
    }
    let known: HashSet<(&str, &str, Option<&RequestId>, UtcTimestamp)> = expectations
        .keys()
        .map(|e| (e.recipient.as_str(), e.kind, e.request_id.as_ref(), e.at))
        .collect();
    for message in &messages {
        if known.contains(&(
            message.recipient_id.as_str(),
            message.kind.as_str(),
            message.request_id.as_ref(),
            message.created_at,
        )) {
            continue;
        }
        if deleted.are_meant_by(message.subject.as_deref()) {
            *report.notes.entry(CUSTOMER_DELETED).or_default() += 1;
            continue;
        }
        report.findings.push(Finding::MessageWithoutAssignment {
            message: message.id.clone(),
            recipient: message.recipient_id.clone(),
            kind: message.kind.clone(),
            at: message.created_at,
        });
    }
    Ok(report)
}

/// Who should have been told what, oldest first.
fn expectations(assignments: &[Assignment]) -> BTreeMap<Expected, Reach> {
    type Key<'a> = (UtcTimestamp, &'a str, Option<&'a RequestId>);
    let mut gains: BTreeMap<Key<'_>, Vec<&Assignment>> = BTreeMap::new();
    let mut losses: BTreeSet<(Key<'_>, &'static str)> = BTreeSet::new();
    for made in assignments.iter().filter(|made| made.entrance != BY_RULE) {
        let request = made.request_id.as_ref();
        if let Some(to) = &made.to_user_id {
            gains
                .entry((made.created_at, to, request))
                .or_default()
                .push(made);
        }
        // Who gives away or releases their own customer knows.
        if let Some(from) = &made.from_user_id
            && made.assigned_by.as_ref() != Some(from)
        {
            let kind = match made.to_user_id {
                Some(_) => LOST,
                None => RECLAIMED,
            };
            losses.insert(((made.created_at, from, request), kind));
        }
    }
    let expected = |(at, recipient, request_id): Key<'_>, kind| Expected {
        at,
        recipient: recipient.to_owned(),
        kind,
        request_id: request_id.cloned(),
    };
    let gained = gains.into_iter().map(|(key, made)| {
        let distinct: HashSet<&CustomerId> = made.iter().map(|made| &made.customer_id).collect();
        let entrance = made.first().map_or("", |made| made.entrance.as_str());
        let kind = match (distinct.len(), entrance) {
            (1, "pool") => GAINED_FROM_POOL,
            (1, _) => GAINED_ONE,
            _ => GAINED_MANY,
        };
        let for_oneself = made
            .first()
            .is_some_and(|made| made.assigned_by.as_deref() == Some(key.1));
        let reach = if ["create", "import", "claim"].contains(&entrance) && for_oneself {
            Reach::InboxOnly
        } else {
            Reach::AllChannels
        };
        (expected(key, kind), reach)
    });
    let lost = losses
        .into_iter()
        .map(|(key, kind)| (expected(key, kind), Reach::AllChannels));
    gained.chain(lost).collect()
}

struct Channels {
    routes: Vec<RouteState>,
    used_since: HashMap<Channel, UtcTimestamp>,
}

impl Channels {
    fn compare(
        &self,
        expected: &Expected,
        report: &mut AuditReport,
        is_enqueued: impl Fn(Channel) -> bool,
    ) {
        let routes: BTreeMap<Channel, &RouteState> = self
            .routes
            .iter()
            .filter(|route| route.kind == expected.kind)
            .map(|route| (route.channel, route))
            .collect();
        let links = routes
            .iter()
            .map(|(channel, route)| (*channel, route.fallback))
            .collect();
        for chain in fallback_chains(&links) {
            // Whichever was the first when the assignment was made.
            if chain.iter().any(|channel| is_enqueued(*channel)) {
                continue;
            }
            let chain: Vec<&RouteState> = chain
                .iter()
                .filter_map(|channel| routes.get(channel).copied())
                .collect();
            let mut enabled = chain.iter().filter(|route| route.enabled);
            if chain.iter().any(|route| route.updated_at > expected.at) {
                *report.notes.entry(ROUTE_CHANGED).or_default() += 1;
            } else if let Some(route) = enabled.clone().find(|r| self.in_use(r, expected.at)) {
                report.findings.push(Finding::MissingMessage {
                    expected: expected.clone(),
                    channel: route.channel,
                });
            } else if enabled.next().is_some() {
                *report.notes.entry(CHANNEL_UNUSED).or_default() += 1;
            }
        }
    }

    /// Whether something had been enqueued on the route's channel by this moment.
    fn in_use(&self, route: &RouteState, at: UtcTimestamp) -> bool {
        let first = self.used_since.get(&route.channel);
        first.is_some_and(|first| *first <= at)
    }
}

fn load_assignments(
    connection: &mut DbConnection,
    since: UtcTimestamp,
    until: UtcTimestamp,
) -> Result<Vec<Assignment>, DbError> {
    Ok(assignments::table
        .filter(assignments::created_at.ge(since))
        .filter(assignments::created_at.lt(until))
        .order(assignments::id)
        .select((
            assignments::customer_id,
            assignments::from_user_id,
            assignments::to_user_id,
            assignments::assigned_by,
            assignments::entrance,
            assignments::request_id,
            assignments::created_at,
        ))
        .load(connection)?)
}

fn load_messages(
    connection: &mut DbConnection,
    since: UtcTimestamp,
    until: UtcTimestamp,
) -> Result<Vec<EnqueuedMessage>, DbError> {
    Ok(outbox_messages::table
        .filter(outbox_messages::kind.eq_any(KINDS))
        .filter(
            outbox_messages::subject
                .is_null()
                .or(outbox_messages::subject.ne(TEST_SEND)),
        )
        .filter(outbox_messages::created_at.ge(since))
        .filter(outbox_messages::created_at.lt(until))
        .filter(outbox_messages::fallback_of.is_null())
        .order(outbox_messages::id)
        .select((
            outbox_messages::id,
            outbox_messages::kind,
            outbox_messages::channel,
            outbox_messages::recipient_id,
            outbox_messages::subject,
            outbox_messages::request_id,
            outbox_messages::created_at,
        ))
        .load(connection)?)
}

fn load_notifications(
    connection: &mut DbConnection,
    since: UtcTimestamp,
    until: UtcTimestamp,
) -> Result<HashSet<(String, String, UtcTimestamp)>, DbError> {
    let rows: Vec<(String, String, UtcTimestamp)> = notifications::table
        .filter(notifications::kind.eq_any(KINDS))
        .filter(notifications::created_at.ge(since))
        .filter(notifications::created_at.lt(until))
        .select((
            notifications::user_id,
            notifications::kind,
            notifications::created_at,
        ))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

fn load_routes(connection: &mut DbConnection) -> Result<Vec<RouteState>, DbError> {
    Ok(notification_routes::table
        .filter(notification_routes::kind.eq_any(KINDS))
        .order((notification_routes::kind, notification_routes::channel))
        .select((
            notification_routes::kind,
            notification_routes::channel,
            notification_routes::enabled,
            notification_routes::fallback,
            notification_routes::updated_at,
        ))
        .load(connection)?)
}

/// When a message was first enqueued on each channel.
fn load_first_uses(
    connection: &mut DbConnection,
) -> Result<HashMap<Channel, UtcTimestamp>, DbError> {
    // A fallback may go out where nothing is enqueued by itself.
    let rows: Vec<(Channel, Option<UtcTimestamp>)> = outbox_messages::table
        .filter(outbox_messages::fallback_of.is_null())
        .group_by(outbox_messages::channel)
        .select((outbox_messages::channel, min(outbox_messages::created_at)))
        .load(connection)?;
    Ok(rows
        .into_iter()
        .filter_map(|(channel, first)| Some((channel, first?)))
        .collect())
}
