use diesel::prelude::*;
use serde_json::json;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{CustomerId, Phone, UtcTimestamp};
use shared::operation_log;
use shared::outbox::{PendingKinds, cancel_pending};

use super::act::CustomerAct;
use super::customer::{Customer, subject_of};
use super::error::CustomerError;

/// What the operation log calls it; the operators' audit looks for it.
const DELETED: &str = "customer.delete";

/// Why messages about a deleted customer are not sent.
const WHY_CANCELLED: &str = "superseded: the customer was deleted";

/// A customer that is there no more.
#[derive(Debug, Clone)]
pub struct DeletedCustomer {
    /// As it was.
    pub customer: Customer,
    /// How many messages about it waited and will not be sent.
    pub cancelled_messages: usize,
}

/// Removes a customer with its history and follow-ups, and cancels what waits to be told of it. The
/// operation log keeps who did it and when, its number and name.
///
/// # Errors
/// [`CustomerError`]; then nothing was written.
pub fn delete(
    transaction: &mut WriteTransaction<'_>,
    act: &CustomerAct,
    now: UtcTimestamp,
) -> Result<DeletedCustomer, CustomerError> {
    let customer = act.locked(transaction)?;
    let cancelled_messages = cancel_pending(
        transaction,
        &subject_of(&customer.id),
        PendingKinds::Every,
        WHY_CANCELLED,
        now,
    )?;
    // The history and the follow-ups go with it.
    diesel::delete(customers::table.find(&customer.id)).execute(transaction.connection())?;
    let detail = json!({
        "customerId": customer.number,
        "name": customer.name,
        "phone": customer.phone.as_ref().map(Phone::masked),
        "assignedTo": customer.assigned_to,
        "cancelledMessages": cancelled_messages,
    });
    act.record(transaction, DELETED, detail, now)?;
    Ok(DeletedCustomer {
        customer,
        cancelled_messages,
    })
}

/// Whether there was such a customer once.
///
/// # Errors
/// What the database says.
pub fn was_deleted(connection: &mut DbConnection, id: &CustomerId) -> Result<bool, DbError> {
    operation_log::was_done(connection, DELETED, "customer", id.as_str())
}
