use std::collections::HashMap;

use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, dialect, load_locked};
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

/// Locks these customers until the transaction ends, in the order of their ids, as
/// [`dialect::lock_customers`] does; and answers those that exist, as they are then.
pub(super) fn lock(
    connection: &mut DbConnection,
    ids: &[CustomerId],
) -> Result<HashMap<CustomerId, AssignedCustomer>, DbError> {
    let named = customers::table
        .filter(dialect::among(connection, customers::id, ids))
        .order(customers::id)
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
        ));
    let found: Vec<AssignedCustomer> = load_locked!(connection, named, for_update)?;
    Ok(found.into_iter().map(|c| (c.id.clone(), c)).collect())
}
