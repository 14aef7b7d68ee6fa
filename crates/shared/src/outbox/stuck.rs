use std::collections::BTreeMap;
use std::time::Duration;

use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use serde::Serialize;

use super::explain::channel_at_rest;
use super::{Cause, Hold, holds, relays};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, dialect};
use crate::domain::{Channel, OutboxMessageId, RelayName, UtcTimestamp};

/// Messages that should have moved and have not, for one cause on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckGroup {
    /// On which channel.
    pub channel: Channel,
    /// Why.
    pub cause: Cause,
    /// The cause as a sentence about the one that waits longest.
    pub text: String,
    /// When something happens by itself, if that can be told.
    pub expected_at: Option<UtcTimestamp>,
    /// What a person has to do, if anything.
    pub fix: Option<&'static str>,
    /// How many there are.
    pub count: i64,
    /// Since when the one that waits longest should have moved.
    pub since: UtcTimestamp,
    /// One of them.
    pub example: OutboxMessageId,
}

/// What keeps messages from moving, beside what is in their rows.
struct Surroundings {
    holds: Vec<Hold>,
    live_relays: Vec<RelayName>,
}

/// Every message that should have moved by now, grouped by cause: due or expired for longer than
/// `patience`, or leased to a relay that does not answer any more.
///
/// The number of queries does not depend on how many messages there are.
///
/// # Errors
/// What the database says.
pub fn stuck(
    connection: &mut DbConnection,
    patience: Duration,
    now: UtcTimestamp,
) -> Result<Vec<StuckGroup>, DbError> {
    let live = relays(connection, now)?;
    let surroundings = Surroundings {
        holds: holds(connection)?,
        live_relays: live.into_iter().map(|relay| relay.name).collect(),
    };
    let mut groups = due(connection, &surroundings, patience, now)?;
    groups.extend(expired(connection, &surroundings, patience, now)?);
    groups.extend(abandoned(connection, &surroundings, now)?);
    Ok(groups)
}

type Line = (Channel, i64, Option<UtcTimestamp>, Option<OutboxMessageId>);

fn due(
    connection: &mut DbConnection,
    surroundings: &Surroundings,
    patience: Duration,
    now: UtcTimestamp,
) -> Result<Vec<StuckGroup>, DbError> {
    let lines: Vec<Line> = outbox_messages::table
        .filter(dialect::is_pending())
        .filter(outbox_messages::due_at.le(now.before(patience)))
        .filter(
            outbox_messages::expires_at
                .is_null()
                .or(outbox_messages::expires_at.gt(now)),
        )
        .group_by(outbox_messages::channel)
        .order(outbox_messages::channel)
        .select((
            outbox_messages::channel,
            count_star(),
            min(outbox_messages::due_at),
            min(outbox_messages::id),
        ))
        .load(connection)?;
    let groups = lines.into_iter().filter_map(|line| {
        group(line, now, |channel, since| {
            surroundings.at_rest(channel).unwrap_or(Cause::InLine {
                ahead: 0,
                due_since: since,
            })
        })
    });
    Ok(groups.collect())
}

fn expired(
    connection: &mut DbConnection,
    surroundings: &Surroundings,
    patience: Duration,
    now: UtcTimestamp,
) -> Result<Vec<StuckGroup>, DbError> {
    let lines: Vec<Line> = outbox_messages::table
        .filter(dialect::is_pending())
        .filter(outbox_messages::expires_at.le(now.before(patience)))
        .group_by(outbox_messages::channel)
        .order(outbox_messages::channel)
        .select((
            outbox_messages::channel,
            count_star(),
            min(outbox_messages::expires_at),
            min(outbox_messages::id),
        ))
        .load(connection)?;
    let groups = lines.into_iter().filter_map(|line| {
        group(line, now, |_, since| {
            // A hold does not keep a message from expiring.
            if surroundings.live_relays.is_empty() {
                Cause::NoLiveRelay
            } else {
                Cause::Expired { at: Some(since) }
            }
        })
    });
    Ok(groups.collect())
}

/// Leased, and the lease is over or the relay is silent. Leases are as many as relays have in hand:
/// few enough to be looked at one by one.
fn abandoned(
    connection: &mut DbConnection,
    surroundings: &Surroundings,
    now: UtcTimestamp,
) -> Result<Vec<StuckGroup>, DbError> {
    type Lease = (
        Channel,
        Option<RelayName>,
        Option<UtcTimestamp>,
        OutboxMessageId,
    );
    let leases: Vec<Lease> = outbox_messages::table
        .filter(dialect::has_status("sending"))
        .order(outbox_messages::id)
        .select((
            outbox_messages::channel,
            outbox_messages::claimed_by,
            outbox_messages::lease_expires_at,
            outbox_messages::id,
        ))
        .load(connection)?;
    let mut lines: BTreeMap<(Channel, RelayName), Line> = BTreeMap::new();
    for (channel, relay, end, id) in leases {
        let (Some(relay), Some(end)) = (relay, end) else {
            continue; // The table's constraints leave no such row.
        };
        let alive = surroundings.live_relays.contains(&relay);
        if alive && end > now {
            continue;
        }
        // A silent relay is not waited for until the lease ends.
        let since = end.min(now);
        let line = lines
            .entry((channel, relay))
            .or_insert((channel, 0, Some(since), Some(id)));
        line.1 += 1;
        line.2 = line.2.min(Some(since));
    }
    let groups = lines.into_iter().filter_map(|((_, relay), line)| {
        group(line, now, |_, since| Cause::RelaySilent {
            relay,
            reclaimed_at: since,
            live_relays: surroundings.live_relays.len(),
        })
    });
    Ok(groups.collect())
}

impl Surroundings {
    fn at_rest(&self, channel: Channel) -> Option<Cause> {
        let hold = self.holds.iter().find(|hold| hold.channel == channel);
        channel_at_rest(hold, self.live_relays.len())
    }
}

fn group(
    (channel, count, since, example): Line,
    now: UtcTimestamp,
    cause: impl FnOnce(Channel, UtcTimestamp) -> Cause,
) -> Option<StuckGroup> {
    let since = since.unwrap_or(now);
    let cause = cause(channel, since);
    Some(StuckGroup {
        channel,
        text: cause.sentence(),
        expected_at: cause.expected_at(),
        fix: cause.fix(),
        cause,
        count,
        since,
        example: example?,
    })
}
