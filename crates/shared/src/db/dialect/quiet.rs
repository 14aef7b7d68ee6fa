use diesel::prelude::*;

use super::status::is_quiet;
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::{Channel, OutboxMessageId, RecipientId, UtcTimestamp};

/// All messages of a channel for these recipients that waited until they may be disturbed again, and
/// have not expired; locked until the transaction ends, in the order of their ids. Whoever comes second
/// waits, and finds those that are left.
pub(crate) fn lock_quiet(
    connection: &mut DbConnection,
    channel: Channel,
    recipients: &[RecipientId],
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let quiet = outbox_messages::table
        .filter(is_quiet())
        .filter(outbox_messages::channel.eq(channel))
        .filter(outbox_messages::recipient_id.eq_any(recipients))
        .filter(outbox_messages::due_at.le(now))
        .filter(
            outbox_messages::expires_at
                .is_null()
                .or(outbox_messages::expires_at.gt(now)),
        )
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    Ok(load_locked!(connection, quiet, for_update)?)
}

/// The messages for a recipient that wait until they may be disturbed again, which is later than `now`;
/// locked until the transaction ends, in the order of their ids.
pub(crate) fn lock_quiet_of(
    connection: &mut DbConnection,
    recipient: &RecipientId,
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let quiet = outbox_messages::table
        .filter(is_quiet())
        .filter(outbox_messages::channel.eq_any(Channel::ALL))
        .filter(outbox_messages::recipient_id.eq(recipient))
        .filter(outbox_messages::due_at.gt(now))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    Ok(load_locked!(connection, quiet, for_update)?)
}

/// What these digests tell of, locked until the transaction ends, in the order of their ids.
pub(crate) fn lock_members(
    connection: &mut DbConnection,
    digests: &[&OutboxMessageId],
) -> Result<Vec<OutboxMessageId>, DbError> {
    let members = outbox_messages::table
        .filter(outbox_messages::digest_id.eq_any(digests.iter().copied()))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    Ok(load_locked!(connection, members, for_update)?)
}
