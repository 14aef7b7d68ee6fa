use std::time::Duration;

use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::Serialize;

use super::SILENCE_MAX;
use crate::db::schema::{outbox_messages, relays};
use crate::db::{DbConnection, DbError, WriteTransaction, dialect, each_backend};
use crate::domain::{Channel, RelayName, UtcTimestamp};

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

/// A relay that has been silent for this long is no longer listed: somebody has had the time to
/// notice.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

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
    let forgotten_before = now.before(FORGOTTEN_AFTER);
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

/// A relay with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayLoad {
    /// Its name.
    pub name: RelayName,
    /// The run of the process; `None` if it is not known any more, and only its leases are.
    pub run: Option<Relay>,
    /// Whether it was heard of within the last [`SILENCE_MAX`].
    pub life: Life,
    /// How many messages are leased to it, by channel.
    pub leased: BTreeMap<Channel, i64>,
}

/// Whether a relay is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It renews its heartbeat.
    Alive,
    /// It does not: what it holds is taken back.
    Silent,
}

impl Relay {
    /// Whether it was heard of within the last [`SILENCE_MAX`].
    pub fn life(&self, now: UtcTimestamp) -> Life {
        if self.heartbeat_at > now.before(SILENCE_MAX) {
            Life::Alive
        } else {
            Life::Silent
        }
    }
}

/// The relays that are alive, oldest first, and after them the silent ones that still hold
/// something.
///
/// # Errors
/// What the database says.
pub fn relay_loads(
    connection: &mut DbConnection,
    now: UtcTimestamp,
) -> Result<Vec<RelayLoad>, DbError> {
    let leases: Vec<(Option<RelayName>, Channel, i64)> = outbox_messages::table
        .filter(dialect::has_status("sending"))
        .group_by((outbox_messages::claimed_by, outbox_messages::channel))
        .select((
            outbox_messages::claimed_by,
            outbox_messages::channel,
            count_star(),
        ))
        .load(connection)?;
    let mut leased: BTreeMap<RelayName, BTreeMap<Channel, i64>> = BTreeMap::new();
    for (name, channel, count) in leases {
        if let Some(name) = name {
            leased.entry(name).or_default().insert(channel, count);
        }
    }
    let known: Vec<Relay> = relays::table
        .order((relays::started_at, relays::name))
        .select(Relay::as_select())
        .load(connection)?;
    let mut loads: Vec<RelayLoad> = known
        .into_iter()
        .map(|relay| RelayLoad {
            name: relay.name.clone(),
            life: relay.life(now),
            leased: leased.remove(&relay.name).unwrap_or_default(),
            run: Some(relay),
        })
        .filter(|load| load.life == Life::Alive || !load.leased.is_empty())
        .collect();
    loads.extend(leased.into_iter().map(|(name, leased)| RelayLoad {
        name,
        run: None,
        life: Life::Silent,
        leased,
    }));
    loads.sort_by_key(|load| load.life == Life::Silent);
    Ok(loads)
}
