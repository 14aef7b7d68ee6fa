use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use shared::domain::{NotificationId, UtcTimestamp};
use shared::notification::{
    self, InboxFilter, Kind, Notification, NotificationPriority, ReadFilter,
};
use utoipa::{IntoParams, ToSchema};

use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf};
use crate::state::State;
use crate::validation::Paging;

/// The most notifications marked at once.
const MARKED_MAX: usize = 1_000;

/// An entry in the caller's notification centre.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationView {
    #[schema(value_type = String)]
    id: NotificationId,
    #[schema(value_type = String)]
    kind: Kind,
    title: String,
    content: String,
    #[schema(value_type = String)]
    priority: NotificationPriority,
    link: Option<String>,
    /// The values behind the text.
    data: serde_json::Value,
    read: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<UtcTimestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

impl From<Notification> for NotificationView {
    fn from(entry: Notification) -> Self {
        Self {
            id: entry.id,
            kind: entry.kind,
            title: entry.title,
            content: entry.content,
            priority: entry.priority,
            link: entry.link,
            data: serde_json::from_str(&entry.data).unwrap_or_default(),
            read: entry.read_at.is_some(),
            read_at: entry.read_at,
            created_at: entry.created_at,
        }
    }
}

/// Which entries to show.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NotificationsQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    #[param(value_type = Option<String>)]
    kind: Option<Kind>,
    unread_only: Option<bool>,
}

/// Which entries were read.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MarkReadBody {
    /// 1 to 1000.
    #[schema(value_type = Vec<String>)]
    notification_ids: Vec<NotificationId>,
}

/// How many.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    count: i64,
}

/// The caller's notifications, newest first.
#[utoipa::path(get, path = "/api/notifications", tag = "notifications", params(NotificationsQuery),
    responses((status = 200, body = Envelope<Page<NotificationView>>)))]
pub(crate) async fn list(
    state: State,
    caller: Caller,
    QueryOf(query): QueryOf<NotificationsQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let filter = InboxFilter {
        kind: query.kind,
        read: match query.unread_only {
            Some(true) => ReadFilter::UnreadOnly,
            Some(false) | None => ReadFilter::All,
        },
    };
    let (entries, total) = state
        .database
        .run(move |connection| {
            let (offset, limit) = (paging.offset(), paging.limit());
            notification::inbox(connection, &caller.user.id, &filter, offset, limit)
        })
        .await?;
    let entries = entries.into_iter().map(NotificationView::from).collect();
    Ok(envelope::ok("获取成功", Page::new(entries, total, paging)))
}

/// How many of the caller's notifications are unread.
#[utoipa::path(get, path = "/api/notifications/unread-count", tag = "notifications",
    responses((status = 200, body = Envelope<Count>)))]
pub(crate) async fn unread_count(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let count = state
        .database
        .run(move |connection| notification::unread_count(connection, &caller.user.id))
        .await?;
    Ok(envelope::ok("获取成功", Count { count }))
}

/// Marks some of the caller's notifications as read.
#[utoipa::path(put, path = "/api/notifications/mark-read", tag = "notifications",
    request_body = MarkReadBody, responses((status = 200, body = Envelope<Count>)))]
pub(crate) async fn mark_read(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<MarkReadBody>,
) -> Result<HttpResponse, ApiError> {
    let ids = body.notification_ids;
    if !(1..=MARKED_MAX).contains(&ids.len()) {
        return Err(ApiError::invalid(
            "notificationIds",
            format!("通知数量必须在1到{MARKED_MAX}之间"),
        ));
    }
    let now = state.now();
    let count = state
        .database
        .write(move |transaction| notification::mark_read(transaction, &caller.user.id, &ids, now))
        .await?;
    Ok(marked(count))
}

/// Marks all of the caller's notifications as read.
#[utoipa::path(put, path = "/api/notifications/mark-all-read", tag = "notifications",
    responses((status = 200, body = Envelope<Count>)))]
pub(crate) async fn mark_all_read(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let count = state
        .database
        .write(move |transaction| notification::mark_all_read(transaction, &caller.user.id, now))
        .await?;
    Ok(marked(count))
}

fn marked(count: usize) -> HttpResponse {
    let message = format!("成功标记 {count} 条通知为已读");
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    envelope::ok(message, Count { count })
}
