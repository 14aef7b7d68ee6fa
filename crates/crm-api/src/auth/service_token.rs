//! Tokens with which other programs use a few endpoints. They are made, listed and revoked at the
//! command line.

use std::fmt::Write;
use std::str::FromStr;
use std::time::Duration;

use diesel::prelude::*;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use shared::db::schema::service_tokens;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{ServiceTokenId, UtcTimestamp, text_enum};
use shared::operation_log::{self, Actor, Operation};

use super::token_hash::token_hash;

/// What every token begins with, so that people and programs that look for leaked secrets know one.
/// 64 hexadecimal digits follow.
pub const PREFIX: &str = "yzs_";

/// How often a use is written down, at most.
pub const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

text_enum! {
    /// What a token opens.
    pub enum Scope ("scope") {
        /// Telling staff of something: `POST /api/events`.
        Events => "events",
        /// Making the relays look: `POST /api/wecom/process-queue`.
        ProcessQueue => "process-queue",
    }
}

/// What a token is called: small letters, digits, `.`, `_` and `-`, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl FromStr for TokenName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        let is_id = text.parse::<ServiceTokenId>().is_ok();
        if (1..=64).contains(&text.len()) && text.bytes().all(is_name) && !is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "a name has 1 to 64 small letters, digits, `.`, `_` and `-`, and is no id"
                    .to_owned(),
            )
        }
    }
}

/// A token to be.
#[derive(Debug, Clone)]
pub struct NewServiceToken {
    /// What it is called.
    pub name: TokenName,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// Until when; `None` until it is revoked.
    pub expires_at: Option<UtcTimestamp>,
}

/// A token, without the secret, which nobody has but the program it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceToken {
    /// Which.
    pub id: ServiceTokenId,
    /// What it is called.
    pub name: String,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: UtcTimestamp,
    /// Until when it is good, if it is not revoked before.
    pub expires_at: Option<UtcTimestamp>,
    /// When it was used last, to [`USE_NOTED_EVERY`].
    pub last_used_at: Option<UtcTimestamp>,
    /// Since when it is no good.
    pub revoked_at: Option<UtcTimestamp>,
}

impl ServiceToken {
    /// Whether it opens anything.
    pub fn is_good_at(&self, now: UtcTimestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Why a token could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceTokenError {
    /// A token that was not revoked has this name.
    #[error("there is a token {0} already; revoke it, or choose another name")]
    NameTaken(String),
    /// Nothing has this name or id.
    #[error("there is no token {0}; `crm-api service-token list` shows all of them")]
    NotFound(String),
    /// It is no good any more.
    #[error("the token {name} was revoked already, {at}")]
    AlreadyRevoked {
        /// Which.
        name: String,
        /// When.
        at: UtcTimestamp,
    },
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for ServiceTokenError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Makes a token; answers it with its secret, which is shown now or never.
///
/// # Errors
/// [`ServiceTokenError::NameTaken`], or what the database says.
pub fn create(
    transaction: &mut WriteTransaction<'_>,
    new: NewServiceToken,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(ServiceToken, SecretString), ServiceTokenError> {
    let secret = random();
    let mut scopes = new.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let token = ServiceToken {
        id: ServiceTokenId::generate(),
        name: new.name.0,
        scopes,
        created_by: actor.to_string(),
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let inserted = diesel::insert_into(service_tokens::table)
        .values((
            service_tokens::id.eq(&token.id),
            service_tokens::name.eq(&token.name),
            service_tokens::hash.eq(token_hash(&secret)),
            service_tokens::scopes.eq(json!(token.scopes).to_string()),
            service_tokens::created_by.eq(&token.created_by),
            service_tokens::created_at.eq(now),
            service_tokens::expires_at.eq(token.expires_at),
        ))
        .execute(transaction.connection())
        .map_err(DbError::from);
    match inserted {
        Ok(_) => {}
        Err(DbError::Duplicate { .. }) => return Err(ServiceTokenError::NameTaken(token.name)),
        Err(error) => return Err(error.into()),
    }
    let detail = json!({
        "name": token.name,
        "scopes": token.scopes,
        "expiresAt": token.expires_at,
    });
    record(
        transaction,
        "service_token.create",
        &token.id,
        detail,
        actor,
        now,
    )?;
    Ok((token, secret))
}

/// The token that has this secret, if it is good.
///
/// # Errors
/// What the database says.
pub fn find_good(
    connection: &mut DbConnection,
    secret: &SecretString,
    now: UtcTimestamp,
) -> Result<Option<ServiceToken>, DbError> {
    let found: Option<Row> = service_tokens::table
        .filter(service_tokens::hash.eq(token_hash(secret)))
        .select(COLUMNS)
        .first(connection)
        .optional()?;
    Ok(found.map(token_of).filter(|token| token.is_good_at(now)))
}

/// Writes down that a token was used, unless somebody else just did.
///
/// # Errors
/// What the database says.
pub fn note_use(
    transaction: &mut WriteTransaction<'_>,
    id: &ServiceTokenId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let not_noted = service_tokens::last_used_at
        .is_null()
        .or(service_tokens::last_used_at.le(now.before(USE_NOTED_EVERY)));
    diesel::update(service_tokens::table.find(id).filter(not_noted))
        .set(service_tokens::last_used_at.eq(now))
        .execute(transaction.connection())?;
    Ok(())
}

/// All tokens, oldest first, with those that are no good any more.
///
/// # Errors
/// What the database says.
pub fn list(connection: &mut DbConnection) -> Result<Vec<ServiceToken>, DbError> {
    let rows: Vec<Row> = service_tokens::table
        .order(service_tokens::id)
        .select(COLUMNS)
        .load(connection)?;
    Ok(rows.into_iter().map(token_of).collect())
}

/// Revokes the token of this id or name: from the end of the transaction on it opens nothing, on
/// whatever process.
///
/// # Errors
/// [`ServiceTokenError::NotFound`], [`ServiceTokenError::AlreadyRevoked`], or what the database says.
pub fn revoke(
    transaction: &mut WriteTransaction<'_>,
    name_or_id: &str,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<ServiceToken, ServiceTokenError> {
    let token = find(transaction.connection(), name_or_id)?
        .ok_or_else(|| ServiceTokenError::NotFound(name_or_id.to_owned()))?;
    if let Some(at) = token.revoked_at {
        return Err(ServiceTokenError::AlreadyRevoked {
            name: token.name,
            at,
        });
    }
    diesel::update(service_tokens::table.find(&token.id))
        .set(service_tokens::revoked_at.eq(now))
        .execute(transaction.connection())?;
    let detail = json!({ "name": token.name });
    record(
        transaction,
        "service_token.revoke",
        &token.id,
        detail,
        actor,
        now,
    )?;
    Ok(ServiceToken {
        revoked_at: Some(now),
        ..token
    })
}

/// Of several of one name, of which one at most is not revoked, the newest.
fn find(connection: &mut DbConnection, name_or_id: &str) -> Result<Option<ServiceToken>, DbError> {
    let found: Option<Row> = match name_or_id.parse::<ServiceTokenId>() {
        Ok(id) => service_tokens::table
            .find(id)
            .select(COLUMNS)
            .first(connection)
            .optional()?,
        Err(_) => service_tokens::table
            .filter(service_tokens::name.eq(name_or_id))
            .order(service_tokens::id.desc())
            .select(COLUMNS)
            .first(connection)
            .optional()?,
    };
    Ok(found.map(token_of))
}

fn record(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    id: &ServiceTokenId,
    detail: Value,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let operation = Operation {
        action,
        entity: "service_token",
        entity_id: id.as_str().to_owned(),
        detail,
        request_id: None,
    };
    operation_log::record(transaction, actor, vec![operation], now)
}

fn random() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    let mut secret = PREFIX.to_owned();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(secret, "{byte:02x}");
    }
    secret.into()
}

type Row = (
    ServiceTokenId,
    String,
    String,
    String,
    UtcTimestamp,
    Option<UtcTimestamp>,
    Option<UtcTimestamp>,
    Option<UtcTimestamp>,
);

type Columns = (
    service_tokens::id,
    service_tokens::name,
    service_tokens::scopes,
    service_tokens::created_by,
    service_tokens::created_at,
    service_tokens::expires_at,
    service_tokens::last_used_at,
    service_tokens::revoked_at,
);
const COLUMNS: Columns = (
    service_tokens::id,
    service_tokens::name,
    service_tokens::scopes,
    service_tokens::created_by,
    service_tokens::created_at,
    service_tokens::expires_at,
    service_tokens::last_used_at,
    service_tokens::revoked_at,
);

fn token_of(row: Row) -> ServiceToken {
    let (id, name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at) = row;
    let scopes: Vec<String> = serde_json::from_str(&scopes).unwrap_or_default();
    ServiceToken {
        id,
        name,
        // What a newer release may know opens nothing here.
        scopes: scopes.iter().filter_map(|text| text.parse().ok()).collect(),
        created_by,
        created_at,
        expires_at,
        last_used_at,
        revoked_at,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_known_by_its_beginning_and_has_256_bits_of_chance() {
        let (one, other) = (random(), random());
        let digits = one.expose_secret().strip_prefix(PREFIX).unwrap();
        assert_eq!(digits.len(), 64);
        assert!(digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_name_is_one_for_a_shell_and_a_log() {
        let long = "a".repeat(64);
        for name in ["contracts", "a", "hr-2.test_1", long.as_str()] {
            assert!(name.parse::<TokenName>().is_ok(), "{name}");
        }
        let too_long = "a".repeat(65);
        for name in [
            "",
            "Contracts",
            "a b",
            "合同",
            "a\n",
            "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
            too_long.as_str(),
        ] {
            assert!(name.parse::<TokenName>().is_err(), "{name:?}");
        }
    }
}
