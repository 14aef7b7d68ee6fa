use diesel::prelude::*;
use shared::db::schema::contract_signings;
use shared::db::{DbConnection, DbError, insert_rows};
use shared::domain::{CustomerId, UserId, UtcTimestamp};

/// How many rows one statement writes: it takes 65,535 values at most.
const ROWS_AT_ONCE: usize = 1_000;

/// That the contract of a customer is signed now, for the reports.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = contract_signings, treat_none_as_default_value = false)]
pub struct Signing<'a> {
    /// Whose contract.
    pub customer_id: &'a CustomerId,
    /// Whose success it is: the owner's; without one, whoever entered it.
    pub user_id: &'a UserId,
    /// When.
    pub signed_at: UtcTimestamp,
}

/// Writes down that contracts were signed, as part of the change that made them so.
///
/// # Errors
/// What the database says.
pub fn record_signings(
    connection: &mut DbConnection,
    signings: &[Signing<'_>],
) -> Result<(), DbError> {
    for chunk in signings.chunks(ROWS_AT_ONCE) {
        // Twice at one moment is once.
        insert_rows!(
            connection,
            contract_signings::table,
            chunk,
            on_conflict_do_nothing
        )?;
    }
    Ok(())
}
