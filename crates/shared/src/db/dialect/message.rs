use diesel::prelude::*;
use diesel::sql_types::{Array, Text};

use super::among::among;
use super::status::{has_status, is_waiting};
use crate::db::schema::outbox_messages;
use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::{Channel, OutboxMessageId, UtcTimestamp};

/// Locks these messages until the transaction ends, and answers which ones: those that somebody else
/// has locked are passed over, because they are moving already.
pub(crate) fn lock_messages(
    connection: &mut DbConnection,
    ids: &[OutboxMessageId],
) -> Result<Vec<OutboxMessageId>, DbError> {
    // The write transaction holds the only write lock there is.
    if let DbConnection::Sqlite(_) = connection {
        return Ok(ids.to_vec());
    }
    let named = outbox_messages::table
        .filter(among(connection, outbox_messages::id, ids))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    Ok(load_locked!(connection, named, for_update, skip_locked)?)
}

/// A message that waits, by itself or in a digest.
#[derive(Debug, Queryable)]
pub(crate) struct WaitingMessage {
    pub(crate) id: OutboxMessageId,
    pub(crate) channel: Channel,
    pub(crate) digest_id: Option<OutboxMessageId>,
}

/// The messages about these subjects, of these kinds or any, that wait and have certainly not been
/// delivered by themselves, and those that a digest tells of, be it sent or not; locked until the
/// transaction ends, in the order of their ids. What a relay is just claiming is waited for, and is not
/// among them then.
pub(crate) fn lock_waiting_about(
    connection: &mut DbConnection,
    subjects: &[String],
    kinds: Option<&[&str]>,
) -> Result<Vec<WaitingMessage>, DbError> {
    let waiting = outbox_messages::table
        .filter(is_waiting())
        .filter(among(connection, outbox_messages::subject, subjects))
        .filter(outbox_messages::outcome_unknown.eq(false))
        .order(outbox_messages::id)
        .select((
            outbox_messages::id,
            outbox_messages::channel,
            outbox_messages::digest_id,
        ));
    Ok(match kinds {
        None => load_locked!(connection, waiting, for_update)?,
        Some(kinds) => {
            let of_kinds = waiting.filter(among(connection, outbox_messages::kind, kinds));
            load_locked!(connection, of_kinds, for_update)?
        }
    })
}

/// The messages about these subjects, of these kinds or any, that are under way and would go on to another
/// channel; locked until the transaction ends. What somebody else has locked is being settled, and
/// passed over: who settles locks in no order, and two who wait for each other would never end.
pub(crate) fn lock_sending_with_fallbacks(
    connection: &mut DbConnection,
    subjects: &[String],
    kinds: Option<&[&str]>,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let under_way = outbox_messages::table
        .filter(has_status("sending"))
        .filter(outbox_messages::fallbacks.is_not_null())
        .filter(among(connection, outbox_messages::subject, subjects))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    Ok(match kinds {
        None => load_locked!(connection, under_way, for_update, skip_locked)?,
        Some(kinds) => {
            let of_kinds = under_way.filter(among(connection, outbox_messages::kind, kinds));
            load_locked!(connection, of_kinds, for_update, skip_locked)?
        }
    })
}

/// Messages of a final status that were finished before a moment, the oldest first; locked until the
/// transaction ends. Rows that somebody else has locked are passed over.
pub(crate) fn lock_finished(
    connection: &mut DbConnection,
    status: &'static str,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let old = outbox_messages::table
        .filter(outbox_messages::status.eq(status))
        .filter(outbox_messages::finished_at.lt(before))
        // What a digest tells of is kept as long as the digest.
        .filter(outbox_messages::digest_id.is_null())
        .order(outbox_messages::finished_at)
        .limit(limit)
        .select(outbox_messages::id);
    Ok(load_locked!(connection, old, for_update, skip_locked)?)
}

/// Writes down on these messages which one took over from each, in one statement.
pub(crate) fn name_fallbacks(
    connection: &mut DbConnection,
    ids: &[&OutboxMessageId],
) -> Result<(), DbError> {
    match connection {
        DbConnection::Postgres(c) => {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            Statement::new(
                "UPDATE outbox_messages AS m SET fell_back_to = f.id FROM outbox_messages AS f \
                 WHERE f.fallback_of = m.id AND m.id = ANY ({ids})",
            )
            .bind::<Array<Text>, _>("ids", ids)
            .execute(c)?;
        }
        DbConnection::Sqlite(c) => {
            let ids = serde_json::json!(ids).to_string();
            Statement::new(
                "UPDATE outbox_messages SET fell_back_to = f.id \
                 FROM json_each({ids}) AS named, outbox_messages AS f \
                 WHERE outbox_messages.id = named.value AND f.fallback_of = named.value",
            )
            .bind::<Text, _>("ids", ids)
            .execute(c)?;
        }
    }
    Ok(())
}
