use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::db::schema::errcode_overrides;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::UtcTimestamp;
use crate::operation_log::{self, Actor, Operation};

/// What an error code of a platform means in this installation, instead of what the program says.
/// The words of `api` and `class` are those of whoever judges; here they are texts.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = errcode_overrides)]
#[serde(rename_all = "camelCase")]
pub struct ErrcodeOverride {
    /// The call it comes back from: `subscribe_send`.
    pub api: String,
    /// The platform's code.
    pub errcode: i64,
    /// What to do: `dead`, `wait:60`.
    pub class: String,
    /// Why it was set.
    pub reason: String,
}

/// All overrides.
///
/// # Errors
/// What the database says.
pub fn errcode_overrides(connection: &mut DbConnection) -> Result<Vec<ErrcodeOverride>, DbError> {
    Ok(errcode_overrides::table
        .order((errcode_overrides::api, errcode_overrides::errcode))
        .select(ErrcodeOverride::as_select())
        .load(connection)?)
}

/// Sets what a code means. Relays follow within seconds.
///
/// # Errors
/// What the database says.
pub fn set_errcode(
    transaction: &mut WriteTransaction<'_>,
    set: &ErrcodeOverride,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let changes = (
        errcode_overrides::class.eq(&set.class),
        errcode_overrides::reason.eq(&set.reason),
        errcode_overrides::updated_at.eq(now),
    );
    let row = (set, errcode_overrides::updated_at.eq(now));
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        errcode_overrides::table
    )
    .values(row)
    .on_conflict((errcode_overrides::api, errcode_overrides::errcode))
    .do_update()
    .set(changes)
    .execute(c))?;
    let detail = json!({ "class": set.class, "reason": set.reason });
    record(
        transaction,
        "errcode.set",
        &set.api,
        set.errcode,
        detail,
        actor,
        now,
    )
}

/// Goes back to what the program says; false if nothing else was set.
///
/// # Errors
/// What the database says.
pub fn reset_errcode(
    transaction: &mut WriteTransaction<'_>,
    api: &str,
    errcode: i64,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    let reset = diesel::delete(errcode_overrides::table.find((api, errcode)))
        .execute(transaction.connection())?;
    if reset == 0 {
        return Ok(false);
    }
    record(
        transaction,
        "errcode.reset",
        api,
        errcode,
        json!({}),
        actor,
        now,
    )?;
    Ok(true)
}

fn record(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    api: &str,
    errcode: i64,
    detail: serde_json::Value,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let operation = Operation {
        action,
        entity: "errcode",
        entity_id: format!("{api}/{errcode}"),
        detail,
        request_id: None,
    };
    operation_log::record(transaction, actor, vec![operation], now)
}
