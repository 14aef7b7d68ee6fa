//! One-time tickets: a page that cannot send its token with a WebSocket asks for one and sends that.
//!
//! Any process of the installation takes a ticket that another one gave, so they are in the database,
//! which has only their hashes.

use std::time::Duration;

use diesel::prelude::*;
use secrecy::SecretString;
use shared::db::schema::socket_tickets;
use shared::db::{DbError, WriteTransaction};
use shared::domain::{UserId, UtcTimestamp};

use crate::auth::password;
use crate::auth::token::Claims;
use crate::auth::token_hash::token_hash;

/// How long a ticket is good: the time to open a socket.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// Makes a ticket that stands for the token with these claims.
///
/// # Errors
/// What the database says.
pub fn issue(
    transaction: &mut WriteTransaction<'_>,
    claims: &Claims,
    now: UtcTimestamp,
) -> Result<SecretString, DbError> {
    let ticket = password::random();
    diesel::insert_into(socket_tickets::table)
        .values((
            socket_tickets::hash.eq(token_hash(&ticket)),
            socket_tickets::user_id.eq(claims.sub.clone()),
            socket_tickets::token_epoch.eq(claims.epoch),
            socket_tickets::token_ends_at.eq(claims.ends_at()),
            socket_tickets::expires_at.eq(now.after(LIFETIME)),
        ))
        .execute(transaction.connection())?;
    Ok(ticket)
}

/// The claims of the token that a ticket stands for, once; none if it is unknown, over, or was used.
///
/// # Errors
/// What the database says.
pub fn redeem(
    transaction: &mut WriteTransaction<'_>,
    ticket: &SecretString,
    now: UtcTimestamp,
) -> Result<Option<Claims>, DbError> {
    type Row = (UserId, i32, UtcTimestamp, UtcTimestamp);
    // Of two that come at once, one finds the row.
    let found: Option<Row> = diesel::delete(socket_tickets::table.find(token_hash(ticket)))
        .returning((
            socket_tickets::user_id,
            socket_tickets::token_epoch,
            socket_tickets::token_ends_at,
            socket_tickets::expires_at,
        ))
        .get_result(transaction.connection())
        .optional()?;
    Ok(found
        .filter(|(_, _, token_ends_at, expires_at)| now < *expires_at && now < *token_ends_at)
        .map(|(user, epoch, token_ends_at, _)| Claims::until(user, epoch, now, token_ends_at)))
}
