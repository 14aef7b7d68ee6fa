use std::collections::HashMap;

use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UserId, UtcTimestamp};

use crate::customers::{ContractStatus, LeadSource};

/// What a rule needs to know of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = customers)]
#[expect(missing_docs, reason = "the columns are described in docs/API.md")]
pub struct Lead {
    pub id: CustomerId,
    pub contract_status: ContractStatus,
    pub lead_source: LeadSource,
    pub assigned_to: Option<UserId>,
    pub in_public_pool: bool,
    pub last_activity_at: UtcTimestamp,
    pub transfer_count: i32,
    pub last_transferred_at: Option<UtcTimestamp>,
    pub auto_transfer_enabled: bool,
    pub frozen: bool,
    pub created_at: UtcTimestamp,
}

/// These customers, as far as they exist.
pub(super) fn load(
    connection: &mut DbConnection,
    ids: &[CustomerId],
) -> Result<Vec<Lead>, DbError> {
    Ok(customers::table
        .filter(customers::id.eq_any(ids))
        .select(Lead::as_select())
        .load(connection)?)
}

/// What customers are called.
pub type LeadNames = HashMap<CustomerId, String>;

/// The names of these customers, as far as they exist.
///
/// # Errors
/// What the database says.
pub fn lead_names(
    connection: &mut DbConnection,
    ids: &[&CustomerId],
) -> Result<LeadNames, DbError> {
    if ids.is_empty() {
        return Ok(LeadNames::new());
    }
    let names: Vec<(CustomerId, String)> = customers::table
        .filter(customers::id.eq_any(ids.iter().copied()))
        .select((customers::id, customers::name))
        .load(connection)?;
    Ok(names.into_iter().collect())
}
