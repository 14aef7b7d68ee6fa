//! Who asks, and until when their tokens are good.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::db::schema::users;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{Role, UserId, UtcTimestamp};

use super::policy::Act;
use super::token::Claims;

/// The user who asks, as the database knows them at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// Who.
    pub id: UserId,
    /// Their name, as others read it.
    pub name: String,
    /// What they are.
    pub role: Role,
}

impl CurrentUser {
    /// Whether they may.
    pub fn may(&self, act: Act) -> bool {
        act.is_allowed_to(self.role)
    }
}

/// What a login needs to know of a user.
#[derive(Debug, Clone, Queryable)]
pub struct Credentials {
    /// Who.
    pub id: UserId,
    /// The stored hash.
    pub password_hash: String,
    /// Whether they may log in at all.
    pub active: bool,
    /// For the new token.
    pub token_epoch: i32,
}

/// The user of a genuine token; none if they were deactivated or have logged out since.
///
/// # Errors
/// What the database says.
pub fn user_of(
    connection: &mut DbConnection,
    claims: &Claims,
) -> Result<Option<CurrentUser>, DbError> {
    let found: Option<(UserId, String, Role)> = users::table
        .find(&claims.sub)
        .filter(users::active.eq(true))
        .filter(users::token_epoch.eq(claims.epoch))
        .select((users::id, users::name, users::role))
        .first(connection)
        .optional()?;
    Ok(found.map(|(id, name, role)| CurrentUser { id, name, role }))
}

/// The present token epochs of those of these users who may log in at all.
///
/// # Errors
/// What the database says.
pub fn present_epochs(
    connection: &mut DbConnection,
    users: &[UserId],
) -> Result<BTreeMap<UserId, i32>, DbError> {
    let mut epochs = BTreeMap::new();
    // A statement takes 32,766 values at most.
    for chunk in users.chunks(1_000) {
        let found: Vec<(UserId, i32)> = users::table
            .filter(users::id.eq_any(chunk))
            .filter(users::active.eq(true))
            .select((users::id, users::token_epoch))
            .load(connection)?;
        epochs.extend(found);
    }
    Ok(epochs)
}

/// What to compare a login with.
///
/// # Errors
/// What the database says.
pub fn credentials(
    connection: &mut DbConnection,
    username: &str,
) -> Result<Option<Credentials>, DbError> {
    Ok(users::table
        .filter(users::username.eq(username))
        .select((
            users::id,
            users::password_hash,
            users::active,
            users::token_epoch,
        ))
        .first(connection)
        .optional()?)
}

/// Ends every session of a user: no token made until now is good any more.
///
/// # Errors
/// What the database says.
pub fn end_all(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    diesel::update(users::table.find(user))
        .set((
            users::token_epoch.eq(users::token_epoch + 1),
            users::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
    Ok(())
}
