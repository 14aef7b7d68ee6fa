use diesel::prelude::*;
use serde::Serialize;

use super::SILENCE_MAX;
use crate::db::schema::relays;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{RelayName, UtcTimestamp};

/// One run of one relay process.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = relays, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct Relay {
    /// Its name.
    pub name: RelayName,
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started_at: UtcTimestamp,
    /// When it last said that it is alive.
    pub heartbeat_at: UtcTimestamp,
    /// How many messages it had in hand then.
    pub in_flight: i32,
}

/// Makes a relay known; only known relays may hold leases. Forgets those long silent.
///
/// # Errors
/// What the database says.
pub fn register_relay(
    transaction: &mut WriteTransaction<'_>,
    name: &RelayName,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let connection = transaction.connection();
    let forgotten_before = now.before(SILENCE_MAX * 720);
    diesel::delete(relays::table.filter(relays::heartbeat_at.lt(forgotten_before)))
        .execute(connection)?;
    let relay = Relay {
        name: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now,
        heartbeat_at: now,
        in_flight: 0,
    };
    each_backend!(connection, |c| diesel::insert_into(relays::table)
        .values(&relay)
        .on_conflict(relays::name)
        .do_update()
        .set(relays::heartbeat_at.eq(now))
        .execute(c))?;
    Ok(())
}

/// Says that a relay is alive: one row a second, not one per message. False if the relay is not
/// (or no longer) known and must register anew.
///
/// # Errors
/// What the database says.
pub fn heartbeat(
    transaction: &mut WriteTransaction<'_>,
    name: &RelayName,
    in_flight: i32,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    let renewed = diesel::update(relays::table.find(name))
        .set((
            relays::heartbeat_at.eq(now),
            relays::in_flight.eq(in_flight),
        ))
        .execute(transaction.connection())?;
    Ok(renewed == 1)
}

/// A relay that stops in good order takes its leave; what it might still hold is free at once.
///
/// # Errors
/// What the database says.
pub fn deregister_relay(
    transaction: &mut WriteTransaction<'_>,
    name: &RelayName,
) -> Result<(), DbError> {
    diesel::delete(relays::table.find(name)).execute(transaction.connection())?;
    Ok(())
}

/// The relays that were alive within the last [`SILENCE_MAX`], oldest first.
///
/// # Errors
/// What the database says.
pub fn relays(connection: &mut DbConnection, now: UtcTimestamp) -> Result<Vec<Relay>, DbError> {
    Ok(relays::table
        .filter(relays::heartbeat_at.gt(now.before(SILENCE_MAX)))
        .order((relays::started_at, relays::name))
        .select(Relay::as_select())
        .load(connection)?)
}
