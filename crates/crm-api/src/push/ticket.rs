//! One-time tickets: a page that cannot send its token with a WebSocket asks for one and sends that.
//!
//! Any process of the installation takes a ticket that another one gave, so they are in the database,
//! which has only their hashes.

use std::fmt::Write;
use std::time::Duration;

use diesel::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use shared::db::schema::socket_tickets;
use shared::db::{DbError, WriteTransaction};
use shared::domain::{UserId, UtcTimestamp};

use crate::auth::password;
use crate::auth::token::Claims;

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
            socket_tickets::hash.eq(hash(ticket.expose_secret())),
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
    ticket: &str,
    now: UtcTimestamp,
) -> Result<Option<Claims>, DbError> {
    type Row = (UserId, i32, UtcTimestamp, UtcTimestamp);
    // Of two that come at once, one finds the row.
    let found: Option<Row> = diesel::delete(socket_tickets::table.find(hash(ticket)))
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

/// A ticket has 119 bits of chance and half a minute: there is nothing to guess, and a plain hash will
/// do.
fn hash(ticket: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(ticket.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_known_one() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
