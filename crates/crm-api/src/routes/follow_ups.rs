use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{CustomerId, FollowUpId, UserId, UtcTimestamp};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::customers::{self, FollowUp, FollowUpKind, NewFollowUp, Sight};
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody, QueryOf, id_in_path};
use crate::routes::assignment_history::PageQuery;
use crate::routes::customer_change::act;
use crate::routes::customers::{NO_SUCH_CUSTOMER, Names, absent};
use crate::state::State;
use crate::validation::{Lines, optional_text};

/// The longest follow-up.
const CONTENT_CHARACTERS_MAX: usize = 2_000;

/// What was said and done with a customer.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FollowUpBody {
    /// 1 to 2000 characters, several lines.
    content: Option<String>,
    /// 电话, 微信, 到店, 面谈, 其他.
    #[schema(value_type = Option<String>)]
    kind: Option<FollowUpKind>,
    /// When to follow up next; must lie ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_follow_up_at: Option<UtcTimestamp>,
}

/// What somebody wrote down about a customer at one time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FollowUpView {
    #[schema(value_type = String)]
    id: FollowUpId,
    content: String,
    #[schema(value_type = Option<String>)]
    kind: Option<FollowUpKind>,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_follow_up_at: Option<UtcTimestamp>,
    #[schema(value_type = String)]
    author_id: UserId,
    author_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

impl FollowUpView {
    fn new(follow_up: FollowUp, names: &Names) -> Self {
        Self {
            author_name: names.get(&follow_up.author_id).cloned(),
            id: follow_up.id,
            content: follow_up.content,
            kind: follow_up.kind,
            next_follow_up_at: follow_up.next_follow_up_at,
            author_id: follow_up.author_id,
            created_at: follow_up.created_at,
        }
    }
}

/// Writes down what was said and done with a customer. The owner is told if somebody else did.
#[utoipa::path(post, path = "/api/customers/{id}/follow-ups", tag = "customers",
    params(("id" = String, Path)), request_body = FollowUpBody,
    responses((status = 201, body = Envelope<FollowUpView>), (status = 404)))]
pub(crate) async fn add(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    JsonBody(body): JsonBody<FollowUpBody>,
) -> Result<HttpResponse, ApiError> {
    let act = act(&caller, &id, ExpectedVersion(None))?;
    let (telling, now) = (state.telling, state.now());
    let new = checked(&body, now)?;
    state
        .change(&caller, move |transaction| {
            let written = customers::follow_up(transaction, &act, new, telling, now)?;
            let author = std::iter::once(&written.author_id);
            let names = customers::names_of(transaction.connection(), author)?;
            Answer::created("跟进记录添加成功", FollowUpView::new(written, &names))
        })
        .await
}

/// What was written down about a customer, newest first.
#[utoipa::path(get, path = "/api/customers/{id}/follow-ups", tag = "customers",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Envelope<Page<FollowUpView>>), (status = 404)))]
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
            let (written, total) =
                customers::follow_ups(connection, &id, paging.offset(), paging.limit())?;
            let authors = written.iter().map(|one| &one.author_id);
            let names = customers::names_of(connection, authors)?;
            let views = written
                .into_iter()
                .map(|one| FollowUpView::new(one, &names))
                .collect();
            Ok(Page::new(views, total, paging))
        })
        .await?;
    Ok(envelope::ok("获取成功", page))
}

fn checked(body: &FollowUpBody, now: UtcTimestamp) -> Result<NewFollowUp, ApiError> {
    let content = optional_text(
        "content",
        body.content.as_deref(),
        CONTENT_CHARACTERS_MAX,
        Lines::Many,
    )?;
    if body.next_follow_up_at.is_some_and(|next| next <= now) {
        return Err(ApiError::invalid(
            "nextFollowUpAt",
            "下次跟进时间必须晚于当前时间",
        ));
    }
    Ok(NewFollowUp {
        kind: body.kind,
        content: content.ok_or_else(|| ApiError::invalid("content", "跟进内容不能为空"))?,
        next_follow_up_at: body.next_follow_up_at,
    })
}
