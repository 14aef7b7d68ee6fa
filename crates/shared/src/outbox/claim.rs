use std::time::Duration;

use diesel::prelude::*;

use super::hold::{self, Allowance};
use super::{ClaimedMessage, Status};
use crate::db::dialect::{self, ClaimParameters, HoldCheck};
use crate::db::schema::outbox_messages;
use crate::db::{DbError, WriteTransaction};
use crate::domain::{Channel, RecipientId, RelayName, UtcTimestamp};

/// What a relay asks for.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// Who asks.
    pub relay: RelayName,
    /// On which channel.
    pub channel: Channel,
    /// How many at most: as many as can start now, because the lease begins at once.
    pub limit: usize,
    /// How many of them may be below [`Priority::High`](super::Priority::High): what is kept free
    /// for an urgent message that comes next.
    pub limit_below_high: usize,
    /// For whom nothing may be claimed, because they have a message under way.
    pub busy_recipients: Vec<RecipientId>,
    /// How long the lease lasts.
    pub lease: Duration,
    /// How long after one probe of a held channel the next may follow.
    pub probe_interval: Duration,
    /// Counts the claims of this relay on this channel: the shares of the priorities go round with
    /// it.
    pub round: u64,
}

/// One message in so many is taken by the share of its priority and not by its urgency, so that a
/// stream of urgent ones never stops the others for good.
const SHARE_OF_PRIORITY: u64 = 8;

/// How many priorities there are.
const PRIORITIES: u64 = 3;

/// Leases due messages to a relay, most urgent first. Each claim counts an attempt, so that a
/// message that kills its relay runs out of attempts, and raises the fence.
///
/// Each priority has a share of what is claimed: an eighth of a claim, or every eighth claim where
/// claims are small.
///
/// One recipient gets one message at a time: what is behind it in the queue could not start, and
/// would only keep others waiting. Where recipients have several messages waiting, a claim may
/// therefore answer fewer than there are; the next one finds them.
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
    let claimed = claim(transaction, order, HoldCheck::Respected, now)?;
    if !claimed.is_empty() || order.limit == 0 {
        return Ok(claimed);
    }
    match hold::allowance(transaction, order.channel, now)? {
        Allowance::All | Allowance::Nothing => Ok(claimed),
        Allowance::Probe => claim_probe(transaction, order, now),
    }
}

/// Gives back what a claim leased whose answer never came: its commit may have happened all the same.
/// Nothing of it was sent, so no attempt is used up. The claim is known by the end of its leases:
/// `now` and the length of the lease that it was made with. Answers how many messages there were.
///
/// # Errors
/// What the database says.
pub fn give_back_claim(
    transaction: &mut WriteTransaction<'_>,
    relay: &RelayName,
    channel: Channel,
    lease_expires_at: UtcTimestamp,
) -> Result<usize, DbError> {
    let leased = outbox_messages::table
        .filter(dialect::has_status("sending"))
        .filter(outbox_messages::lease_expires_at.eq(lease_expires_at))
        .filter(outbox_messages::claimed_by.eq(relay))
        .filter(outbox_messages::channel.eq(channel));
    Ok(diesel::update(leased)
        .set((
            outbox_messages::status.eq(Status::Pending),
            outbox_messages::attempt.eq(outbox_messages::attempt - 1),
            outbox_messages::claimed_by.eq(None::<RelayName>),
            outbox_messages::lease_expires_at.eq(None::<UtcTimestamp>),
        ))
        .execute(transaction.connection())?)
}

/// One message, for whoever takes the turn. The turn is taken with a message in hand: one taken in
/// vain would put the next one off.
fn claim_probe(
    transaction: &mut WriteTransaction<'_>,
    order: &ClaimOrder,
    now: UtcTimestamp,
) -> Result<Vec<ClaimedMessage>, DbError> {
    let next_probe_at = now.after(order.probe_interval);
    let turn = dialect::lock_probe(transaction.connection(), order.channel, now)?;
    if !turn {
        return Ok(Vec::new());
    }
    let one = ClaimOrder {
        limit: 1,
        limit_below_high: 1,
        ..order.clone()
    };
    let probe = claim(transaction, &one, HoldCheck::PassedOver, now)?;
    if !probe.is_empty() {
        hold::put_off_probe(transaction, order.channel, next_probe_at)?;
    }
    Ok(probe)
}

fn claim(
    transaction: &mut WriteTransaction<'_>,
    order: &ClaimOrder,
    hold: HoldCheck,
    now: UtcTimestamp,
) -> Result<Vec<ClaimedMessage>, DbError> {
    if order.limit == 0 {
        return Ok(Vec::new());
    }
    let limit = u64::try_from(order.limit).unwrap_or(u64::MAX);
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let parameters = ClaimParameters {
        channel: order.channel,
        busy_recipients: &order.busy_recipients,
        limit: whole(limit),
        limit_below_high: i64::try_from(order.limit_below_high).unwrap_or(i64::MAX),
        share: whole((limit + order.round % SHARE_OF_PRIORITY) / SHARE_OF_PRIORITY),
        rotation: whole(order.round / SHARE_OF_PRIORITY % PRIORITIES),
        hold,
        relay: &order.relay,
        lease_expires_at: now.after(order.lease),
    };
    let mut claimed: Vec<ClaimedMessage> =
        dialect::claim_messages(transaction.connection(), &parameters, now)?;
    // RETURNING keeps no order.
    claimed.sort_by(|a, b| (a.priority, a.due_at, &a.id).cmp(&(b.priority, b.due_at, &b.id)));
    Ok(claimed)
}
