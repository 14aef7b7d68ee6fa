use diesel::prelude::*;
use serde_json::json;
use shared::db::WriteTransaction;
use shared::db::schema::customers;
use shared::domain::{UserId, UtcTimestamp};
use shared::outbox::{PendingKinds, cancel_pending};

use super::act::CustomerAct;
use super::customer::{Customer, Sight, find, subject_of};
use super::error::CustomerError;
use crate::assignment::SAY_IT_IS_YOURS;

/// Keeps a customer from being released or moved by rule. What waits to tell the owner that it is
/// theirs to follow up is cancelled: nobody is to act on it now.
///
/// # Errors
/// [`CustomerError`]; then nothing was written.
pub fn freeze(
    transaction: &mut WriteTransaction<'_>,
    act: &CustomerAct,
    reason: &str,
    now: UtcTimestamp,
) -> Result<Customer, CustomerError> {
    let customer = act.locked(transaction)?;
    if customer.frozen {
        return Err(CustomerError::AlreadyFrozen);
    }
    diesel::update(customers::table.find(&customer.id))
        .set((
            customers::frozen.eq(true),
            customers::frozen_by.eq(&act.actor.id),
            customers::frozen_at.eq(now),
            customers::frozen_reason.eq(reason),
            customers::updated_at.eq(now),
            customers::version.eq(customers::version + 1),
        ))
        .execute(transaction.connection())?;
    let cancelled_messages = cancel_pending(
        transaction,
        &subject_of(&customer.id),
        PendingKinds::These(&SAY_IT_IS_YOURS),
        "superseded: the customer was frozen",
        now,
    )?;
    let detail = json!({ "reason": reason, "cancelledMessages": cancelled_messages });
    act.record(transaction, "customer.freeze", detail, now)?;
    reread(transaction, &customer)
}

/// Lets a frozen customer go again.
///
/// # Errors
/// [`CustomerError`]; then nothing was written.
pub fn unfreeze(
    transaction: &mut WriteTransaction<'_>,
    act: &CustomerAct,
    now: UtcTimestamp,
) -> Result<Customer, CustomerError> {
    let customer = act.locked(transaction)?;
    if !customer.frozen {
        return Err(CustomerError::NotFrozen);
    }
    diesel::update(customers::table.find(&customer.id))
        .set((
            customers::frozen.eq(false),
            customers::frozen_by.eq(None::<UserId>),
            customers::frozen_at.eq(None::<UtcTimestamp>),
            customers::frozen_reason.eq(None::<String>),
            customers::updated_at.eq(now),
            customers::version.eq(customers::version + 1),
        ))
        .execute(transaction.connection())?;
    let detail = json!({
        "frozenBy": customer.frozen_by,
        "frozenAt": customer.frozen_at,
        "frozenReason": customer.frozen_reason,
    });
    act.record(transaction, "customer.unfreeze", detail, now)?;
    reread(transaction, &customer)
}

fn reread(
    transaction: &mut WriteTransaction<'_>,
    customer: &Customer,
) -> Result<Customer, CustomerError> {
    find(transaction.connection(), &customer.id, &Sight::All)?.ok_or(CustomerError::NotFound)
}
