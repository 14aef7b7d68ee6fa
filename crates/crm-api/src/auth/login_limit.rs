//! How often a login may fail. Kept in the database, so that it holds across processes.

use std::time::Duration;

use diesel::prelude::*;
use shared::db::schema::login_failures;
use shared::db::{DbError, WriteTransaction, dialect};
use shared::domain::UtcTimestamp;
use uuid::Uuid;

/// How many failures of one name are allowed within [`WINDOW`].
pub const FAILURES_MAX: i64 = 5;
/// How long a failure counts.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Whether a login may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may, and is written down as failed until [`forgive`] takes it back.
    Granted,
    /// Too many have failed.
    Refused,
}

/// Asks for a login under `username`, whether or not anybody has that name.
///
/// The failure is written down before the password is looked at and taken back on success: of many
/// guesses sent at the same moment no more come through than of many sent in turn.
///
/// # Errors
/// What the database says.
pub fn ask(
    transaction: &mut WriteTransaction<'_>,
    username: &str,
    now: UtcTimestamp,
) -> Result<Permission, DbError> {
    let connection = transaction.connection();
    dialect::lock_logins(connection, username)?;
    let since = now.before(WINDOW);
    diesel::delete(login_failures::table.filter(login_failures::failed_at.le(since)))
        .execute(connection)?;
    let failures: i64 = login_failures::table
        .filter(login_failures::username.eq(username))
        .count()
        .get_result(connection)?;
    if failures >= FAILURES_MAX {
        return Ok(Permission::Refused);
    }
    diesel::insert_into(login_failures::table)
        .values((
            login_failures::id.eq(Uuid::now_v7().hyphenated().to_string()),
            login_failures::username.eq(username),
            login_failures::failed_at.eq(now),
        ))
        .execute(connection)?;
    Ok(Permission::Granted)
}

/// Forgets the failures under `username`: somebody has shown the right password.
///
/// # Errors
/// What the database says.
pub fn forgive(transaction: &mut WriteTransaction<'_>, username: &str) -> Result<(), DbError> {
    diesel::delete(login_failures::table.filter(login_failures::username.eq(username)))
        .execute(transaction.connection())?;
    Ok(())
}
