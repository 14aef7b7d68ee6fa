use serde_json::{Map, Value, json};
use shared::db::{WriteTransaction, dialect};
use shared::domain::{CustomerId, Phone, RequestId, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, Reach, Terms};
use shared::operation_log::{self, Actor, Operation};

use super::customer::{Customer, Sight, find, subject_of};
use super::error::CustomerError;
use crate::assignment::Telling;
use crate::auth::session::CurrentUser;

/// Somebody who does something with one customer.
#[derive(Debug, Clone)]
pub struct CustomerAct {
    /// Which customer.
    pub customer: CustomerId,
    /// Only if this is still its version.
    pub expected_version: Option<i32>,
    /// Who does it.
    pub actor: CurrentUser,
    /// The request it is part of.
    pub request_id: RequestId,
}

impl CustomerAct {
    /// The customer, if the actor sees it and it is as expected; nobody else changes it until the
    /// end of the transaction.
    pub(super) fn locked(
        &self,
        transaction: &mut WriteTransaction<'_>,
    ) -> Result<Customer, CustomerError> {
        let connection = transaction.connection();
        dialect::lock_customers(connection, std::slice::from_ref(&self.customer))?;
        let customer = find(connection, &self.customer, &Sight::of(&self.actor))?
            .ok_or(CustomerError::NotFound)?;
        match self.expected_version {
            Some(expected) if expected != customer.version => Err(CustomerError::VersionChanged),
            Some(_) | None => Ok(customer),
        }
    }

    /// Writes down that it was done.
    pub(super) fn record(
        &self,
        transaction: &mut WriteTransaction<'_>,
        action: &'static str,
        detail: Value,
        now: UtcTimestamp,
    ) -> Result<(), CustomerError> {
        let operation = Operation {
            action,
            entity: "customer",
            entity_id: self.customer.as_str().to_owned(),
            detail,
            request_id: Some(self.request_id.clone()),
        };
        let actor = Actor::User(self.actor.id.clone());
        operation_log::record(transaction, &actor, vec![operation], now)?;
        Ok(())
    }

    /// What the owner is to be told of it, unless they did it themselves or there is none. `source`
    /// is the line of a card that says what happened; a card has no room for a sentence.
    pub(super) fn notice(
        &self,
        kind: Kind,
        customer: &Customer,
        source: &str,
        more: Vec<(&'static str, Value)>,
        telling: Telling,
        now: UtcTimestamp,
    ) -> Option<Notice> {
        let owner: &UserId = customer.assigned_to.as_ref()?;
        if *owner == self.actor.id {
            return None;
        }
        let time = telling.time_text(now);
        let mut data = Map::new();
        let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
        put("customerId", json!(customer.id));
        put("customerName", json!(customer.name));
        put("phone", json!(customer.phone.as_ref().map(Phone::masked)));
        put("leadSource", json!(customer.lead_source));
        put("serviceCategory", json!(customer.service_category));
        put("source", json!(source));
        put("assignerName", json!(self.actor.name));
        put("operatorName", json!(self.actor.name));
        put("time", json!(time));
        put("assignTime", json!(time));
        for (name, value) in more {
            put(name, value);
        }
        Some(Notice {
            kind,
            recipients: vec![owner.clone()],
            data,
            subject: Some(subject_of(&customer.id)),
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: Some(self.request_id.clone()),
        })
    }
}
