use diesel::prelude::*;

use super::status::has_status;
use crate::db::schema::{outbox_messages, relays};
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::{Channel, OutboxMessageId, RelayName, UtcTimestamp};

/// A lease that is over: who had it, and how often this message was rescued already.
#[derive(Debug, Queryable)]
pub(crate) struct OverLease {
    pub(crate) id: OutboxMessageId,
    pub(crate) channel: Channel,
    pub(crate) attempt: i32,
    pub(crate) attempts_max: i32,
    pub(crate) fence: i64,
    pub(crate) rescues: i32,
    pub(crate) claimed_by: Option<RelayName>,
    pub(crate) lease_expires_at: Option<UtcTimestamp>,
}

/// The messages whose lease has passed its deadline, or whose relay has been silent since
/// `silent_since`; locked until the transaction ends.
pub(crate) fn lock_over_leases(
    connection: &mut DbConnection,
    now: UtcTimestamp,
    silent_since: UtcTimestamp,
    limit: i64,
) -> Result<Vec<OverLease>, DbError> {
    let live = relays::table
        .filter(relays::heartbeat_at.gt(silent_since))
        .select(relays::name.nullable());
    let over = outbox_messages::table
        .filter(has_status("sending"))
        .filter(
            outbox_messages::lease_expires_at
                .le(now)
                .assume_not_null()
                .or(diesel::dsl::not(outbox_messages::claimed_by.eq_any(live)).assume_not_null()),
        )
        // In the order of the partial index of leases; by anything else, the whole table is read.
        .order(outbox_messages::lease_expires_at)
        .limit(limit)
        .select((
            outbox_messages::id,
            outbox_messages::channel,
            outbox_messages::attempt,
            outbox_messages::attempts_max,
            outbox_messages::fence,
            outbox_messages::rescues,
            outbox_messages::claimed_by,
            outbox_messages::lease_expires_at,
        ));
    Ok(load_locked!(connection, over, for_update, skip_locked)?)
}
