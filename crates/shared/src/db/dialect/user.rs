use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::schema::users;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::UserId;

/// A user who stays as they are.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct KeptUser {
    /// What they are called.
    pub name: String,
    /// Whether they can log in.
    pub active: bool,
}

/// Keeps a user as they are until the transaction ends: nobody deactivates them meanwhile. `None` if
/// there is no such user.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn keep_user(connection: &mut DbConnection, id: &UserId) -> Result<Option<KeptUser>, DbError> {
    let user = users::table
        .filter(users::id.eq(id))
        .select((users::name, users::active));
    let mut kept: Vec<KeptUser> = load_locked!(connection, user, for_share)?;
    Ok(kept.pop())
}

/// Lets one transaction at a time count what a user has and give them more, until it ends. It waits
/// for those who keep the user as they are ([`keep_user`]), and they for it. Take it before the
/// customers are locked, as they do: then nobody waits in a circle.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_user(connection: &mut DbConnection, id: &UserId) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // Rows that merely refer to the user can be written meanwhile.
            let _locked: Vec<UserId> = users::table
                .filter(users::id.eq(id))
                .select(users::id)
                .for_no_key_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time count and record the logins under a name, until it ends. There
/// need be no row of that name to lock.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_logins(connection: &mut DbConnection, username: &str) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "logins". Two names with one hash only wait longer.
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492812, hashtext($1))")
                .bind::<Text, _>(username)
                .execute(c)?;
            Ok(())
        }
    }
}
