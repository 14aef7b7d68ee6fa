use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::{bindings, users};
use shared::db::{DbConnection, DbError, WriteTransaction, each_backend};
use shared::domain::{App, BindingId, RequestId, UserId, UtcTimestamp};
use shared::operation_log::{self, Actor, Operation};

use crate::auth::session::CurrentUser;

/// Who a user is in one application of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Binding {
    /// In which application. Read as text: what a newer release has stored must not hide the rest.
    pub app: String,
    /// The platform's name for them: an openid, a WeCom userid.
    pub external_id: String,
    /// When they were first bound.
    pub created_at: UtcTimestamp,
    /// When the identity last changed.
    pub updated_at: UtcTimestamp,
}

/// Why a binding could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// Somebody else is bound to this identity.
    #[error("该微信标识已绑定其他用户")]
    IdentityTaken,
    /// There is no such user.
    #[error("用户不存在")]
    UserNotFound,
    /// The user is not bound in this application.
    #[error("绑定不存在")]
    NotBound,
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for BindingError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Duplicate { .. } => Self::IdentityTaken,
            DbError::Reference(_) => Self::UserNotFound,
            other => Self::Database(other),
        }
    }
}

impl From<diesel::result::Error> for BindingError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

/// The bindings of a user.
///
/// # Errors
/// [`BindingError::UserNotFound`], or what the database says.
pub fn bindings_of(
    connection: &mut DbConnection,
    user: &UserId,
) -> Result<Vec<Binding>, BindingError> {
    let known: Option<UserId> = users::table
        .find(user)
        .select(users::id)
        .first(connection)
        .optional()?;
    if known.is_none() {
        return Err(BindingError::UserNotFound);
    }
    Ok(bindings::table
        .filter(bindings::user_id.eq(user))
        .order(bindings::app)
        .select((
            bindings::app,
            bindings::external_id,
            bindings::created_at,
            bindings::updated_at,
        ))
        .load(connection)?)
}

/// Ties a user to an identity, or to another one than before.
///
/// # Errors
/// [`BindingError::IdentityTaken`], [`BindingError::UserNotFound`], or what the database says.
pub fn put_binding(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    app: &App,
    external_id: &str,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), BindingError> {
    let row = (
        bindings::id.eq(BindingId::generate()),
        bindings::user_id.eq(user),
        bindings::app.eq(app),
        bindings::external_id.eq(external_id),
        bindings::created_at.eq(now),
        bindings::updated_at.eq(now),
    );
    let changes = (
        bindings::external_id.eq(external_id),
        bindings::updated_at.eq(now),
    );
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        bindings::table
    )
    .values(row)
    .on_conflict((bindings::user_id, bindings::app))
    .do_update()
    .set(changes)
    .execute(c))?;
    record(
        transaction,
        "binding.put",
        user,
        app,
        actor,
        request_id,
        now,
    )
}

/// Unties a user.
///
/// # Errors
/// [`BindingError::NotBound`], or what the database says.
pub fn remove_binding(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    app: &App,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), BindingError> {
    let bound = bindings::table
        .filter(bindings::user_id.eq(user))
        .filter(bindings::app.eq(app));
    let removed = diesel::delete(bound).execute(transaction.connection())?;
    if removed == 0 {
        return Err(BindingError::NotBound);
    }
    record(
        transaction,
        "binding.remove",
        user,
        app,
        actor,
        request_id,
        now,
    )
}

/// The identity itself is not written to the log.
fn record(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    user: &UserId,
    app: &App,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<(), BindingError> {
    let operation = Operation {
        action,
        entity: "user",
        entity_id: user.as_str().to_owned(),
        detail: json!({ "app": app }),
        request_id: Some(request_id.clone()),
    };
    let actor = Actor::User(actor.id.clone());
    operation_log::record(transaction, &actor, vec![operation], now)?;
    Ok(())
}
