use std::sync::Arc;

use actix_web::web;
use shared::clock::Clock;
use shared::db::Database;
use shared::domain::UtcTimestamp;

use crate::assignment::Telling;
use crate::auth::password::Passwords;
use crate::auth::token::Tokens;
use crate::auto_transfer::Runner;
use crate::client_address::TrustedProxies;
use crate::config::PhoneDisplay;
use crate::idempotency::Fingerprints;
use crate::imports::ImportRunner;
use crate::metrics::Metrics;
use crate::outward::Outward;
use crate::push::{Limits, Roster};
use crate::schedule::Schedule;

/// What every handler may use.
pub(crate) struct AppState {
    pub(crate) database: Database,
    /// The database's time: due times are compared with it by relays on other hosts.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) telling: Telling,
    pub(crate) outward: Outward,
    pub(crate) imports: ImportRunner,
    /// How phone numbers look in the `notificationData` of answers.
    pub(crate) notification_data_phone: PhoneDisplay,
    /// How many customers one person may have.
    pub(crate) customers_per_person_max: u32,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) metrics: Arc<Metrics>,
    /// Does the runs of transfer rules that somebody orders.
    pub(crate) transfer_runner: Runner,
    /// What is done at fixed times, by this process or another.
    pub(crate) schedules: Vec<Schedule>,
    /// Who has sockets open in this process.
    pub(crate) roster: Arc<Roster>,
    pub(crate) socket_limits: Limits,
}

impl AppState {
    /// The present moment.
    pub(crate) fn now(&self) -> UtcTimestamp {
        self.clock.now()
    }
}

/// The state, as handlers take it.
pub(crate) type State = web::Data<AppState>;
