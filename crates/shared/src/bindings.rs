//! Who somebody is on the platforms.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::db::schema::{bindings, users};
use crate::db::{DbConnection, DbError};
use crate::domain::{App, UserId};

/// The identities of these users in one app, by user id; users without one are missing.
///
/// # Errors
/// What the database says.
pub fn external_ids(
    connection: &mut DbConnection,
    app: &App,
    users: HashSet<UserId>,
) -> Result<HashMap<String, String>, DbError> {
    let found: Vec<(String, String)> = bindings::table
        .filter(bindings::app.eq(app))
        .filter(bindings::user_id.eq_any(users))
        .select((bindings::user_id, bindings::external_id))
        .load(connection)?;
    Ok(found.into_iter().collect())
}

/// Whether anybody at all has an identity in this app.
///
/// # Errors
/// What the database says.
pub fn exist(connection: &mut DbConnection, app: &App) -> Result<bool, DbError> {
    let anybody = bindings::table.filter(bindings::app.eq(app));
    Ok(diesel::select(diesel::dsl::exists(anybody)).get_result(connection)?)
}

/// How many people there are to be reached in one app, and how many of them can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingCount {
    /// Active users.
    pub active: i64,
    /// Those among them who have an identity in the app.
    pub bound: i64,
}

/// Counts the active users, and those with an identity in this app.
///
/// # Errors
/// What the database says.
pub fn count(connection: &mut DbConnection, app: &App) -> Result<BindingCount, DbError> {
    let with_identity = bindings::table
        .filter(bindings::app.eq(app))
        .select(bindings::user_id);
    let active = || users::table.filter(users::active.eq(true));
    Ok(BindingCount {
        active: active().count().get_result(connection)?,
        bound: active()
            .filter(users::id.eq_any(with_identity))
            .count()
            .get_result(connection)?,
    })
}
