//! Who somebody is on the platforms.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use crate::db::schema::{bindings, notification_preferences, users};
use crate::db::{DbConnection, DbError, dialect};
use crate::domain::{App, UserId};
use crate::notification::{Preferences, read_preferences};

/// Somebody who is to be told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Who they are in the app, if they are anybody there.
    pub external_id: Option<String>,
    /// What they want to be told, and when; `None` if they have not said anything.
    pub preferences: Option<Preferences>,
}

/// These users as the recipients of one app, by user id, in one query; those who do not exist are
/// missing.
///
/// # Errors
/// What the database says.
pub fn recipients(
    connection: &mut DbConnection,
    app: &App,
    users: HashSet<UserId>,
) -> Result<HashMap<String, Recipient>, DbError> {
    type Row = (String, Option<String>, Option<String>);
    // Subqueries and not joins: without statistics PostgreSQL put all bindings into a hash table to look
    // up those of a hundred users.
    let in_app = bindings::table
        .filter(bindings::user_id.eq(users::id))
        .filter(bindings::app.eq(app))
        .select(bindings::external_id);
    let said = notification_preferences::table
        .filter(notification_preferences::user_id.eq(users::id))
        .select(notification_preferences::preferences);
    let found: Vec<Row> = users::table
        .filter(dialect::among(connection, users::id, users))
        .select((users::id, in_app.single_value(), said.single_value()))
        .load(connection)?;
    let recipients = found.into_iter().map(|(user, external_id, said)| {
        let recipient = Recipient {
            external_id,
            preferences: said.map(|text| read_preferences(&text)),
        };
        (user, recipient)
    });
    Ok(recipients.collect())
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
