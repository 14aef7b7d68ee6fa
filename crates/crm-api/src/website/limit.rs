//! How often the form may be sent. Kept in the database, so that it holds across processes.

use std::time::Duration;

use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use shared::db::schema::website_lead_requests;
use shared::db::{DbConnection, DbError, WriteTransaction, dialect};
use shared::domain::UtcTimestamp;
use uuid::Uuid;

/// A family in one household sends a form twice or thrice, a program hundreds of times.
const OF_ONE_CLIENT: Limit = Limit {
    requests_max: 5,
    window: Duration::from_secs(10 * 60),
};

/// More leads than any staff can call; it bounds what many clients together can put into the pool.
const OF_ALL: Limit = Limit {
    requests_max: 300,
    window: Duration::from_secs(60 * 60),
};

struct Limit {
    requests_max: i64,
    window: Duration,
}

/// Whether a form may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may, and is counted.
    Granted,
    /// Too many were.
    Refused {
        /// When it may be tried again.
        retry_after: Duration,
    },
}

/// Asks for a client, by whatever tells it from others.
///
/// # Errors
/// What the database says.
pub fn ask(
    transaction: &mut WriteTransaction<'_>,
    client: &str,
    now: UtcTimestamp,
) -> Result<Permission, DbError> {
    let connection = transaction.connection();
    dialect::lock_website_lead_requests(connection)?;
    let forgotten = now.before(OF_ALL.window.max(OF_ONE_CLIENT.window));
    diesel::delete(
        website_lead_requests::table.filter(website_lead_requests::asked_at.le(forgotten)),
    )
    .execute(connection)?;
    for (limit, client) in [(OF_ONE_CLIENT, Some(client)), (OF_ALL, None)] {
        if let Some(retry_after) = limit.reached(connection, client, now)? {
            return Ok(Permission::Refused { retry_after });
        }
    }
    diesel::insert_into(website_lead_requests::table)
        .values((
            website_lead_requests::id.eq(Uuid::now_v7().hyphenated().to_string()),
            website_lead_requests::client.eq(client),
            website_lead_requests::asked_at.eq(now),
        ))
        .execute(connection)?;
    Ok(Permission::Granted)
}

impl Limit {
    /// For how long it stays reached, by one client or by all; none if it is not.
    fn reached(
        &self,
        connection: &mut DbConnection,
        client: Option<&str>,
        now: UtcTimestamp,
    ) -> Result<Option<Duration>, DbError> {
        let mut counted = website_lead_requests::table
            .filter(website_lead_requests::asked_at.gt(now.before(self.window)))
            .select((count_star(), min(website_lead_requests::asked_at)))
            .into_boxed();
        if let Some(client) = client {
            counted = counted.filter(website_lead_requests::client.eq(client.to_owned()));
        }
        let (count, oldest): (i64, Option<UtcTimestamp>) = counted.get_result(connection)?;
        let reached = oldest.filter(|_| count >= self.requests_max);
        Ok(reached.map(|oldest| oldest.after(self.window).since(now)))
    }
}
