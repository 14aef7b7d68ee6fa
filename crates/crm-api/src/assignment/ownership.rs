use serde_json::json;
use shared::db::{DbError, WriteTransaction};
use shared::domain::{RequestId, UserId, UtcTimestamp};
use shared::notification::Kind;
use shared::operation_log::{self, Actor, Operation};
use shared::outbox::{self, PendingKinds, Superseded};

use super::assign::Entrance;
use super::history;
use super::lead::AssignedCustomer;
use crate::customers::subject_of;

/// That customers change hands, or go into the public pool: what every door has in common.
pub(super) struct OwnerChange<'a> {
    /// Who gets them, and their name; nobody if they go into the public pool.
    pub(super) to: Option<(&'a UserId, &'a str)>,
    /// Through which door.
    pub(super) entrance: Entrance,
    /// Why.
    pub(super) reason: Option<&'a str>,
    /// Who orders it.
    pub(super) actor: &'a Actor,
    /// The request it is part of.
    pub(super) request_id: &'a RequestId,
}

/// What says "this customer is yours", and is no longer true when it changes hands.
pub const SAY_IT_IS_YOURS: [&str; 3] = [
    Kind::CustomerAssigned.as_str(),
    Kind::CustomerAssignedFromPool.as_str(),
    Kind::CustomerFollowUpDue.as_str(),
];

impl OwnerChange<'_> {
    /// Writes down that these customers, which are locked and updated, have changed hands: the
    /// history and the operation log; and takes back what has not left yet and is no longer true. In as
    /// many round trips for a thousand as for one.
    pub(super) fn record(
        &self,
        transaction: &mut WriteTransaction<'_>,
        customers: &[AssignedCustomer],
        now: UtcTimestamp,
    ) -> Result<Vec<Superseded>, DbError> {
        history::append(transaction.connection(), self, customers, now)?;
        let operations = customers.iter().map(|customer| self.operation(customer));
        operation_log::record(transaction, self.actor, operations.collect(), now)?;
        // Whoever had none was told of none.
        let owned = customers.iter().filter(|c| c.previous_owner.is_some());
        let subjects: Vec<String> = owned.map(|c| subject_of(&c.id)).collect();
        let kinds = PendingKinds::These(&SAY_IT_IS_YOURS);
        outbox::supersede(transaction, &subjects, kinds, &self.overtaken_by(), now)
    }

    fn overtaken_by(&self) -> String {
        match self.to {
            Some((_, name)) => format!("superseded: reassigned to {name}"),
            None => "superseded: released to the public pool".to_owned(),
        }
    }

    fn operation(&self, customer: &AssignedCustomer) -> Operation {
        Operation {
            action: match self.to {
                Some(_) => "customer.assign",
                None => "customer.release",
            },
            entity: "customer",
            entity_id: customer.id.as_str().to_owned(),
            detail: json!({
                "from": customer.previous_owner,
                "to": self.to.map(|(to, _)| to),
                "entrance": self.entrance,
                "fromPublicPool": customer.was_in_pool,
                "reason": self.reason,
            }),
            request_id: Some(self.request_id.clone()),
        }
    }
}
