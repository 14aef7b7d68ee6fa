use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction, dialect};
use shared::domain::{CustomerId, RequestId, UserId, UtcTimestamp};
use shared::operation_log::Actor;

use super::assign::{AssignError, AssignOrder, Assigned, Entrance, assign};
use super::telling::Telling;

/// The most customers in one claim.
pub const CLAIMED_MAX: usize = 50;

/// Who wants which customers of the public pool for themselves.
#[derive(Debug, Clone)]
pub struct ClaimOrder {
    /// Which customers; without repetitions, [`CLAIMED_MAX`] at most.
    pub customers: Vec<CustomerId>,
    /// Who wants them.
    pub claimant: UserId,
    /// What they are called.
    pub claimant_name: String,
    /// How many customers one person may have.
    pub per_person_max: u32,
    /// The request it is part of.
    pub request_id: RequestId,
}

/// Why nothing of a claim can be done.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// They have as many as one may have.
    #[error("您已达到客户持有上限（{per_person_max}个），无法继续领取")]
    Full {
        /// How many one may have.
        per_person_max: u32,
    },
    /// They may have some more, but not that many.
    #[error("您最多还可以领取 {room} 个客户")]
    TooMany {
        /// How many more.
        room: u32,
    },
    /// They cannot be given customers.
    #[error(transparent)]
    Assign(#[from] AssignError),
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Takes customers out of the public pool for oneself. Of two who want one customer at the same
/// moment one gets it. Whoever claims is told in the notification centre only: they know already.
///
/// The claims of one person wait for each other, and for whoever else gives them customers, so that
/// nobody has more than they may after a claim.
///
/// # Errors
/// [`ClaimError`]; then nothing was written.
pub fn claim(
    transaction: &mut WriteTransaction<'_>,
    order: &ClaimOrder,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Assigned, ClaimError> {
    let connection = transaction.connection();
    dialect::lock_user(connection, &order.claimant)?;
    let held = customer_count(connection, &order.claimant)?;
    check_room(held, order.customers.len(), order.per_person_max)?;
    let order = AssignOrder {
        customers: order.customers.clone(),
        to: order.claimant.clone(),
        reason: None,
        entrance: Entrance::Claim,
        expected_version: None,
        actor: Actor::User(order.claimant.clone()),
        actor_name: order.claimant_name.clone(),
        request_id: order.request_id.clone(),
    };
    Ok(assign(transaction, &order, telling, now)?)
}

/// How many customers somebody has.
///
/// # Errors
/// What the database says.
pub fn customer_count(connection: &mut DbConnection, user: &UserId) -> Result<i64, DbError> {
    Ok(customers::table
        .filter(customers::assigned_to.eq(user))
        .count()
        .get_result(connection)?)
}

fn check_room(held: i64, wanted: usize, per_person_max: u32) -> Result<(), ClaimError> {
    // Whoever was given more than one may have has no room either.
    let held = u32::try_from(held).unwrap_or(u32::MAX);
    let room = per_person_max.saturating_sub(held);
    match usize::try_from(room) {
        Ok(0) => Err(ClaimError::Full { per_person_max }),
        Ok(places) if places < wanted => Err(ClaimError::TooMany { room }),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_claims_beyond_the_cap_and_everybody_is_told_how_many_are_left() {
        for (held, wanted, refusal) in [
            (0, 50, None),
            (49, 1, None),
            (48, 3, Some("您最多还可以领取 2 个客户")),
            (50, 1, Some("您已达到客户持有上限（50个），无法继续领取")),
            (73, 1, Some("您已达到客户持有上限（50个），无法继续领取")),
        ] {
            let told = check_room(held, wanted, 50).map_err(|error| error.to_string());
            assert_eq!(told.err().as_deref(), refusal, "{held} {wanted}");
        }
    }
}
