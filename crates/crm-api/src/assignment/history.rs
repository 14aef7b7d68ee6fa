use diesel::prelude::*;
use shared::db::schema::assignments;
use shared::db::{DbConnection, DbError, insert_rows};
use shared::domain::{AssignmentId, CustomerId, RequestId, UserId, UtcTimestamp};

use super::assign::Entrance;
use super::lead::AssignedCustomer;
use super::ownership::OwnerChange;

/// One change of a customer's owner.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Assignment {
    /// Which change; later ones sort after earlier ones.
    pub id: AssignmentId,
    /// Whose the customer was.
    pub from_user_id: Option<UserId>,
    /// Whose it became; nobody's if it went into the public pool.
    pub to_user_id: Option<UserId>,
    /// On whose word; nobody's if the system did it.
    pub assigned_by: Option<UserId>,
    /// Through which door. Read as text: a newer release may know more of them.
    pub entrance: String,
    /// Why.
    pub reason: Option<String>,
    /// The request it was part of.
    pub request_id: Option<RequestId>,
    /// When.
    pub created_at: UtcTimestamp,
}

/// A page of a customer's history, newest first, and how long it is in all.
///
/// # Errors
/// What the database says.
pub fn history(
    connection: &mut DbConnection,
    customer: &CustomerId,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Assignment>, i64), DbError> {
    let of_customer = assignments::table.filter(assignments::customer_id.eq(customer));
    let total = of_customer.count().get_result(connection)?;
    let page = of_customer
        .order(assignments::id.desc())
        .offset(offset)
        .limit(limit)
        .select((
            assignments::id,
            assignments::from_user_id,
            assignments::to_user_id,
            assignments::assigned_by,
            assignments::entrance,
            assignments::reason,
            assignments::request_id,
            assignments::created_at,
        ))
        .load(connection)?;
    Ok((page, total))
}

#[derive(Insertable)]
#[diesel(table_name = assignments, treat_none_as_default_value = false)]
struct Row<'a> {
    id: AssignmentId,
    customer_id: &'a CustomerId,
    from_user_id: Option<&'a UserId>,
    to_user_id: Option<&'a UserId>,
    assigned_by: Option<&'a UserId>,
    entrance: Entrance,
    reason: Option<&'a str>,
    request_id: &'a RequestId,
    created_at: UtcTimestamp,
}

/// Writes a change of these customers' owners down.
pub(super) fn append(
    connection: &mut DbConnection,
    change: &OwnerChange<'_>,
    customers: &[AssignedCustomer],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let rows: Vec<Row<'_>> = customers
        .iter()
        .map(|customer| Row {
            id: AssignmentId::generate(),
            customer_id: &customer.id,
            from_user_id: customer.previous_owner.as_ref(),
            to_user_id: change.to.map(|(to, _)| to),
            assigned_by: change.actor.user_id(),
            entrance: change.entrance,
            reason: change.reason,
            request_id: change.request_id,
            created_at: now,
        })
        .collect();
    insert_rows!(connection, assignments::table, &rows)?;
    Ok(())
}
