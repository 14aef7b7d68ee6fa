use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamp};
use diesel::sqlite::Sqlite;

use crate::db::statement::Statement;
use crate::db::{DbConnection, DbError};
use crate::domain::{Channel, RecipientId, RelayName, UtcTimestamp};

/// What a claim asks for.
#[derive(Debug)]
pub(crate) struct ClaimParameters<'a> {
    pub(crate) channel: Channel,
    pub(crate) busy_recipients: &'a [RecipientId],
    /// Messages at most, and how many of them may be below the highest priority.
    pub(crate) limit: i64,
    pub(crate) limit_below_high: i64,
    /// How many of each priority come first, and with which priority these begin.
    pub(crate) share: i64,
    pub(crate) rotation: i64,
    pub(crate) hold: HoldCheck,
    pub(crate) relay: &'a RelayName,
    pub(crate) lease_expires_at: UtcTimestamp,
}

/// Whether a hold on the channel keeps a claim from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldCheck {
    /// It does.
    Respected,
    /// It does not: the claim is a probe.
    PassedOver,
}

/// Leases due messages in one statement. Rows that another relay has locked are passed over.
pub(crate) fn claim_messages<M>(
    connection: &mut DbConnection,
    order: &ClaimParameters<'_>,
    now: UtcTimestamp,
) -> Result<Vec<M>, DbError>
where
    M: QueryableByName<Pg> + QueryableByName<Sqlite> + 'static,
{
    let claim = |text| {
        Statement::new(text)
            .bind::<Text, _>("channel", order.channel)
            .bind::<Timestamp, _>("now", now)
            .bind::<BigInt, _>("limit", order.limit)
            .bind::<BigInt, _>("limit_below_high", order.limit_below_high)
            .bind::<BigInt, _>("share", order.share)
            .bind::<BigInt, _>("rotation", order.rotation)
            .bind::<Bool, _>("may_be_held", order.hold == HoldCheck::PassedOver)
            .bind::<Text, _>("relay", order.relay)
            .bind::<Timestamp, _>("lease_expires_at", order.lease_expires_at)
    };
    let claimed = match connection {
        DbConnection::Postgres(c) => {
            let text = concat!(
                include_str!("claim.postgres.sql"),
                include_str!("claim.sql")
            );
            let busy = order.busy_recipients.iter().map(RecipientId::as_str);
            claim(text)
                .bind::<Array<Text>, _>("busy_recipients", busy.collect::<Vec<_>>())
                .load(c)?
        }
        DbConnection::Sqlite(c) => {
            let text = concat!(include_str!("claim.sqlite.sql"), include_str!("claim.sql"));
            let busy = serde_json::json!(order.busy_recipients).to_string();
            claim(text)
                .bind::<Text, _>("busy_recipients", busy)
                .load(c)?
        }
    };
    Ok(claimed)
}
