use std::collections::HashMap;

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use serde_json::json;
use shared::db::schema::{assignments, customers, users};
use shared::db::{DbConnection, DbError, WriteTransaction, dialect, each_backend};
use shared::domain::{AssignmentId, CustomerId, Phone, RequestId, UserId, UtcTimestamp, text_enum};
use shared::notification::notify_all;
use shared::operation_log::{self, Actor, Operation};

use super::telling::{Telling, notices};
use crate::auth::session::CurrentUser;
use crate::customers::{LeadLevel, LeadSource, ServiceCategory};

/// The most customers in one order. A statement takes 32,766 values at most, and the rows stay
/// locked until all are done.
pub const CUSTOMERS_MAX: usize = 1_000;

text_enum! {
    /// Through which door an assignment came.
    pub enum Entrance ("entrance") {
        /// One customer.
        Single => "single",
        /// One customer, in the mini program.
        MiniProgram => "miniprogram",
        /// Many at once.
        Batch => "batch",
        /// Out of the public pool.
        Pool => "pool",
        /// With the entry of the customer.
        Create => "create",
    }
}

/// Who is to get which customers, and on whose word.
#[derive(Debug, Clone)]
pub struct AssignOrder {
    /// Which customers; without repetitions, [`CUSTOMERS_MAX`] at most.
    pub customers: Vec<CustomerId>,
    /// Who gets them.
    pub to: UserId,
    /// Why.
    pub reason: Option<String>,
    /// Through which door.
    pub entrance: Entrance,
    /// Only if this is still the version of the customer.
    pub expected_version: Option<i32>,
    /// Who orders it.
    pub actor: CurrentUser,
    /// The request it is part of.
    pub request_id: RequestId,
}

/// Why nothing of an order can be done.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// Who should get them does not exist.
    #[error("指定的负责人不存在")]
    TargetMissing,
    /// Who should get them has been deactivated.
    #[error("指定的负责人未激活")]
    TargetInactive,
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for AssignError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Why one customer of an order was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such customer.
    #[error("客户不存在")]
    Missing,
    /// It was to be taken out of the public pool but is not there.
    #[error("客户不在公海中")]
    NotInPool,
    /// Somebody has changed it since the caller last looked.
    #[error("客户已被他人修改，请刷新后重试")]
    VersionChanged,
}

/// What became of an order.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The name of who got them.
    pub owner_name: String,
    /// The customers that changed hands.
    pub assigned: Vec<AssignedCustomer>,
    /// Those that were theirs already: nothing was written, nobody was told.
    pub unchanged: Vec<CustomerId>,
    /// Those left alone, with the reason.
    pub refused: Vec<(CustomerId, Refusal)>,
}

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
    /// The version before.
    pub version: i32,
}

/// Gives customers to somebody: the rows, the history, the operation log, the notifications and
/// the outbox messages, in a number of statements that does not depend on how many there are.
///
/// Two orders for one customer wait for each other: both succeed in turn, the history shows both,
/// and each change is told once.
///
/// # Errors
/// [`AssignError`]; then nothing was written.
pub fn assign(
    transaction: &mut WriteTransaction<'_>,
    order: &AssignOrder,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Assigned, AssignError> {
    let owner_name = check_target(transaction.connection(), &order.to)?;
    dialect::lock_customers(transaction.connection(), &order.customers)?;
    let known = load(transaction.connection(), &order.customers)?;
    let outcome = sort_out(order, known, owner_name);
    if outcome.assigned.is_empty() {
        return Ok(outcome);
    }
    update(transaction.connection(), order, &outcome.assigned, now)?;
    append_history(transaction.connection(), order, &outcome.assigned, now)?;
    let actor = Actor::User(order.actor.id.clone());
    let operations = outcome.assigned.iter().map(|c| operation(order, c));
    operation_log::record(transaction, &actor, operations.collect(), now)?;
    let notices = notices(order, &outcome, telling, now);
    notify_all(transaction, &notices, telling.channels, now)?;
    Ok(outcome)
}

/// The name of who should get them, if they can; and they can until the end of the transaction.
fn check_target(connection: &mut DbConnection, to: &UserId) -> Result<String, AssignError> {
    dialect::keep_user(connection, to)?;
    let found: Option<(String, bool)> = users::table
        .find(to)
        .select((users::name, users::active))
        .first(connection)
        .optional()?;
    match found {
        None => Err(AssignError::TargetMissing),
        Some((_, false)) => Err(AssignError::TargetInactive),
        Some((name, true)) => Ok(name),
    }
}

fn load(
    connection: &mut DbConnection,
    ids: &[CustomerId],
) -> Result<HashMap<CustomerId, AssignedCustomer>, AssignError> {
    let found: Vec<AssignedCustomer> = customers::table
        .filter(customers::id.eq_any(ids))
        .select((
            customers::id,
            customers::name,
            customers::phone,
            customers::lead_source,
            customers::service_category,
            customers::assigned_to,
            customers::in_public_pool,
            customers::version,
        ))
        .load(connection)?;
    Ok(found.into_iter().map(|c| (c.id.clone(), c)).collect())
}

/// Decides what becomes of each customer, in the order they were named.
fn sort_out(
    order: &AssignOrder,
    mut known: HashMap<CustomerId, AssignedCustomer>,
    owner_name: String,
) -> Assigned {
    let mut outcome = Assigned {
        owner_name,
        assigned: Vec::with_capacity(order.customers.len()),
        unchanged: Vec::new(),
        refused: Vec::new(),
    };
    for id in &order.customers {
        let Some(customer) = known.remove(id) else {
            outcome.refused.push((id.clone(), Refusal::Missing));
            continue;
        };
        if order.entrance == Entrance::Pool && !customer.was_in_pool {
            outcome.refused.push((id.clone(), Refusal::NotInPool));
        } else if order
            .expected_version
            .is_some_and(|expected| expected != customer.version)
        {
            outcome.refused.push((id.clone(), Refusal::VersionChanged));
        } else if customer.previous_owner.as_ref() == Some(&order.to) && !customer.was_in_pool {
            outcome.unchanged.push(id.clone());
        } else {
            outcome.assigned.push(customer);
        }
    }
    outcome
}

fn update(
    connection: &mut DbConnection,
    order: &AssignOrder,
    assigned: &[AssignedCustomer],
    now: UtcTimestamp,
) -> Result<(), AssignError> {
    let ids = assigned.iter().map(|customer| &customer.id);
    // On the right stand the values before the update.
    let lost_in_pool = customers::in_public_pool.and(customers::lead_level.eq(LeadLevel::Lost));
    let no_level = None::<LeadLevel>.into_sql::<Nullable<Text>>();
    diesel::update(customers::table.filter(customers::id.eq_any(ids)))
        .set((
            customers::assigned_to.eq(&order.to),
            customers::assigned_by.eq(&order.actor.id),
            customers::assigned_at.eq(now),
            customers::assignment_reason.eq(&order.reason),
            customers::lead_level
                .eq(case_when(lost_in_pool, no_level).otherwise(customers::lead_level)),
            customers::claim_count.eq(case_when(
                customers::in_public_pool,
                customers::claim_count + 1,
            )
            .otherwise(customers::claim_count)),
            customers::in_public_pool.eq(false),
            customers::pool_entered_at.eq(None::<UtcTimestamp>),
            customers::pool_reason.eq(None::<String>),
            customers::last_activity_at.eq(now),
            customers::updated_at.eq(now),
            customers::version.eq(customers::version + 1),
        ))
        .execute(connection)?;
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = assignments, treat_none_as_default_value = false)]
struct HistoryRow<'a> {
    id: AssignmentId,
    customer_id: &'a CustomerId,
    from_user_id: Option<&'a UserId>,
    to_user_id: &'a UserId,
    assigned_by: &'a UserId,
    entrance: Entrance,
    reason: Option<&'a str>,
    request_id: &'a RequestId,
    created_at: UtcTimestamp,
}

fn append_history(
    connection: &mut DbConnection,
    order: &AssignOrder,
    assigned: &[AssignedCustomer],
    now: UtcTimestamp,
) -> Result<(), AssignError> {
    let rows: Vec<HistoryRow<'_>> = assigned
        .iter()
        .map(|customer| HistoryRow {
            id: AssignmentId::generate(),
            customer_id: &customer.id,
            from_user_id: customer.previous_owner.as_ref(),
            to_user_id: &order.to,
            assigned_by: &order.actor.id,
            entrance: order.entrance,
            reason: order.reason.as_deref(),
            request_id: &order.request_id,
            created_at: now,
        })
        .collect();
    each_backend!(connection, |c| diesel::insert_into(assignments::table)
        .values(&rows)
        .execute(c))?;
    Ok(())
}

fn operation(order: &AssignOrder, customer: &AssignedCustomer) -> Operation {
    Operation {
        action: "customer.assign",
        entity: "customer",
        entity_id: customer.id.as_str().to_owned(),
        detail: json!({
            "from": customer.previous_owner,
            "to": order.to,
            "entrance": order.entrance,
            "fromPublicPool": customer.was_in_pool,
            "reason": order.reason,
        }),
        request_id: Some(order.request_id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::Role;

    use super::*;

    fn customer(owner: Option<&UserId>) -> AssignedCustomer {
        AssignedCustomer {
            id: CustomerId::generate(),
            name: "王女士".to_owned(),
            phone: None,
            lead_source: LeadSource::Douyin,
            service_category: None,
            was_in_pool: owner.is_none(),
            previous_owner: owner.cloned(),
            version: 1,
        }
    }

    fn order(entrance: Entrance, customers: &[AssignedCustomer]) -> AssignOrder {
        AssignOrder {
            customers: customers.iter().map(|c| c.id.clone()).collect(),
            to: UserId::generate(),
            reason: None,
            entrance,
            expected_version: None,
            actor: CurrentUser {
                id: UserId::generate(),
                name: "张经理".to_owned(),
                role: Role::Manager,
            },
            request_id: RequestId::generate(),
        }
    }

    fn decide(order: &AssignOrder, customers: &[AssignedCustomer]) -> Assigned {
        let known = customers.iter().map(|c| (c.id.clone(), c.clone()));
        sort_out(order, known.collect(), "李四".to_owned())
    }

    #[test]
    fn the_owner_keeps_what_is_theirs_and_nothing_happens() {
        let mut theirs = customer(None);
        let order = order(Entrance::Single, std::slice::from_ref(&theirs));
        theirs.previous_owner = Some(order.to.clone());
        theirs.was_in_pool = false;
        let outcome = decide(&order, std::slice::from_ref(&theirs));
        assert_eq!(outcome.unchanged, [theirs.id]);
        assert!(outcome.assigned.is_empty() && outcome.refused.is_empty());
    }

    #[test]
    fn only_the_pool_gives_from_the_pool_alone() {
        let all = [customer(None), customer(Some(&UserId::generate()))];
        let pool = decide(&order(Entrance::Pool, &all), &all);
        assert_eq!(pool.assigned, all[..1]);
        assert_eq!(pool.refused, [(all[1].id.clone(), Refusal::NotInPool)]);
        let batch = decide(&order(Entrance::Batch, &all), &all);
        assert_eq!(batch.assigned, all);
    }

    #[test]
    fn an_unknown_customer_and_another_version_are_refused() {
        let all = [customer(None), customer(None)];
        let mut order = order(Entrance::Batch, &all);
        order.expected_version = Some(2);
        let outcome = decide(&order, &all[..1]);
        assert_eq!(
            outcome.refused,
            [
                (all[0].id.clone(), Refusal::VersionChanged),
                (all[1].id.clone(), Refusal::Missing),
            ]
        );
    }
}
