use diesel::dsl::exists;
use diesel::prelude::*;
use shared::db::schema::leases;
use shared::db::{DbConnection, DbError};
use shared::domain::{UtcTimestamp, text_enum};

use chrono_tz::Tz;

use super::scheduler::{Schedule, lease_name};
use super::slot_book;

text_enum! {
    /// How the latest slot of a schedule stands.
    pub enum SlotState ("state of a slot") {
        /// It is done.
        Done => "done",
        /// A process is at it.
        Running => "running",
        /// It has come, and no process is at it: none takes part, or the last attempt has failed and
        /// is repeated.
        Waiting => "waiting",
        /// The schedule is new to the database; it begins with its next slot.
        New => "new",
    }
}

/// How a schedule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// How the latest slot stands.
    pub state: SlotState,
    /// The last slot that is done.
    pub last_slot: Option<UtcTimestamp>,
    /// When it was done. While one is under way: when something was done last.
    pub updated_at: Option<UtcTimestamp>,
    /// The next slot.
    pub next_slot: UtcTimestamp,
}

/// How a schedule stands now.
///
/// # Errors
/// What the database says.
pub fn state_of(
    connection: &mut DbConnection,
    schedule: &Schedule,
    now: UtcTimestamp,
    zone: Tz,
) -> Result<ScheduleState, DbError> {
    let standing = slot_book::standing(connection, schedule.name)?;
    let held = leases::table
        .filter(leases::name.eq(lease_name(schedule.name)))
        .filter(leases::expires_at.gt(now));
    let is_held: bool = diesel::select(exists(held)).get_result(connection)?;
    let latest = schedule.timetable.latest(now, zone);
    let state = match &standing {
        None => SlotState::New,
        Some(standing) if standing.last_slot >= latest => SlotState::Done,
        Some(_) if is_held => SlotState::Running,
        Some(_) => SlotState::Waiting,
    };
    Ok(ScheduleState {
        state,
        last_slot: standing.as_ref().map(|standing| standing.last_slot),
        updated_at: standing.as_ref().map(|standing| standing.updated_at),
        next_slot: schedule.timetable.next(now, zone),
    })
}
