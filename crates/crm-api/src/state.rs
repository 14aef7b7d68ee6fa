use std::sync::Arc;

use actix_web::web;
use shared::clock::Clock;
use shared::db::Database;
use shared::domain::UtcTimestamp;

use crate::assignment::Telling;
use crate::auth::password::Passwords;
use crate::auth::token::Tokens;
use crate::config::PhoneDisplay;
use crate::metrics::Metrics;

/// What every handler may use.
pub(crate) struct AppState {
    pub(crate) database: Database,
    /// The database's time: due times are compared with it by relays on other hosts.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) telling: Telling,
    /// How phone numbers look in the `notificationData` of answers.
    pub(crate) notification_data_phone: PhoneDisplay,
    pub(crate) metrics: Metrics,
}

impl AppState {
    /// The present moment.
    pub(crate) fn now(&self) -> UtcTimestamp {
        self.clock.now()
    }
}

/// The state, as handlers take it.
pub(crate) type State = web::Data<AppState>;
