//! Which slot of each schedule was seen to last.

use diesel::prelude::*;
use shared::db::schema::schedules;
use shared::db::{DbConnection, DbError, WriteTransaction, each_backend};
use shared::domain::UtcTimestamp;

/// The last slot that is done; none if the schedule is new.
pub(super) fn last_slot(
    connection: &mut DbConnection,
    name: &str,
) -> Result<Option<UtcTimestamp>, DbError> {
    Ok(schedules::table
        .find(name)
        .select(schedules::last_slot)
        .first(connection)
        .optional()?)
}

/// A new schedule begins with the slot after this one: nothing was missed before it existed.
pub(super) fn begin(
    transaction: &mut WriteTransaction<'_>,
    name: &str,
    slot: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let row = (
        schedules::name.eq(name.to_owned()),
        schedules::last_slot.eq(slot),
        schedules::updated_at.eq(now),
    );
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        schedules::table
    )
    .values(row)
    .on_conflict_do_nothing()
    .execute(c))?;
    Ok(())
}

/// The slot is done, and so are those before it.
pub(super) fn complete(
    transaction: &mut WriteTransaction<'_>,
    name: &str,
    slot: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let behind = schedules::table
        .filter(schedules::name.eq(name))
        .filter(schedules::last_slot.lt(slot));
    diesel::update(behind)
        .set((schedules::last_slot.eq(slot), schedules::updated_at.eq(now)))
        .execute(transaction.connection())?;
    Ok(())
}
