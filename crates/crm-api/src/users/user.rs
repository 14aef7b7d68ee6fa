use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::users;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{Phone, RequestId, Role, UserId, UtcTimestamp};
use shared::operation_log::{self, Actor, Operation};

use crate::auth::session::{self, CurrentUser};

/// A user, without the secrets.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    /// Which user.
    pub id: UserId,
    /// The name to log in with.
    pub username: String,
    /// The name others read.
    pub name: String,
    /// Their own number.
    pub phone: Option<Phone>,
    /// What they are.
    pub role: Role,
    /// Where they work.
    pub department: Option<String>,
    /// Whether they may log in and be given customers.
    pub active: bool,
    /// When they were made known.
    pub created_at: UtcTimestamp,
    /// When anything about them last changed.
    pub updated_at: UtcTimestamp,
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name to log in with.
    pub username: String,
    /// The hash of the password.
    pub password_hash: String,
    /// The name others read.
    pub name: String,
    /// Their own number.
    pub phone: Option<Phone>,
    /// What they are.
    pub role: Role,
    /// Where they work.
    pub department: Option<String>,
}

/// What is to be changed; `None` stays as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = users)]
pub struct UserChanges {
    /// The name others read.
    pub name: Option<String>,
    /// Their own number; `Some(None)` takes it away.
    pub phone: Option<Option<Phone>>,
    /// What they are.
    pub role: Option<Role>,
    /// Where they work; `Some(None)` takes it away.
    pub department: Option<Option<String>>,
    /// Whether they may log in and be given customers.
    pub active: Option<bool>,
    /// The hash of a new password.
    pub password_hash: Option<String>,
}

impl UserChanges {
    /// The names of what changes, for the operation log: never the values, one is a secret.
    fn names(&self) -> Vec<&'static str> {
        [
            ("name", self.name.is_some()),
            ("phone", self.phone.is_some()),
            ("role", self.role.is_some()),
            ("department", self.department.is_some()),
            ("active", self.active.is_some()),
            ("password", self.password_hash.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, changes)| changes.then_some(name))
        .collect()
    }

    /// Whether tokens made before must not be good any more.
    fn end_sessions(&self) -> bool {
        self.password_hash.is_some() || self.active == Some(false)
    }
}

/// Why a user could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Somebody has this name.
    #[error("用户名已存在")]
    UsernameTaken,
    /// There is no such user.
    #[error("用户不存在")]
    NotFound,
    /// Nobody would be left who may manage users.
    #[error("不能停用或降级最后一个系统管理员")]
    LastAdmin,
    /// The database says no.
    #[error(transparent)]
    Database(DbError),
}

impl From<DbError> for UserError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Duplicate { .. } => Self::UsernameTaken,
            other => Self::Database(other),
        }
    }
}

impl From<diesel::result::Error> for UserError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

/// Makes a user.
///
/// # Errors
/// [`UserError::UsernameTaken`], or what the database says.
pub fn create(
    transaction: &mut WriteTransaction<'_>,
    new: NewUser,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<User, UserError> {
    let id = UserId::generate();
    diesel::insert_into(users::table)
        .values((
            users::id.eq(&id),
            users::username.eq(new.username),
            users::password_hash.eq(new.password_hash),
            users::name.eq(new.name),
            users::phone.eq(new.phone),
            users::role.eq(new.role),
            users::department.eq(new.department),
            users::created_at.eq(now),
            users::updated_at.eq(now),
        ))
        .execute(transaction.connection())?;
    let operation = Operation {
        action: "user.create",
        entity: "user",
        entity_id: id.as_str().to_owned(),
        detail: json!({ "role": new.role }),
        request_id: Some(request_id.clone()),
    };
    let actor = Actor::User(actor.id.clone());
    operation_log::record(transaction, &actor, vec![operation], now)?;
    find(transaction.connection(), &id)?.ok_or(UserError::NotFound)
}

/// Changes a user. A new password and a deactivation end all their sessions.
///
/// # Errors
/// [`UserError::NotFound`], [`UserError::LastAdmin`], or what the database says.
pub fn update(
    transaction: &mut WriteTransaction<'_>,
    id: &UserId,
    changes: &UserChanges,
    actor: &CurrentUser,
    request_id: &RequestId,
    now: UtcTimestamp,
) -> Result<User, UserError> {
    let may_cost_an_admin = changes.role.is_some() || changes.active.is_some();
    if may_cost_an_admin {
        // Of two such changes at the same moment the second waits here, and counts below what the
        // first has left.
        diesel::update(users::table.filter(users::role.eq(Role::Admin)))
            .set(users::updated_at.eq(users::updated_at))
            .execute(transaction.connection())?;
    }
    let updated = diesel::update(users::table.find(id))
        .set((changes, users::updated_at.eq(now)))
        .execute(transaction.connection())?;
    if updated == 0 {
        return Err(UserError::NotFound);
    }
    if may_cost_an_admin {
        let admins: i64 = users::table
            .filter(users::role.eq(Role::Admin))
            .filter(users::active.eq(true))
            .count()
            .get_result(transaction.connection())?;
        if admins == 0 {
            return Err(UserError::LastAdmin);
        }
    }
    if changes.end_sessions() {
        session::end_all(transaction, id, now)?;
    }
    let operation = Operation {
        action: "user.update",
        entity: "user",
        entity_id: id.as_str().to_owned(),
        detail: json!({ "changed": changes.names(), "role": changes.role, "active": changes.active }),
        request_id: Some(request_id.clone()),
    };
    let actor = Actor::User(actor.id.clone());
    operation_log::record(transaction, &actor, vec![operation], now)?;
    find(transaction.connection(), id)?.ok_or(UserError::NotFound)
}

/// One user.
///
/// # Errors
/// What the database says.
pub fn find(connection: &mut DbConnection, id: &UserId) -> Result<Option<User>, DbError> {
    Ok(users::table
        .find(id)
        .select(User::as_select())
        .first(connection)
        .optional()?)
}

/// Which users to list; everything not given matches.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// What they are.
    pub role: Option<Role>,
    /// Whether they may log in.
    pub active: Option<bool>,
}

/// A page of users, newest first, and how many there are in all.
///
/// # Errors
/// What the database says.
pub fn list(
    connection: &mut DbConnection,
    filter: &UserFilter,
    offset: i64,
    limit: i64,
) -> Result<(Vec<User>, i64), DbError> {
    let matching = || {
        let mut query = users::table.into_boxed();
        if let Some(role) = filter.role {
            query = query.filter(users::role.eq(role));
        }
        if let Some(active) = filter.active {
            query = query.filter(users::active.eq(active));
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let page = matching()
        .order(users::id.desc())
        .offset(offset)
        .limit(limit)
        .select(User::as_select())
        .load(connection)?;
    Ok((page, total))
}

/// Somebody who may be given customers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct AssignableUser {
    /// Who.
    pub id: UserId,
    /// The name to choose them by.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// Where they work.
    pub department: Option<String>,
}

/// Everybody who may be given customers: the active users, by name.
///
/// # Errors
/// What the database says.
pub fn assignable(connection: &mut DbConnection) -> Result<Vec<AssignableUser>, DbError> {
    /// Nobody chooses from a longer list.
    const USERS_MAX: i64 = 1_000;
    Ok(users::table
        .filter(users::active.eq(true))
        .order((users::name, users::id))
        .limit(USERS_MAX)
        .select((users::id, users::name, users::role, users::department))
        .load(connection)?)
}
