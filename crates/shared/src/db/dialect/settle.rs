use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamp};

use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError};
use crate::domain::{OutboxMessageId, RelayName, UtcTimestamp};

/// What a settlement writes into one row. `None` leaves what is there where the row goes back to
/// pending, and clears it where the row is finished.
#[derive(Debug, Clone)]
pub(crate) struct SettledRow {
    pub(crate) id: OutboxMessageId,
    pub(crate) fence: i64,
    pub(crate) status: &'static str,
    /// 1 where the attempt must not count, else 0.
    pub(crate) attempts_given_back: i32,
    pub(crate) due_at: Option<UtcTimestamp>,
    pub(crate) outcome_unknown: Option<bool>,
    pub(crate) errcode: Option<i64>,
    pub(crate) error: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) finished_at: Option<UtcTimestamp>,
}

#[derive(QueryableByName)]
struct SettledLease {
    #[diesel(sql_type = Text)]
    id: OutboxMessageId,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

/// Ends the leases that `relay` holds on these rows, in one statement, and answers the id and fence
/// of those it still held.
pub(crate) fn settle_rows(
    connection: &mut DbConnection,
    relay: &RelayName,
    rows: &[SettledRow],
) -> Result<Vec<(OutboxMessageId, i64)>, DbError> {
    let settled: Vec<SettledLease> = match connection {
        DbConnection::Postgres(c) => Statement::new(include_str!("settle.postgres.sql"))
            .bind::<Array<Text>, _>("id", column(rows, |row| row.id.as_str()))
            .bind::<Array<BigInt>, _>("fence", column(rows, |row| row.fence))
            .bind::<Array<Text>, _>("status", column(rows, |row| row.status))
            .bind::<Array<Integer>, _>(
                "attempts_given_back",
                column(rows, |row| row.attempts_given_back),
            )
            .bind::<Array<Nullable<Timestamp>>, _>("due_at", column(rows, |row| row.due_at))
            .bind::<Array<Nullable<Bool>>, _>(
                "outcome_unknown",
                column(rows, |row| row.outcome_unknown),
            )
            .bind::<Array<Nullable<BigInt>>, _>("errcode", column(rows, |row| row.errcode))
            .bind::<Array<Nullable<Text>>, _>("error", column(rows, |row| row.error.as_deref()))
            .bind::<Array<Nullable<Text>>, _>(
                "provider_message_id",
                column(rows, |row| row.provider_message_id.as_deref()),
            )
            .bind::<Array<Nullable<Timestamp>>, _>(
                "finished_at",
                column(rows, |row| row.finished_at),
            )
            .bind::<Text, _>("relay", relay)
            .load(c)?,
        DbConnection::Sqlite(c) => {
            let batch: Vec<BatchRow<'_>> = rows.iter().map(in_batch).collect();
            let batch = serde_json::to_string(&batch)
                .map_err(|error| DieselError::SerializationError(error.into()))?;
            Statement::new(include_str!("settle.sqlite.sql"))
                .bind::<Text, _>("batch", batch)
                .bind::<Text, _>("relay", relay)
                .load(c)?
        }
    };
    Ok(settled.into_iter().map(|row| (row.id, row.fence)).collect())
}

/// A row of the batch, in the order in which the statement takes it apart.
type BatchRow<'a> = (
    &'a OutboxMessageId,
    i64,
    &'static str,
    i32,
    Option<String>,
    Option<bool>,
    Option<i64>,
    Option<&'a str>,
    Option<&'a str>,
    Option<String>,
);

fn in_batch(row: &SettledRow) -> BatchRow<'_> {
    // As the driver writes moments, or they would not compare.
    let moment = |at: UtcTimestamp| at.as_naive_utc().format("%F %T%.f").to_string();
    (
        &row.id,
        row.fence,
        row.status,
        row.attempts_given_back,
        row.due_at.map(moment),
        row.outcome_unknown,
        row.errcode,
        row.error.as_deref(),
        row.provider_message_id.as_deref(),
        row.finished_at.map(moment),
    )
}

fn column<'rows, T>(rows: &'rows [SettledRow], value: impl Fn(&'rows SettledRow) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
