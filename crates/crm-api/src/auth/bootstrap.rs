//! The first user.

use diesel::prelude::*;
use shared::db::schema::users;
use shared::db::{DbConnection, DbError, WriteTransaction, each_backend};
use shared::domain::{Role, UserId, UtcTimestamp};

/// The name under which the first user logs in.
pub const USERNAME: &str = "admin";

/// Whether the first user had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// It was made.
    Created,
    /// There are users, or another process was faster.
    NotNeeded,
}

/// Whether there is no user at all.
///
/// # Errors
/// What the database says.
pub fn is_needed(connection: &mut DbConnection) -> Result<bool, DbError> {
    let anybody: Option<UserId> = users::table
        .select(users::id)
        .first(connection)
        .optional()?;
    Ok(anybody.is_none())
}

/// Makes the user `admin` if there is no user. Two processes may start at the same moment: one of
/// them makes it.
///
/// # Errors
/// What the database says.
pub fn create_admin(
    transaction: &mut WriteTransaction<'_>,
    password_hash: &str,
    now: UtcTimestamp,
) -> Result<Bootstrap, DbError> {
    if !is_needed(transaction.connection())? {
        return Ok(Bootstrap::NotNeeded);
    }
    let admin = (
        users::id.eq(UserId::generate()),
        users::username.eq(USERNAME),
        users::password_hash.eq(password_hash),
        users::name.eq(Role::Admin.label()),
        users::role.eq(Role::Admin),
        users::created_at.eq(now),
        users::updated_at.eq(now),
    );
    let inserted = each_backend!(transaction.connection(), |c| diesel::insert_into(
        users::table
    )
    .values(admin)
    .on_conflict_do_nothing()
    .execute(c))?;
    Ok(match inserted {
        0 => Bootstrap::NotNeeded,
        _ => Bootstrap::Created,
    })
}
