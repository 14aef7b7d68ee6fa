use std::time::Duration;

use diesel::prelude::*;

use super::attempt::{self, Attempt};
use super::{Status, UnknownOutcomePolicy, channel_settings};
use crate::db::dialect::{self, OverLease};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction};
use crate::domain::{AttemptId, Channel, OutboxMessageId, UtcTimestamp};

/// A relay that has not renewed its heartbeat for this long is taken for dead. The others look every
/// second, so that its messages are under way again within five.
///
/// Relays renew every second and stop sending by themselves after three without success, so that
/// a frozen one has stopped before its messages are given to another.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);

/// A message rescued this often in a row is given up (`crash_loop`): it would kill relays for ever.
pub const RESCUES_MAX: i32 = 3;

/// What [`reclaim_over`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reclaimed {
    /// Back to pending.
    pub rescued: Vec<OutboxMessageId>,
    /// Given up: no attempt left, or rescued too often.
    pub failed: Vec<OutboxMessageId>,
}

/// Takes back messages whose lease is over or whose relay is silent, at most `limit`.
///
/// Nobody knows whether the attempt was delivered; the row says so (`outcome_unknown`). Where the
/// channel does not resend such messages, they are given up for a person to decide: not even whether
/// a request was written is known.
///
/// Locks the rows it takes; passes over those being settled at this moment.
///
/// # Errors
/// What the database says.
pub fn reclaim_over(
    transaction: &mut WriteTransaction<'_>,
    now: UtcTimestamp,
    limit: usize,
) -> Result<Reclaimed, DbError> {
    let connection = transaction.connection();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let leases = dialect::lock_over_leases(connection, now, now.before(SILENCE_MAX), limit)?;
    if leases.is_empty() {
        return Ok(Reclaimed::default());
    }
    let settings = channel_settings(connection)?;
    let resends = |channel: Channel| {
        settings.iter().all(|set| {
            set.channel != channel || set.unknown_outcome == UnknownOutcomePolicy::Resend
        })
    };
    let mut reclaimed = Reclaimed::default();
    let mut attempts = Vec::with_capacity(leases.len());
    for lease in leases {
        let (status, why) = if resends(lease.channel) {
            fate(&lease)
        } else {
            (Status::Failed, LEFT_TO_A_PERSON)
        };
        diesel::update(outbox_messages::table.find(&lease.id))
            .set((
                outbox_messages::status.eq(status),
                outbox_messages::rescues.eq(lease.rescues + 1),
                outbox_messages::outcome_unknown.eq(true),
                outbox_messages::last_error.eq(why),
                outbox_messages::claimed_by.eq(None::<String>),
                outbox_messages::lease_expires_at.eq(None::<UtcTimestamp>),
                outbox_messages::finished_at.eq(status.is_final().then_some(now)),
            ))
            .execute(connection)?;
        attempts.extend(recorded(&lease, why, now));
        match status {
            Status::Failed => reclaimed.failed.push(lease.id),
            _ => reclaimed.rescued.push(lease.id),
        }
    }
    attempt::record(connection, &attempts)?;
    Ok(reclaimed)
}

const LEFT_TO_A_PERSON: &str = "the relay did not come back from this attempt, and the channel does not send again what may have been delivered";

fn fate(lease: &OverLease) -> (Status, &'static str) {
    if lease.rescues + 1 >= RESCUES_MAX {
        (
            Status::Failed,
            "crash_loop: three relays in a row did not come back from this message",
        )
    } else if lease.attempt >= lease.attempts_max {
        (
            Status::Failed,
            "the relay did not come back from the last attempt",
        )
    } else {
        (
            Status::Pending,
            "the relay did not come back from this attempt",
        )
    }
}

fn recorded(lease: &OverLease, why: &str, now: UtcTimestamp) -> Option<Attempt> {
    let relay = lease.claimed_by.clone()?;
    Some(Attempt {
        id: AttemptId::generate(),
        message_id: lease.id.clone(),
        attempt: lease.attempt,
        fence: lease.fence,
        relay,
        // When it began is known to the lost relay alone.
        started_at: lease.lease_expires_at.map_or(now, |end| end.min(now)),
        duration_ms: 0,
        verdict: "rescued".to_owned(),
        rule: "relay/silent".to_owned(),
        http_status: None,
        errcode: None,
        errmsg: Some(why.to_owned()),
    })
}

/// Cancels pending messages that have become pointless, at most `limit`; answers how many.
///
/// # Errors
/// What the database says.
pub fn cancel_expired(
    transaction: &mut WriteTransaction<'_>,
    now: UtcTimestamp,
    limit: usize,
) -> Result<usize, DbError> {
    let expired = outbox_messages::table
        .filter(dialect::is_pending())
        .filter(outbox_messages::expires_at.le(now))
        .select(outbox_messages::id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX));
    let connection = transaction.connection();
    let ids: Vec<OutboxMessageId> = expired.load(connection)?;
    // Those that somebody else has in hand are passed over: whoever supersedes messages waits for
    // locked rows, and two who wait for each other would never end.
    let ids = dialect::lock_messages(connection, &ids)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let still_pending = outbox_messages::table
        .filter(outbox_messages::id.eq_any(ids))
        .filter(outbox_messages::status.eq(Status::Pending));
    Ok(diesel::update(still_pending)
        .set((
            outbox_messages::status.eq(Status::Cancelled),
            outbox_messages::finished_at.eq(now),
            outbox_messages::last_error.eq("expired before it could be sent"),
        ))
        .execute(connection)?)
}
