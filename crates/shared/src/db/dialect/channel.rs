use diesel::prelude::*;

use crate::db::schema::{channel_holds, notification_templates};
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::{Channel, UtcTimestamp};

/// Lets one transaction at a time look at the routes of a kind and change them, until it ends. Every kind
/// has a template, also where it has no route yet; who edits its words waits as well.
pub(crate) fn lock_routes(connection: &mut DbConnection, kind: &str) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _locked: Vec<String> = notification_templates::table
                .find(kind)
                .select(notification_templates::kind)
                .for_no_key_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Whether it is time to probe a held channel, and nobody else is about to: the turn is the
/// caller's until the transaction ends.
pub(crate) fn lock_probe(
    connection: &mut DbConnection,
    channel: Channel,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    let turn = channel_holds::table
        .filter(channel_holds::channel.eq(channel))
        .filter(channel_holds::probe_at.le(now))
        .select(channel_holds::channel);
    let locked: Vec<Channel> = load_locked!(connection, turn, for_update)?;
    Ok(!locked.is_empty())
}
