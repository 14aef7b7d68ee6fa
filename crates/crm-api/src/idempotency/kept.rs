use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use shared::db::schema::idempotency_keys;
use shared::db::{DbConnection, DbError, WriteTransaction, dialect, each_backend};
use shared::domain::{ServiceTokenId, UserId, UtcTimestamp};
use uuid::Uuid;

use super::RepeatableRequest;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How many old answers each new one takes with it: more than one, so that they become fewer, and
/// few, because somebody waits.
const PRUNED_AT_ONCE: i64 = 10;

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is the first under its key; the answer is to be kept under this id.
    First(String),
    /// It was done before.
    Done(KeptAnswer),
    /// The key was used for another one.
    OtherRequest,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    /// The HTTP status.
    pub(crate) status: u16,
    pub(crate) message: String,
    /// JSON.
    pub(crate) data: String,
}

/// Whose a key is: two of them may use the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyOwner {
    /// A user.
    User(UserId),
    /// A program, by its token.
    Service(ServiceTokenId),
}

type Condition = Box<
    dyn BoxableExpression<
            idempotency_keys::table,
            <DbConnection as Connection>::Backend,
            SqlType = Nullable<Bool>,
        >,
>;

impl KeyOwner {
    fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Service(_) => None,
        }
    }

    fn service(&self) -> Option<&ServiceTokenId> {
        match self {
            Self::User(_) => None,
            Self::Service(id) => Some(id),
        }
    }

    /// That a row is of this owner's key.
    fn has(&self, key: &str) -> Condition {
        let key = idempotency_keys::key.eq(key.to_owned());
        match self.clone() {
            Self::User(id) => Box::new(idempotency_keys::user_id.eq(id).and(key)),
            Self::Service(id) => Box::new(idempotency_keys::service_token_id.eq(id).and(key)),
        }
    }
}

/// Takes a key for a request, before anything of the change is written. Who has the same key at the
/// same moment waits here for the end of the other transaction.
///
/// # Errors
/// What the database says.
pub(crate) fn claim(
    transaction: &mut WriteTransaction<'_>,
    owner: &KeyOwner,
    request: &RepeatableRequest,
    now: UtcTimestamp,
) -> Result<Claim, DbError> {
    let of_key = || idempotency_keys::table.filter(owner.has(&request.key));
    let oldest = now.before(KEPT_FOR);
    diesel::delete(of_key().filter(idempotency_keys::created_at.le(oldest)))
        .execute(transaction.connection())?;
    let id = Uuid::now_v7().hyphenated().to_string();
    let row = (
        idempotency_keys::id.eq(&id),
        idempotency_keys::user_id.eq(owner.user()),
        idempotency_keys::service_token_id.eq(owner.service()),
        idempotency_keys::key.eq(&request.key),
        idempotency_keys::fingerprint.eq(&request.fingerprint),
        idempotency_keys::created_at.eq(now),
    );
    let inserted = each_backend!(transaction.connection(), |c| diesel::insert_into(
        idempotency_keys::table
    )
    .values(row)
    .on_conflict_do_nothing()
    .execute(c))?;
    if inserted == 1 {
        prune(transaction, oldest)?;
        return Ok(Claim::First(id));
    }
    let (fingerprint, status, message, data) = of_key()
        .select((
            idempotency_keys::fingerprint,
            idempotency_keys::status.assume_not_null(),
            idempotency_keys::message.assume_not_null(),
            idempotency_keys::data.assume_not_null(),
        ))
        .first::<(String, i32, String, String)>(transaction.connection())?;
    if fingerprint != request.fingerprint {
        return Ok(Claim::OtherRequest);
    }
    Ok(Claim::Done(KeptAnswer {
        status: u16::try_from(status).unwrap_or(200),
        message,
        data,
    }))
}

/// Keeps what was answered, as the last thing of the transaction.
///
/// # Errors
/// What the database says.
pub(crate) fn keep(
    transaction: &mut WriteTransaction<'_>,
    id: &str,
    answer: &KeptAnswer,
) -> Result<(), DbError> {
    diesel::update(idempotency_keys::table.find(id))
        .set((
            idempotency_keys::status.eq(i32::from(answer.status)),
            idempotency_keys::message.eq(&answer.message),
            idempotency_keys::data.eq(&answer.data),
        ))
        .execute(transaction.connection())?;
    Ok(())
}

fn prune(transaction: &mut WriteTransaction<'_>, oldest: UtcTimestamp) -> Result<(), DbError> {
    let old = dialect::lock_old_idempotency_keys(transaction.connection(), oldest, PRUNED_AT_ONCE)?;
    if !old.is_empty() {
        diesel::delete(idempotency_keys::table.filter(idempotency_keys::id.eq_any(old)))
            .execute(transaction.connection())?;
    }
    Ok(())
}
