use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::schema::members;
use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError, each_backend};
use crate::domain::MemberId;

/// Keeps a member as they are until the transaction ends: nobody else changes them meanwhile.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_member(connection: &mut DbConnection, id: &MemberId) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _locked: Vec<MemberId> = members::table
                .filter(members::id.eq(id))
                .select(members::id)
                .for_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time see whether a member's number or account is in use, and use it,
/// until it ends. The table itself does not ask: other programs may have their reasons.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_member_contacts(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "contacts of members".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492813)").execute(c)?;
            Ok(())
        }
    }
}

#[derive(QueryableByName)]
struct MemberCard {
    #[diesel(sql_type = Text)]
    card: String,
}

/// What a message says of a member (JSON): the triggers of the table say the same.
pub(crate) fn member_card(
    connection: &mut DbConnection,
    id: &MemberId,
) -> Result<Option<String>, DbError> {
    let cards: Vec<MemberCard> = each_backend!(connection, |c| Statement::new(
        "SELECT CAST(card AS TEXT) AS card FROM member_cards WHERE id = {id}"
    )
    .bind::<Text, _>("id", id)
    .load(c))?;
    Ok(cards.into_iter().next().map(|row| row.card))
}

#[derive(QueryableByName)]
struct Trigger {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The triggers of `members` that fire when somebody writes it.
pub(crate) fn active_member_triggers(
    connection: &mut DbConnection,
) -> Result<Vec<String>, DbError> {
    let active = match connection {
        DbConnection::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'members'"
        }
        // `O` and `A`: those that are not switched off.
        DbConnection::Postgres(_) => {
            "SELECT CAST(tgname AS TEXT) AS name FROM pg_trigger \
             WHERE tgrelid = to_regclass('members') AND tgenabled IN ('O', 'A') AND NOT tgisinternal"
        }
    };
    let triggers: Vec<Trigger> = diesel::sql_query(active).load(connection)?;
    Ok(triggers.into_iter().map(|trigger| trigger.name).collect())
}
