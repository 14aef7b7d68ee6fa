use diesel::prelude::*;

use super::{RepairAct, RepairOrder, change, record};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{OutboxMessageId, RepairId, UtcTimestamp};
use crate::outbox::filter::MessageQuery;
use crate::outbox::{ListFilter, Message};

/// How many rows one transaction of a repair of all that match changes: few enough that relays and
/// requests hardly wait for it.
pub const REPAIR_BATCH: usize = 500;

/// How many messages a repair of all that match would change now.
///
/// # Errors
/// What the database says.
pub fn count_repairable(
    connection: &mut DbConnection,
    act: RepairAct,
    filter: &ListFilter,
) -> Result<i64, DbError> {
    Ok(repairable(act, filter).count().get_result(connection)?)
}

/// What went on to another channel has been told there, and is requeued by name alone.
fn repairable(act: RepairAct, filter: &ListFilter) -> MessageQuery {
    let query = filter
        .query()
        .filter(outbox_messages::status.eq_any(act.statuses()))
        // What a digest tells of goes out with the digest.
        .filter(outbox_messages::digest_id.is_null());
    match act {
        RepairAct::Cancel => query,
        RepairAct::Requeue | RepairAct::Edit => {
            query.filter(outbox_messages::fell_back_to.is_null())
        }
    }
}

/// A repair of all messages that match a filter, under way: a batch per transaction.
///
/// It changes no more messages than were confirmed, whatever else comes to match meanwhile. Nothing is
/// requeued that went on to another channel: its recipient has been told.
#[derive(Debug)]
pub struct MatchingRepair {
    id: RepairId,
    order: RepairOrder,
    filter: ListFilter,
    after: Option<OutboxMessageId>,
    left: usize,
    changed: usize,
}

impl MatchingRepair {
    /// Records that it begins. Nothing is changed yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin(
        transaction: &mut WriteTransaction<'_>,
        order: RepairOrder,
        filter: ListFilter,
        confirmed: usize,
        now: UtcTimestamp,
    ) -> Result<Self, DbError> {
        let id = record::begin(transaction, &order, Some(&filter), now)?;
        Ok(Self {
            id,
            order,
            filter,
            after: None,
            left: confirmed,
            changed: 0,
        })
    }

    /// Under which name it can be undone.
    pub fn id(&self) -> &RepairId {
        &self.id
    }

    /// How many messages it has changed so far.
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// Whether nothing is left to be done.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Changes the next `limit` messages, at most [`REPAIR_BATCH`]. Those that are being claimed at
    /// this moment are passed over: they are moving already.
    ///
    /// # Errors
    /// What the database says; then nothing of this batch is changed.
    pub fn next_batch(
        mut self,
        transaction: &mut WriteTransaction<'_>,
        limit: usize,
        now: UtcTimestamp,
    ) -> Result<Self, DbError> {
        let limit = limit.clamp(1, REPAIR_BATCH).min(self.left);
        let candidates = self.candidates(transaction.connection(), limit)?;
        let locked = dialect::lock_messages(transaction.connection(), &candidates)?;
        // Only now do they stand still.
        let before: Vec<Message> = self
            .repairable()
            .filter(outbox_messages::id.eq_any(locked))
            .order(outbox_messages::id)
            .select(Message::as_select())
            .load(transaction.connection())?;
        change::apply(transaction, &self.id, &self.order, &before, now)?;
        self.changed += before.len();
        self.left = if candidates.len() < limit {
            0
        } else {
            self.left - before.len()
        };
        self.after = candidates.into_iter().next_back();
        Ok(self)
    }

    fn repairable(&self) -> MessageQuery {
        repairable(self.order.wish.act(), &self.filter)
    }

    fn candidates(
        &self,
        connection: &mut DbConnection,
        limit: usize,
    ) -> Result<Vec<OutboxMessageId>, DbError> {
        let mut query = self.repairable();
        if let Some(after) = self.after.clone() {
            query = query.filter(outbox_messages::id.gt(after));
        }
        Ok(query
            .order(outbox_messages::id)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(outbox_messages::id)
            .load(connection)?)
    }
}
