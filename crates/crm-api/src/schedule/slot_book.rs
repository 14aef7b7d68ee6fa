//! Which slot of each schedule was seen to last, and how far the next one is.

use diesel::prelude::*;
use shared::db::schema::schedules;
use shared::db::{DbConnection, DbError, WriteTransaction, each_backend};
use shared::domain::UtcTimestamp;

/// How a schedule stands.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = schedules)]
pub(super) struct Standing {
    /// The last slot that is done.
    pub(super) last_slot: UtcTimestamp,
    /// When it was done, or how far the next one is was written down.
    pub(super) updated_at: UtcTimestamp,
    under_way: Option<UtcTimestamp>,
    progress: Option<String>,
}

impl Standing {
    /// How far a slot is that somebody has begun; none if nothing of it is done.
    pub(super) fn progress_of(self, slot: UtcTimestamp) -> Option<String> {
        if self.under_way == Some(slot) {
            self.progress
        } else {
            None
        }
    }
}

/// How a schedule stands; none if it is new.
pub(super) fn standing(
    connection: &mut DbConnection,
    name: &str,
) -> Result<Option<Standing>, DbError> {
    Ok(schedules::table
        .find(name)
        .select(Standing::as_select())
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

/// A slot is so far.
pub(super) fn advance(
    transaction: &mut WriteTransaction<'_>,
    name: &str,
    slot: UtcTimestamp,
    progress: &str,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    diesel::update(schedules::table.find(name))
        .set((
            schedules::under_way.eq(slot),
            schedules::progress.eq(progress),
            schedules::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
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
        .set((
            schedules::last_slot.eq(slot),
            schedules::updated_at.eq(now),
            schedules::under_way.eq(None::<UtcTimestamp>),
            schedules::progress.eq(None::<String>),
        ))
        .execute(transaction.connection())?;
    Ok(())
}
