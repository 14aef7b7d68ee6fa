use std::collections::HashSet;

use diesel::prelude::*;
use serde::Deserialize;

use super::Assignment;
use crate::db::schema::operation_logs;
use crate::db::{DbConnection, DbError};
use crate::domain::{CustomerId, RequestId, UtcTimestamp};

/// Customers that are there no more, and what the operation log still knows of them: their own
/// history went with them.
pub(super) struct DeletedCustomers(HashSet<CustomerId>);

/// What the operation log keeps of an assignment.
#[derive(Deserialize)]
struct AssignDetail {
    from: Option<String>,
    to: Option<String>,
    entrance: String,
}

#[derive(Queryable)]
struct LoggedAssignment {
    customer_id: CustomerId,
    actor_id: Option<String>,
    detail: String,
    request_id: Option<RequestId>,
    created_at: UtcTimestamp,
}

impl DeletedCustomers {
    /// Those deleted since this moment; earlier ones have been told of before it.
    pub(super) fn load(
        connection: &mut DbConnection,
        since: UtcTimestamp,
    ) -> Result<Self, DbError> {
        let ids: Vec<CustomerId> = operation_logs::table
            .filter(operation_logs::entity.eq("customer"))
            .filter(operation_logs::action.eq("customer.delete"))
            .filter(operation_logs::created_at.ge(since))
            .select(operation_logs::entity_id)
            .load(connection)?;
        Ok(Self(ids.into_iter().collect()))
    }

    /// The assignments of these customers in that time, as they were logged.
    pub(super) fn assignments(
        &self,
        connection: &mut DbConnection,
        since: UtcTimestamp,
        until: UtcTimestamp,
    ) -> Result<Vec<Assignment>, DbError> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let logged: Vec<LoggedAssignment> = operation_logs::table
            .filter(operation_logs::entity.eq("customer"))
            .filter(operation_logs::action.eq_any(["customer.assign", "customer.release"]))
            .filter(operation_logs::created_at.ge(since))
            .filter(operation_logs::created_at.lt(until))
            .order(operation_logs::id)
            .select((
                operation_logs::entity_id,
                operation_logs::actor_id,
                operation_logs::detail,
                operation_logs::request_id,
                operation_logs::created_at,
            ))
            .load(connection)?;
        let of_deleted = logged
            .into_iter()
            .filter(|logged| self.0.contains(&logged.customer_id));
        Ok(of_deleted.filter_map(assignment).collect())
    }

    /// Whether a message's subject is one of these customers.
    pub(super) fn are_meant_by(&self, subject: Option<&str>) -> bool {
        subject
            .and_then(|subject| subject.strip_prefix("customer:"))
            .and_then(|id| id.parse().ok())
            .is_some_and(|id: CustomerId| self.0.contains(&id))
    }
}

fn assignment(logged: LoggedAssignment) -> Option<Assignment> {
    let detail: AssignDetail = serde_json::from_str(&logged.detail).ok()?;
    Some(Assignment {
        customer_id: logged.customer_id,
        from_user_id: detail.from,
        to_user_id: detail.to,
        assigned_by: logged.actor_id,
        entrance: detail.entrance,
        request_id: logged.request_id,
        created_at: logged.created_at,
    })
}
