use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::{CHUNK, DIGEST};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{OutboxMessageId, UtcTimestamp};
use crate::outbox::settle::{Settlement, Verdict};
use crate::outbox::{ClaimedMessage, Status};

/// A message that a digest tells of.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct DigestMember {
    /// What happened.
    pub kind: String,
    /// The data to render, JSON.
    pub payload: String,
}

/// What a digest has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembersTold {
    /// Of how many messages.
    pub count: usize,
    /// The first of them, most urgent first: as many as were asked for.
    pub first: Vec<DigestMember>,
}

/// What became of a digest, said of the message whose lease ends here.
pub(in crate::outbox) const DISSOLVED: &str = "; what it was to tell goes out message by message";

#[derive(Queryable)]
struct MemberRow {
    id: OutboxMessageId,
    digest_id: OutboxMessageId,
    expires_at: Option<UtcTimestamp>,
}

/// What these digests, which were just claimed, have to tell: `first_max` messages in full, and the
/// others counted. What has expired meanwhile drops out, unless the digest may have been delivered
/// already: its repeat says the same.
///
/// # Errors
/// What the database says.
pub fn members_to_tell(
    transaction: &mut WriteTransaction<'_>,
    digests: &[&ClaimedMessage],
    first_max: usize,
    now: UtcTimestamp,
) -> Result<HashMap<OutboxMessageId, MembersTold>, DbError> {
    let mut told: HashMap<OutboxMessageId, MembersTold> = digests
        .iter()
        .map(|digest| (digest.id.clone(), MembersTold::default()))
        .collect();
    if digests.is_empty() {
        return Ok(told);
    }
    let connection = transaction.connection();
    let members = rows(connection, digests)?;
    let repeated: HashSet<&OutboxMessageId> = digests
        .iter()
        .filter(|digest| digest.outcome_unknown)
        .map(|digest| &digest.id)
        .collect();
    let expired = members
        .iter()
        .filter(|member| member.expires_at.is_some_and(|end| end <= now))
        .filter(|member| !repeated.contains(&member.digest_id));
    let expired: Vec<OutboxMessageId> = expired.map(|member| member.id.clone()).collect();
    let dropped = drop_expired(connection, &expired, now)?;
    let mut in_full: HashMap<OutboxMessageId, (OutboxMessageId, usize)> = HashMap::new();
    for member in members {
        if dropped.contains(&member.id) {
            continue;
        }
        let Some(of_digest) = told.get_mut(&member.digest_id) else {
            continue;
        };
        if of_digest.count < first_max {
            in_full.insert(member.id, (member.digest_id, of_digest.count));
        }
        of_digest.count += 1;
    }
    let ids: Vec<&OutboxMessageId> = in_full.keys().collect();
    let mut found: Vec<(OutboxMessageId, usize, DigestMember)> = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<(OutboxMessageId, DigestMember)> = outbox_messages::table
            .filter(outbox_messages::id.eq_any(chunk.iter().copied()))
            .select((
                outbox_messages::id,
                (outbox_messages::kind, outbox_messages::payload),
            ))
            .load(connection)?;
        found.extend(rows.into_iter().filter_map(|(id, member)| {
            let (digest, place) = in_full.get(&id)?.clone();
            Some((digest, place, member))
        }));
    }
    found.sort_by_key(|(_, place, _)| *place);
    for (digest, _, member) in found {
        if let Some(of_digest) = told.get_mut(&digest) {
            of_digest.first.push(member);
        }
    }
    Ok(told)
}

/// The members of these digests, most urgent first.
fn rows(
    connection: &mut DbConnection,
    digests: &[&ClaimedMessage],
) -> Result<Vec<MemberRow>, DbError> {
    let mut members = Vec::new();
    for chunk in digests.chunks(CHUNK) {
        let ids = chunk.iter().map(|digest| &digest.id);
        let rows: Vec<MemberRow> = outbox_messages::table
            .filter(outbox_messages::digest_id.eq_any(ids))
            .order((outbox_messages::priority, outbox_messages::id))
            .select((
                outbox_messages::id,
                outbox_messages::digest_id.assume_not_null(),
                outbox_messages::expires_at,
            ))
            .load(connection)?;
        members.extend(rows);
    }
    Ok(members)
}

/// Cancels these members, and answers which. One that somebody else has locked is told nevertheless: a
/// claim waits for nobody, or two who wait for each other would never end.
fn drop_expired(
    connection: &mut DbConnection,
    expired: &[OutboxMessageId],
    now: UtcTimestamp,
) -> Result<HashSet<OutboxMessageId>, DbError> {
    let mut dropped = HashSet::new();
    for chunk in expired.chunks(CHUNK) {
        let chunk = dialect::lock_messages(connection, chunk)?;
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(&chunk)))
            .set((
                outbox_messages::status.eq(Status::Cancelled),
                outbox_messages::digest_id.eq(None::<OutboxMessageId>),
                outbox_messages::finished_at.eq(now),
                outbox_messages::last_error.eq("expired before it could be sent"),
            ))
            .execute(connection)?;
        dropped.extend(chunk);
    }
    Ok(dropped)
}

/// Which of these digests have certainly told nobody and are not about to: what they tell of can be
/// taken out of them until the transaction ends, in which they are locked. One that somebody else has
/// locked is moving.
pub(in crate::outbox) fn open_among(
    connection: &mut DbConnection,
    digests: HashSet<OutboxMessageId>,
) -> Result<HashSet<OutboxMessageId>, DbError> {
    if digests.is_empty() {
        return Ok(digests);
    }
    let digests: Vec<OutboxMessageId> = digests.into_iter().collect();
    let locked = dialect::lock_messages(connection, &digests)?;
    let open: Vec<OutboxMessageId> = outbox_messages::table
        .filter(outbox_messages::id.eq_any(locked))
        .filter(outbox_messages::status.ne_all([Status::Sending, Status::Sent]))
        .filter(outbox_messages::outcome_unknown.eq(false))
        .select(outbox_messages::id)
        .load(connection)?;
    Ok(open.into_iter().collect())
}

/// Whether a settlement is the end of a digest that the platform did not take, and that has certainly
/// not been delivered: then its members go out by themselves, each in its own words, with its own
/// template and by its own rights.
pub(in crate::outbox) fn is_dissolved(settlement: &Settlement) -> bool {
    let is_refused = match settlement.verdict {
        Verdict::Refused | Verdict::Pointless => true,
        Verdict::Accepted { .. }
        | Verdict::PresumedAccepted
        | Verdict::Undecided
        | Verdict::Retry { .. }
        | Verdict::Postponed { .. }
        | Verdict::Released { .. } => false,
    };
    is_refused && settlement.message.kind == DIGEST && !settlement.message.outcome_unknown
}

/// Lets the members of dissolved digests go out by themselves, and never again in a digest.
pub(in crate::outbox) fn dissolve(
    transaction: &mut WriteTransaction<'_>,
    settlements: &[&Settlement],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let dissolved: Vec<&OutboxMessageId> = settlements
        .iter()
        .filter(|settlement| is_dissolved(settlement))
        .map(|settlement| &settlement.message.id)
        .collect();
    if dissolved.is_empty() {
        return Ok(());
    }
    let connection = transaction.connection();
    let members = dialect::lock_members(connection, &dissolved)?;
    for chunk in members.chunks(CHUNK) {
        diesel::update(outbox_messages::table.filter(outbox_messages::id.eq_any(chunk)))
            .set((
                outbox_messages::status.eq(Status::Pending),
                outbox_messages::digest_id.eq(None::<OutboxMessageId>),
                outbox_messages::due_at.eq(now),
                outbox_messages::finished_at.eq(None::<UtcTimestamp>),
                outbox_messages::last_error.eq(None::<String>),
            ))
            .execute(connection)?;
    }
    transaction.wake_relays_after_commit();
    Ok(())
}

/// The digest of a message and where it stands, for an explanation.
pub(in crate::outbox) fn of_message(
    connection: &mut DbConnection,
    digest: &OutboxMessageId,
) -> Result<Option<(Status, UtcTimestamp)>, DbError> {
    Ok(outbox_messages::table
        .find(digest)
        .select((outbox_messages::status, outbox_messages::due_at))
        .first(connection)
        .optional()?)
}

/// Deletes what these digests tell of: they are about to be deleted themselves.
pub(in crate::outbox) fn delete_members(
    connection: &mut DbConnection,
    digests: &[OutboxMessageId],
) -> Result<(), DbError> {
    let digests: Vec<&OutboxMessageId> = digests.iter().collect();
    let members = dialect::lock_members(connection, &digests)?;
    for chunk in members.chunks(CHUNK) {
        diesel::delete(outbox_messages::table.filter(outbox_messages::id.eq_any(chunk)))
            .execute(connection)?;
    }
    Ok(())
}
