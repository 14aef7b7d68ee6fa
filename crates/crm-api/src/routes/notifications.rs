use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Path;
use serde::{Deserialize, Serialize};
use shared::domain::NotificationId;
use shared::notification::{
    self, Deletion, InboxCell, InboxCount, InboxFilter, Kind, NotificationPriority, ReadFilter,
};
use utoipa::{IntoParams, ToSchema};

use crate::change::Answer;
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf, id_in_path};
use crate::push::NotificationView;
use crate::state::State;
use crate::validation::{Lines, Paging, text};

/// The most notifications marked at once.
const MARKED_MAX: usize = 1_000;

/// The longest text to look for, in characters.
const SEARCH_CHARACTERS_MAX: usize = 100;

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
    /// A part of the title or the text, at most 100 characters.
    search: Option<String>,
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
        search: query
            .search
            .map(|part| text("search", &part, SEARCH_CHARACTERS_MAX, Lines::One))
            .transpose()?
            .filter(|part| !part.is_empty()),
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
    let (user, now) = (caller.user.id.clone(), state.now());
    state
        .change(&caller, move |transaction| {
            marked(notification::mark_read(transaction, &user, &ids, now)?)
        })
        .await
}

/// Marks all of the caller's notifications as read.
#[utoipa::path(put, path = "/api/notifications/mark-all-read", tag = "notifications",
    responses((status = 200, body = Envelope<Count>)))]
pub(crate) async fn mark_all_read(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let (user, now) = (caller.user.id.clone(), state.now());
    state
        .change(&caller, move |transaction| {
            marked(notification::mark_all_read(transaction, &user, now)?)
        })
        .await
}

fn marked(count: usize) -> Result<Answer, ApiError> {
    let message = format!("成功标记 {count} 条通知为已读");
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Answer::ok(message, Count { count })
}

/// Deletes one of the caller's notifications.
#[utoipa::path(delete, path = "/api/notifications/{id}", tag = "notifications",
    params(("id" = String, Path)), responses((status = 200, body = Envelope<Option<bool>>)))]
pub(crate) async fn delete(
    state: State,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    const MISSING: &str = "通知不存在";
    let id: NotificationId = id_in_path(&id, MISSING)?;
    let (user, now) = (caller.user.id.clone(), state.now());
    state
        .change(&caller, move |transaction| {
            match notification::delete(transaction, &user, &id, now)? {
                Deletion::Deleted => Answer::ok("删除成功", None::<bool>),
                Deletion::NothingThere => Err(ApiError::NotFound(MISSING.to_owned())),
            }
        })
        .await
}

/// How many notifications there are.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Figures {
    total: i64,
    unread: i64,
    /// Those that came since midnight in the configured time zone.
    today: i64,
}

impl Figures {
    fn add(&mut self, count: InboxCount) {
        self.total += count.total;
        self.unread += count.unread;
        self.today += count.today;
    }
}

/// How many notifications there are of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KindFigures {
    #[schema(value_type = String)]
    kind: Kind,
    #[serde(flatten)]
    figures: Figures,
}

/// How many notifications there are of one priority.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriorityFigures {
    #[schema(value_type = String)]
    priority: NotificationPriority,
    #[serde(flatten)]
    figures: Figures,
}

/// How many notifications the caller has, by kind and by priority.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statistics {
    #[serde(flatten)]
    all: Figures,
    /// Only kinds of which there are any.
    by_kind: Vec<KindFigures>,
    /// Every priority, the highest first.
    by_priority: Vec<PriorityFigures>,
}

/// How many notifications the caller has, by kind and by priority.
#[utoipa::path(get, path = "/api/notifications/stats", tag = "notifications",
    responses((status = 200, body = Envelope<Statistics>)))]
pub(crate) async fn stats(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    let day_began_at = state.now().day_began_at(&state.telling.time_zone);
    let summary = state
        .database
        .run(move |connection| {
            notification::inbox_summary(connection, &caller.user.id, day_began_at)
        })
        .await?;
    Ok(envelope::ok("获取成功", statistics(summary)))
}

fn statistics(summary: BTreeMap<InboxCell, InboxCount>) -> Statistics {
    let mut all = Figures::default();
    let mut by_kind: BTreeMap<&str, KindFigures> = BTreeMap::new();
    let mut by_priority: Vec<PriorityFigures> = NotificationPriority::ALL
        .iter()
        .map(|&priority| PriorityFigures {
            priority,
            figures: Figures::default(),
        })
        .collect();
    for ((kind, priority), count) in summary {
        all.add(count);
        let line = by_kind.entry(kind.as_str()).or_insert(KindFigures {
            kind,
            figures: Figures::default(),
        });
        line.figures.add(count);
        for line in by_priority.iter_mut().filter(|l| l.priority == priority) {
            line.figures.add(count);
        }
    }
    Statistics {
        all,
        by_kind: by_kind.into_values().collect(),
        by_priority,
    }
}
