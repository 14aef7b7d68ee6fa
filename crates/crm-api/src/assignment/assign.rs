use std::collections::HashMap;

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError, WriteTransaction, dialect, each_backend, keep_prepared};
use shared::domain::{
    Channel, CustomerId, OutboxMessageId, RequestId, UserId, UtcTimestamp, text_enum,
};
use shared::notification::notify_all;
use shared::operation_log::Actor;
use shared::outbox::{Superseded, name_successors};

use super::lead::{self, AssignedCustomer};
use super::ownership::OwnerChange;
use super::telling::{Telling, notices};
use crate::customers::LeadLevel;

/// The most customers in one order: their rows stay locked until all are done.
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
        /// With the entry of the customer, from a file of many.
        Import => "import",
        /// Out of the public pool, for oneself.
        Claim => "claim",
        /// By a rule.
        AutoTransfer => "auto_transfer",
        /// Into the public pool, by the form of the website: nobody's before and after.
        Website => "website",
        /// Into the public pool, to nobody.
        Release => "release",
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
    pub actor: Actor,
    /// What whoever orders it is called.
    pub actor_name: String,
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
    /// Somebody else has taken it out of the public pool.
    #[error("该线索已被他人认领")]
    Taken,
    /// Somebody has changed it since the caller last looked.
    #[error("客户已被他人修改，请刷新后重试")]
    VersionChanged,
}

/// What became of an order.
#[derive(Debug, Clone, Default)]
pub struct Assigned {
    /// The name of who got them.
    pub owner_name: String,
    /// The customers that changed hands.
    pub assigned: Vec<AssignedCustomer>,
    /// Those that were theirs already: nothing was written, nobody was told.
    pub unchanged: Vec<CustomerId>,
    /// Those left alone, with the reason.
    pub refused: Vec<(CustomerId, Refusal)>,
    /// Messages that had not left and told somebody else that one of them is theirs.
    pub superseded: Vec<Superseded>,
}

impl Assigned {
    /// Adds what became of another order for the same person.
    pub fn absorb(&mut self, other: Self) {
        self.owner_name = other.owner_name;
        self.assigned.extend(other.assigned);
        self.unchanged.extend(other.unchanged);
        self.refused.extend(other.refused);
        self.superseded.extend(other.superseded);
    }
}

/// Gives customers to somebody: the rows, the history, the operation log, the notifications and
/// the outbox messages, in as many round trips for a thousand as for one.
///
/// Two orders for one customer wait for each other: both succeed in turn, the history shows both,
/// and each change is told once. What the first has told and has not left yet is taken back by the
/// second, if it is no longer true.
///
/// # Errors
/// [`AssignError`]; then nothing was written.
pub fn assign(
    transaction: &mut WriteTransaction<'_>,
    order: &AssignOrder,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Assigned, AssignError> {
    let outcome = assign_untold(transaction, order, now)?;
    tell(transaction, order, &outcome, telling, now)?;
    Ok(outcome)
}

/// [`assign`] without the notifications and messages, for whoever tells of several orders at once:
/// [`tell`] is theirs to call, in the same transaction.
///
/// # Errors
/// [`AssignError`]; then nothing was written.
pub fn assign_untold(
    transaction: &mut WriteTransaction<'_>,
    order: &AssignOrder,
    now: UtcTimestamp,
) -> Result<Assigned, AssignError> {
    let owner_name = check_target(transaction.connection(), &order.to)?;
    let known = lead::lock(transaction.connection(), &order.customers)?;
    let mut outcome = sort_out(order, known, owner_name);
    if outcome.assigned.is_empty() {
        return Ok(outcome);
    }
    update(transaction.connection(), order, &outcome.assigned, now)?;
    let change = OwnerChange {
        to: Some((&order.to, &outcome.owner_name)),
        entrance: order.entrance,
        reason: order.reason.as_deref(),
        actor: &order.actor,
        request_id: &order.request_id,
    };
    outcome.superseded = change.record(transaction, &outcome.assigned, now)?;
    Ok(outcome)
}

/// Tells of an order that was done, or of several of one kind for one person, taken together: one
/// notice to the new owner, and one to each previous owner except the one who gave the order.
///
/// # Errors
/// What the database says.
pub fn tell(
    transaction: &mut WriteTransaction<'_>,
    order: &AssignOrder,
    outcome: &Assigned,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    if outcome.assigned.is_empty() {
        return Ok(());
    }
    let notices = notices(order, outcome, telling, now);
    let told = notify_all(transaction, &notices, telling.channels, now)?;
    let successors: Vec<(Channel, OutboxMessageId)> = told
        .into_iter()
        .filter(|message| message.recipient_id.as_str() == order.to.as_str())
        .flat_map(|message| {
            // What had gone on to one of its other channels is overtaken by it as well.
            let channels = std::iter::once(message.channel).chain(message.fallbacks);
            channels.map(move |channel| (channel, message.id.clone()))
        })
        .collect();
    name_successors(transaction, &outcome.superseded, &successors)
}

/// The name of who should get them, if they can; and they can until the end of the transaction.
fn check_target(connection: &mut DbConnection, to: &UserId) -> Result<String, AssignError> {
    let user = dialect::keep_user(connection, to)?.ok_or(AssignError::TargetMissing)?;
    if user.active {
        Ok(user.name)
    } else {
        Err(AssignError::TargetInactive)
    }
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
        superseded: Vec::new(),
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
        } else if order.entrance == Entrance::Claim && !customer.was_in_pool {
            outcome.refused.push((id.clone(), Refusal::Taken));
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
    // Here, and not in a second update: each writes all indexes of the table.
    let moved_by_rule = (order.entrance == Entrance::AutoTransfer).then(|| {
        (
            customers::transfer_count.eq(customers::transfer_count + 1),
            customers::last_transferred_at.eq(now),
        )
    });
    let named = dialect::among(connection, customers::id, ids);
    let give = diesel::update(customers::table.filter(named)).set((
        customers::assigned_to.eq(&order.to),
        customers::assigned_by.eq(order.actor.user_id()),
        customers::assigned_at.eq(now),
        customers::assignment_reason.eq(&order.reason),
        customers::lead_level
            .eq(case_when(lost_in_pool, no_level).otherwise(customers::lead_level)),
        customers::claim_count.eq(
            case_when(customers::in_public_pool, customers::claim_count + 1)
                .otherwise(customers::claim_count),
        ),
        customers::in_public_pool.eq(false),
        customers::pool_entered_at.eq(None::<UtcTimestamp>),
        customers::pool_reason.eq(None::<String>),
        customers::last_activity_at.eq(now),
        customers::updated_at.eq(now),
        customers::version.eq(customers::version + 1),
        moved_by_rule,
    ));
    each_backend!(connection, |c| keep_prepared(give).run(c))?;
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

    fn order(entrance: Entrance, customers: &[AssignedCustomer]) -> AssignOrder {
        AssignOrder {
            customers: customers.iter().map(|c| c.id.clone()).collect(),
            to: UserId::generate(),
            reason: None,
            entrance,
            expected_version: None,
            actor: Actor::User(UserId::generate()),
            actor_name: "张经理".to_owned(),
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
    fn a_claim_takes_what_nobody_has_and_leaves_what_is_theirs_already() {
        let mut all = [
            customer(None),
            customer(Some(&UserId::generate())),
            customer(None),
        ];
        let order = order(Entrance::Claim, &all);
        all[2].was_in_pool = false;
        all[2].previous_owner = Some(order.to.clone());
        let outcome = decide(&order, &all);
        assert_eq!(outcome.assigned, all[..1]);
        assert_eq!(outcome.refused, [(all[1].id.clone(), Refusal::Taken)]);
        assert_eq!(outcome.unchanged, [all[2].id.clone()]);
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
