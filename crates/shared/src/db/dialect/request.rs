use diesel::prelude::*;

use crate::db::schema::idempotency_keys;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::UtcTimestamp;

/// Answers of requests that were stored before a moment and are kept no longer; locked until the
/// transaction ends. Rows that somebody else has locked are passed over.
///
/// # Errors
/// If the database does not answer.
pub fn lock_old_idempotency_keys(
    connection: &mut DbConnection,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    let old = idempotency_keys::table
        .filter(idempotency_keys::created_at.le(before))
        .order(idempotency_keys::created_at)
        .limit(limit)
        .select(idempotency_keys::id);
    Ok(load_locked!(connection, old, for_update, skip_locked)?)
}

/// Lets one transaction at a time count and record who has sent the website's form, until it ends.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_website_lead_requests(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "leads of the website".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492820)").execute(c)?;
            Ok(())
        }
    }
}
