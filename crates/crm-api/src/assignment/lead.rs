use std::collections::HashMap;

use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, dialect};
use shared::domain::{CustomerId, Phone, UserId};

use crate::customers::{LeadSource, ServiceCategory};

/// A customer of an order, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct AssignedCustomer {
    /// Which customer.
    pub id: CustomerId,
    /// What they are called.
    pub name: String,
    /// Their number.
    pub phone: Option<Phone>,
    /// Where they came from.
    pub lead_source: LeadSource,
    /// What they look for.
    pub service_category: Option<ServiceCategory>,
    /// Whose they were.
    pub previous_owner: Option<UserId>,
    /// Whether they were in the public pool.
    pub was_in_pool: bool,
    /// Whether they are to stay with their owner.
    pub frozen: bool,
    /// The version before.
    pub version: i32,
}

/// Locks these customers until the transaction ends, and answers those that exist.
pub(super) fn lock(
    connection: &mut DbConnection,
    ids: &[CustomerId],
) -> Result<HashMap<CustomerId, AssignedCustomer>, DbError> {
    dialect::lock_customers(connection, ids)?;
    let found: Vec<AssignedCustomer> = customers::table
        .filter(dialect::among(connection, customers::id, ids))
        .select((
            customers::id,
            customers::name,
            customers::phone,
            customers::lead_source,
            customers::service_category,
            customers::assigned_to,
            customers::in_public_pool,
            customers::frozen,
            customers::version,
        ))
        .load(connection)?;
    Ok(found.into_iter().map(|c| (c.id.clone(), c)).collect())
}
