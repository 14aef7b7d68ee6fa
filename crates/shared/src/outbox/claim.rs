use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::prelude::*;

use super::hold::{self, Allowance};
use super::{ClaimedMessage, Status};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{Channel, OutboxMessageId, RecipientId, RelayName, UtcTimestamp};

/// What a relay asks for.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// Who asks.
    pub relay: RelayName,
    /// On which channel.
    pub channel: Channel,
    /// How many at most: as many as can start now, because the lease begins at once.
    pub limit: usize,
    /// For whom nothing may be claimed, because they have a message under way.
    pub busy_recipients: Vec<RecipientId>,
    /// How long the lease lasts.
    pub lease: Duration,
    /// How long after one probe of a held channel the next may follow.
    pub probe_interval: Duration,
}

/// Leases due messages to a relay, most urgent first. Each claim counts an attempt, so that a
/// message that kills its relay runs out of attempts, and raises the fence.
///
/// One recipient gets one message at a time: what is behind it in the queue could not start, and
/// would only keep others waiting.
///
/// On a held channel this answers nothing, or one message when a probe is due.
///
/// Locks the rows it takes; passes over those another relay has locked.
///
/// # Errors
/// What the database says.
pub fn claim_due(
    transaction: &mut WriteTransaction<'_>,
    order: &ClaimOrder,
    now: UtcTimestamp,
) -> Result<Vec<ClaimedMessage>, DbError> {
    let allowance = hold::allowance(transaction, order.channel, now)?;
    let limit = match allowance {
        Allowance::All => i64::try_from(order.limit).unwrap_or(i64::MAX),
        Allowance::Probe => i64::from(order.limit > 0),
        Allowance::Nothing => return Ok(Vec::new()),
    };
    let connection = transaction.connection();
    let ids = lock_one_for_each_recipient(connection, order, limit, now)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Only now, with a message in hand: a turn taken in vain would put the next one off.
    let next_probe_at = now.after(order.probe_interval);
    if allowance == Allowance::Probe
        && !dialect::take_probe(connection, order.channel, now, next_probe_at)?
    {
        return Ok(Vec::new());
    }
    let mut claimed: Vec<ClaimedMessage> =
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(&ids)))
            .set((
                outbox_messages::status.eq(Status::Sending),
                outbox_messages::attempt.eq(outbox_messages::attempt + 1),
                outbox_messages::fence.eq(outbox_messages::fence + 1),
                outbox_messages::claimed_by.eq(&order.relay),
                outbox_messages::lease_expires_at.eq(now.after(order.lease)),
            ))
            .returning((
                outbox_messages::id,
                outbox_messages::kind,
                outbox_messages::channel,
                outbox_messages::recipient_id,
                outbox_messages::payload,
                outbox_messages::attempt,
                outbox_messages::attempts_max,
                outbox_messages::fence,
                outbox_messages::outcome_unknown,
                outbox_messages::lease_expires_at,
                outbox_messages::due_at,
                outbox_messages::created_at,
                outbox_messages::request_id,
            ))
            .get_results(connection)?;
    // RETURNING keeps no order.
    let urgency: HashMap<&OutboxMessageId, usize> = ids.iter().zip(0..).collect();
    claimed.sort_by_key(|message| urgency.get(&message.id).copied());
    Ok(claimed)
}

/// Locks due messages, one for each recipient who is not busy. A second look is needed only where
/// recipients have several messages waiting; then it passes them over.
fn lock_one_for_each_recipient(
    connection: &mut DbConnection,
    order: &ClaimOrder,
    limit: i64,
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let mut busy: HashSet<RecipientId> = order.busy_recipients.iter().cloned().collect();
    let mut ids = Vec::new();
    for _look in 0..2 {
        let left = limit - i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let passed_over: Vec<&RecipientId> = busy.iter().collect();
        let due = dialect::lock_due_messages(connection, order.channel, &passed_over, now, left)?;
        let everything_seen = i64::try_from(due.len()).is_ok_and(|seen| seen < left);
        ids.extend(
            due.into_iter()
                .filter_map(|(id, recipient)| busy.insert(recipient).then_some(id)),
        );
        if everything_seen || i64::try_from(ids.len()).is_ok_and(|found| found >= limit) {
            break;
        }
    }
    Ok(ids)
}
