use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};

use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError};
use crate::domain::UtcTimestamp;

#[derive(QueryableByName)]
struct Matter {
    #[diesel(sql_type = Text)]
    matter: String,
}

/// What there is to do in the outbox, each matter by its word.
pub(crate) fn matters(
    connection: &mut DbConnection,
    due_until: UtcTimestamp,
    now: UtcTimestamp,
    silent_since: UtcTimestamp,
) -> Result<Vec<String>, DbError> {
    let look = Statement::new(include_str!("agenda.sql"))
        .bind::<Timestamp, _>("due_until", due_until)
        .bind::<Timestamp, _>("now", now)
        .bind::<Timestamp, _>("silent_since", silent_since);
    let matters: Vec<Matter> = match connection {
        DbConnection::Postgres(c) => look.load(c)?,
        DbConnection::Sqlite(c) => look.load(c)?,
    };
    Ok(matters.into_iter().map(|row| row.matter).collect())
}
