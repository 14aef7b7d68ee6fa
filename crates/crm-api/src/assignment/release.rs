use std::collections::HashMap;

use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction, dialect, each_backend, keep_prepared};
use shared::domain::{CustomerId, RequestId, UserId, UtcTimestamp};
use shared::notification::notify_all;
use shared::operation_log::Actor;

use super::assign::Entrance;
use super::lead::{self, AssignedCustomer};
use super::ownership::OwnerChange;
use super::telling::{Telling, release_notices};
use crate::customers::LeadLevel;

/// Which customers go into the public pool, and on whose word.
#[derive(Debug, Clone)]
pub struct ReleaseOrder {
    /// Which customers; without repetitions, [`CUSTOMERS_MAX`](super::CUSTOMERS_MAX) at most.
    pub customers: Vec<CustomerId>,
    /// Whose customers the actor may release.
    pub reach: ReleaseReach,
    /// Why.
    pub reason: String,
    /// Only if this is still the version of the customer.
    pub expected_version: Option<i32>,
    /// Who orders it.
    pub actor: Actor,
    /// What whoever orders it is called.
    pub actor_name: String,
    /// The request it is part of.
    pub request_id: RequestId,
}

/// Whose customers somebody may release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseReach {
    /// Everybody's.
    Anybodys,
    /// Only those of this user.
    Own(UserId),
}

/// Why one customer was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefusal {
    /// There is no such customer.
    #[error("客户不存在")]
    Missing,
    /// It is there already.
    #[error("客户已在公海中")]
    InPool,
    /// It is somebody else's.
    #[error("没有权限释放他人的客户")]
    NotOwn,
    /// It is to stay with its owner.
    #[error("该线索已被冻结，无法释放到公海")]
    Frozen,
    /// Somebody has changed it since the caller last looked.
    #[error("客户已被他人修改，请刷新后重试")]
    VersionChanged,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Released {
    /// The customers that are in the public pool now.
    pub released: Vec<AssignedCustomer>,
    /// Those left alone, with the reason.
    pub refused: Vec<(CustomerId, ReleaseRefusal)>,
}

/// Puts customers into the public pool as lost: the rows, the history, the operation log, and the
/// notices to their owners, one each, except to the one who gave the order. Messages that had not
/// left yet and told somebody that one of them is theirs are taken back.
///
/// # Errors
/// What the database says; then nothing was written.
pub fn release(
    transaction: &mut WriteTransaction<'_>,
    order: &ReleaseOrder,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Released, DbError> {
    let known = lead::lock(transaction.connection(), &order.customers)?;
    let outcome = sort_out(order, known);
    if outcome.released.is_empty() {
        return Ok(outcome);
    }
    update(transaction.connection(), order, &outcome.released, now)?;
    let change = OwnerChange {
        to: None,
        entrance: Entrance::Release,
        reason: Some(&order.reason),
        actor: &order.actor,
        request_id: &order.request_id,
    };
    change.record(transaction, &outcome.released, now)?;
    let notices = release_notices(order, &outcome.released, telling, now);
    notify_all(transaction, &notices, telling.channels, now)?;
    Ok(outcome)
}

/// Decides what becomes of each customer, in the order they were named.
fn sort_out(order: &ReleaseOrder, mut known: HashMap<CustomerId, AssignedCustomer>) -> Released {
    let mut outcome = Released {
        released: Vec::with_capacity(order.customers.len()),
        refused: Vec::new(),
    };
    for id in &order.customers {
        match known.remove(id) {
            None => outcome.refused.push((id.clone(), ReleaseRefusal::Missing)),
            Some(customer) => match refusal(order, &customer) {
                Some(refusal) => outcome.refused.push((id.clone(), refusal)),
                None => outcome.released.push(customer),
            },
        }
    }
    outcome
}

fn refusal(order: &ReleaseOrder, customer: &AssignedCustomer) -> Option<ReleaseRefusal> {
    let expected = order.expected_version;
    if customer.was_in_pool {
        return Some(ReleaseRefusal::InPool);
    }
    match &order.reach {
        ReleaseReach::Own(user) if customer.previous_owner.as_ref() != Some(user) => {
            Some(ReleaseRefusal::NotOwn)
        }
        ReleaseReach::Own(_) | ReleaseReach::Anybodys if customer.frozen => {
            Some(ReleaseRefusal::Frozen)
        }
        ReleaseReach::Own(_) | ReleaseReach::Anybodys => expected
            .is_some_and(|version| version != customer.version)
            .then_some(ReleaseRefusal::VersionChanged),
    }
}

/// What is said of an owner goes with the owner; the history keeps it.
fn update(
    connection: &mut DbConnection,
    order: &ReleaseOrder,
    released: &[AssignedCustomer],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let ids = released.iter().map(|customer| &customer.id);
    let named = dialect::among(connection, customers::id, ids);
    let release = diesel::update(customers::table.filter(named)).set((
        customers::assigned_to.eq(None::<UserId>),
        customers::assigned_by.eq(None::<UserId>),
        customers::assigned_at.eq(None::<UtcTimestamp>),
        customers::assignment_reason.eq(None::<String>),
        customers::lead_level.eq(LeadLevel::Lost),
        customers::in_public_pool.eq(true),
        customers::pool_entered_at.eq(now),
        customers::pool_reason.eq(&order.reason),
        customers::last_activity_at.eq(now),
        customers::updated_at.eq(now),
        customers::version.eq(customers::version + 1),
    ));
    each_backend!(connection, |c| keep_prepared(release).run(c))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::LeadSource;

    fn customer(owner: Option<&UserId>) -> AssignedCustomer {
        AssignedCustomer {
            id: CustomerId::generate(),
            name: "王女士".to_owned(),
            phone: None,
            lead_source: LeadSource::Douyin,
            service_category: None,
            was_in_pool: owner.is_none(),
            previous_owner: owner.cloned(),
            frozen: false,
            version: 1,
        }
    }

    #[test]
    fn what_is_wrong_first_is_told() {
        let (owner, other) = (UserId::generate(), UserId::generate());
        let order = |reach: ReleaseReach| ReleaseOrder {
            customers: Vec::new(),
            reach,
            reason: "联系不上".to_owned(),
            expected_version: Some(1),
            actor: Actor::User(other.clone()),
            actor_name: "张经理".to_owned(),
            request_id: RequestId::generate(),
        };
        let (own, any) = (
            order(ReleaseReach::Own(other.clone())),
            order(ReleaseReach::Anybodys),
        );
        let (theirs, mine, pooled) = (
            customer(Some(&owner)),
            customer(Some(&other)),
            customer(None),
        );
        let frozen = AssignedCustomer {
            frozen: true,
            ..theirs.clone()
        };
        let newer = AssignedCustomer {
            version: 2,
            ..theirs.clone()
        };
        for (order, customer, expected) in [
            (&own, &mine, None),
            (&any, &theirs, None),
            (&own, &theirs, Some(ReleaseRefusal::NotOwn)),
            (&own, &frozen, Some(ReleaseRefusal::NotOwn)),
            (&any, &frozen, Some(ReleaseRefusal::Frozen)),
            (&own, &pooled, Some(ReleaseRefusal::InPool)),
            (&any, &newer, Some(ReleaseRefusal::VersionChanged)),
        ] {
            assert_eq!(refusal(order, customer), expected, "{customer:?}");
        }
    }
}
