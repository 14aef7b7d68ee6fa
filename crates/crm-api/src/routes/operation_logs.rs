use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;
use shared::domain::{CustomerId, RequestId, UtcTimestamp};
use shared::operation_log::{self, LoggedOperation};
use utoipa::ToSchema;

use crate::customers::{self, Sight};
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{QueryOf, id_in_path};
use crate::routes::assignment_history::PageQuery;
use crate::routes::customers::NO_SUCH_CUSTOMER;
use crate::state::State;

/// Something that was done to a customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationView {
    #[schema(value_type = String, format = DateTime)]
    at: UtcTimestamp,
    /// Who: a username, somebody at a command line, or `system`.
    actor: String,
    /// What the user is called; null if it was no user.
    actor_name: Option<String>,
    /// What was done: `customer.assign`.
    action: String,
    /// What changed; phone numbers masked.
    detail: Value,
    /// The request it was part of.
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
}

impl From<LoggedOperation> for OperationView {
    fn from(operation: LoggedOperation) -> Self {
        Self {
            at: operation.at,
            actor: operation.actor,
            actor_name: operation.actor_name,
            action: operation.action,
            detail: operation.detail,
            request_id: operation.request_id,
        }
    }
}

/// Who did what with a customer, newest first; also with one that was deleted.
#[utoipa::path(get, path = "/api/customers/{id}/operation-logs", tag = "customers",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Envelope<Page<OperationView>>), (status = 404)))]
pub(crate) async fn list(
    state: State,
    id: web::Path<String>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(&id, NO_SUCH_CUSTOMER)?;
    let paging = query.paging()?;
    let page = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            let (lines, total) =
                operation_log::newest(connection, "customer", id.as_str(), offset, limit)?;
            if total == 0 && customers::find(connection, &id, &Sight::All)?.is_none() {
                return Err(ApiError::NotFound(NO_SUCH_CUSTOMER.to_owned()));
            }
            let views = lines.into_iter().map(OperationView::from).collect();
            Ok(Page::new(views, total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}
