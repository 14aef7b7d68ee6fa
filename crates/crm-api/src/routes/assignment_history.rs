use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{AssignmentId, CustomerId, RequestId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::assignment;
use crate::customers::{self, Sight};
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, QueryOf, id_in_path};
use crate::routes::customers::{NO_SUCH_CUSTOMER, Names, absent};
use crate::state::State;
use crate::validation::Paging;

/// One change of a customer's owner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignmentView {
    #[schema(value_type = String)]
    id: AssignmentId,
    #[schema(value_type = Option<String>)]
    from_user_id: Option<UserId>,
    from_user_name: Option<String>,
    /// Nobody's: it went into the public pool.
    #[schema(value_type = Option<String>)]
    to_user_id: Option<UserId>,
    to_user_name: Option<String>,
    #[schema(value_type = Option<String>)]
    assigned_by: Option<UserId>,
    assigned_by_name: Option<String>,
    /// `single`, `miniprogram`, `batch`, `pool`, `create`, `import`, `claim`, `auto_transfer`,
    /// `release`.
    entrance: String,
    reason: Option<String>,
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    pub(crate) page: Option<u32>,
    /// At most 100.
    pub(crate) page_size: Option<u32>,
}

impl PageQuery {
    pub(crate) fn paging(&self) -> Result<Paging, ApiError> {
        Paging::new(self.page, self.page_size)
    }
}

/// The changes of a customer's owner, newest first.
#[utoipa::path(get, path = "/api/customers/{id}/assignments", tag = "customers",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Envelope<Page<AssignmentView>>), (status = 404)))]
pub(crate) async fn list(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let id: CustomerId = id_in_path(&id, NO_SUCH_CUSTOMER)?;
    let paging = query.paging()?;
    let sight = Sight::of(&caller.user);
    let page = state
        .database
        .run(move |connection| {
            if customers::find(connection, &id, &sight)?.is_none() {
                return Err(absent(connection, &id)?);
            }
            let (changes, total) =
                assignment::history(connection, &id, paging.offset(), paging.limit())?;
            let people = changes.iter().flat_map(|change| {
                let people = [
                    &change.from_user_id,
                    &change.to_user_id,
                    &change.assigned_by,
                ];
                people.into_iter().flatten()
            });
            let names = customers::names_of(connection, people)?;
            let views = changes
                .into_iter()
                .map(|change| history_entry(change, &names));
            Ok::<_, ApiError>(Page::new(views.collect(), total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

fn history_entry(change: assignment::Assignment, names: &Names) -> AssignmentView {
    let name_of = |user: &UserId| names.get(user).cloned();
    AssignmentView {
        from_user_name: change.from_user_id.as_ref().and_then(name_of),
        to_user_name: change.to_user_id.as_ref().and_then(name_of),
        assigned_by_name: change.assigned_by.as_ref().and_then(name_of),
        id: change.id,
        from_user_id: change.from_user_id,
        to_user_id: change.to_user_id,
        assigned_by: change.assigned_by,
        entrance: change.entrance,
        reason: change.reason,
        request_id: change.request_id,
        created_at: change.created_at,
    }
}
