use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::dsl::min;
use diesel::prelude::*;
use shared::db::schema::{customers, users};
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, Phone, UserId, UtcTimestamp};

use super::waits::Waits;
use crate::customers::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};

/// The states of a contract in which somebody has to follow up: it may still come to one.
const OPEN: [ContractStatus; 4] = [
    ContractStatus::Signing,
    ContractStatus::Matching,
    ContractStatus::Interviewed,
    ContractStatus::Undecided,
];

/// The customers of each owner that are due, those without activity for longest first.
pub(super) type Due = BTreeMap<UserId, Vec<(UtcTimestamp, CustomerId)>>;

/// An owner with theirs.
pub(super) type Owned = (UserId, Vec<(UtcTimestamp, CustomerId)>);

/// A customer of whom its owner is reminded.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = customers)]
pub(super) struct DueCustomer {
    pub(super) id: CustomerId,
    pub(super) name: String,
    pub(super) phone: Option<Phone>,
    pub(super) lead_source: LeadSource,
    pub(super) service_category: Option<ServiceCategory>,
    pub(super) last_activity_at: UtcTimestamp,
    assigned_to: Option<UserId>,
}

/// That there is something to follow up on.
macro_rules! needs_follow_up {
    ($query:expr) => {
        $query
            .filter(customers::frozen.eq(false))
            .filter(customers::in_public_pool.eq(false))
            .filter(customers::contract_status.eq_any(OPEN))
            .filter(
                customers::lead_level
                    .is_null()
                    .or(customers::lead_level.ne(LeadLevel::Lost)),
            )
    };
}

/// What is due, of owners who are active and come after `told_last`. A query for each interval since the
/// oldest activity, which reads the customers of those days by the index of their last activity.
pub(super) fn find(
    connection: &mut DbConnection,
    waits: Waits,
    told_last: Option<&UserId>,
) -> Result<Due, DbError> {
    let oldest: Option<UtcTimestamp> = customers::table
        .select(min(customers::last_activity_at))
        .get_result(connection)?;
    let Some(oldest) = oldest else {
        return Ok(Due::new());
    };
    let active: Vec<UserId> = users::table
        .filter(users::active)
        .select(users::id)
        .load(connection)?;
    let active: HashSet<UserId> = active.into_iter().collect();
    let mut due = Due::new();
    for (from, until) in waits.ranges(oldest) {
        let of_these_days = customers::table
            .filter(customers::last_activity_at.ge(from))
            .filter(customers::last_activity_at.lt(until));
        let rows: Vec<(Option<UserId>, UtcTimestamp, CustomerId)> = needs_follow_up!(of_these_days)
            .select((
                customers::assigned_to,
                customers::last_activity_at,
                customers::id,
            ))
            .load(connection)?;
        for (owner, since, customer) in rows {
            if let Some(owner) = owner
                && active.contains(&owner)
                && told_last.is_none_or(|last| owner > *last)
            {
                due.entry(owner).or_default().push((since, customer));
            }
        }
    }
    due.values_mut()
        .for_each(|customers| customers.sort_unstable());
    Ok(due)
}

/// Those of the customers found that are still as they were, of each owner in the same order; a query
/// for a thousand, whoever owns them.
pub(super) fn reread(
    connection: &mut DbConnection,
    found: &[Owned],
) -> Result<BTreeMap<UserId, Vec<DueCustomer>>, DbError> {
    let mut seen: HashMap<&CustomerId, (&UserId, UtcTimestamp)> = HashMap::new();
    for (owner, customers) in found {
        seen.extend(customers.iter().map(|(since, id)| (id, (owner, *since))));
    }
    let ids: Vec<&CustomerId> = seen.keys().copied().collect();
    let mut due: BTreeMap<UserId, Vec<DueCustomer>> = BTreeMap::new();
    // A statement takes 32,766 values at most.
    for chunk in ids.chunks(1_000) {
        let these = customers::table.filter(customers::id.eq_any(chunk.iter().copied()));
        let rows: Vec<DueCustomer> = needs_follow_up!(these)
            .select(DueCustomer::as_select())
            .load(connection)?;
        for customer in rows {
            if let Some((owner, since)) = seen.get(&customer.id)
                && customer.assigned_to.as_ref() == Some(*owner)
                && customer.last_activity_at == *since
            {
                due.entry((*owner).clone()).or_default().push(customer);
            }
        }
    }
    for customers in due.values_mut() {
        customers.sort_unstable_by(|one, other| {
            (one.last_activity_at, &one.id).cmp(&(other.last_activity_at, &other.id))
        });
    }
    Ok(due)
}
