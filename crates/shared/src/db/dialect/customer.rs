use diesel::BoxableExpression;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::among::among;
use crate::db::schema::customers;
use crate::db::{DbConnection, DbError, load_locked};
use crate::domain::CustomerId;

/// Locks these customers until the transaction ends, in the order of their ids: two transactions
/// that want the same ones then wait for each other instead of deadlocking.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_customers(connection: &mut DbConnection, ids: &[CustomerId]) -> Result<(), DbError> {
    // The write transaction holds the only write lock there is.
    if let DbConnection::Sqlite(_) = connection {
        return Ok(());
    }
    let named = customers::table
        .filter(among(connection, customers::id, ids))
        .order(customers::id)
        .select(customers::id);
    let _locked: Vec<CustomerId> = load_locked!(connection, named, for_update)?;
    Ok(())
}

/// A condition on customers.
pub type CustomerCondition = Box<
    dyn BoxableExpression<customers::table, <DbConnection as Connection>::Backend, SqlType = Bool>,
>;

/// How a database finds customers by what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerLookup {
    /// It keeps an index of the terms of each customer; see the migration `customer_search`.
    Terms,
    /// It compares the columns of one row after the other.
    Columns,
}

impl CustomerLookup {
    /// That of this database.
    pub fn of(connection: &DbConnection) -> Self {
        match connection {
            DbConnection::Postgres(_) => Self::Terms,
            DbConnection::Sqlite(_) => Self::Columns,
        }
    }
}

/// That a customer has all of these terms, capitals or not. Only for [`CustomerLookup::Terms`].
///
/// With values in it, and not parameters of a kept statement: the plan depends on how frequent the
/// terms are.
pub fn has_customer_terms(terms: &[String]) -> CustomerCondition {
    let condition = diesel::dsl::sql::<Bool>(
        "customer_terms(customers.name, customers.phone, customers.wechat_id, customers.number, \
         customers.lead_source, customers.service_category, customers.lead_level, \
         customers.contract_status, customers.in_public_pool) @> string_to_array(lower(",
    );
    Box::new(
        condition
            .bind::<Text, _>(terms.join("\n"))
            .sql("), E'\\n')"),
    )
}
