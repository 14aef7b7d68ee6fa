use actix_web::{HttpResponse, web};
use serde::Serialize;
use shared::db::DbConnection;
use shared::domain::{
    AttemptId, Channel, OutboxMessageId, RecipientId, RelayName, RequestId, UtcTimestamp,
    mask_phones,
};
use shared::operation_log::{self, LoggedOperation};
use shared::outbox::{self, Attempt, FallbackChannels, Hold, Message, Priority, Relay, Status};
use utoipa::ToSchema;

use super::message_filter::MessagesQuery;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{QueryOf, id_in_path};
use crate::state::State;
use crate::validation::Paging;

/// One message to one recipient on one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
    #[schema(value_type = String)]
    id: OutboxMessageId,
    kind: String,
    #[schema(value_type = String)]
    channel: Channel,
    #[schema(value_type = String)]
    recipient_id: RecipientId,
    subject: Option<String>,
    dedup_key: Option<String>,
    payload: serde_json::Value,
    /// `pending`, `sending`, `sent`, `failed`, `skipped`, `cancelled`.
    #[schema(value_type = String)]
    status: Status,
    #[schema(value_type = String)]
    priority: Priority,
    attempt: i32,
    attempts_max: i32,
    #[schema(value_type = String, format = DateTime)]
    due_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<UtcTimestamp>,
    #[schema(value_type = Option<String>)]
    claimed_by: Option<RelayName>,
    #[schema(value_type = Option<String>, format = DateTime)]
    lease_expires_at: Option<UtcTimestamp>,
    /// Whether an attempt may have been delivered without our knowing.
    outcome_unknown: bool,
    last_errcode: Option<i64>,
    last_error: Option<String>,
    provider_message_id: Option<String>,
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<UtcTimestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<UtcTimestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<UtcTimestamp>,
    delivery_error: Option<String>,
    /// The message that took its place.
    #[schema(value_type = Option<String>)]
    superseded_by: Option<OutboxMessageId>,
    /// The channels on which it goes on, one after the other, if its recipient cannot be reached.
    #[schema(value_type = Vec<String>)]
    fallbacks: Vec<Channel>,
    /// The message that it took over from.
    #[schema(value_type = Option<String>)]
    fallback_of: Option<OutboxMessageId>,
    /// The message that took over from it.
    #[schema(value_type = Option<String>)]
    fell_back_to: Option<OutboxMessageId>,
    /// Until when it waits because its recipient does not want to be disturbed.
    #[schema(value_type = Option<String>, format = DateTime)]
    quiet_until: Option<UtcTimestamp>,
    /// The digest that tells of it in its place.
    #[schema(value_type = Option<String>)]
    digest_id: Option<OutboxMessageId>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            kind: message.kind,
            channel: message.channel,
            recipient_id: message.recipient_id,
            subject: message.subject,
            dedup_key: message.dedup_key,
            // Masked already, unless somebody put it there by hand.
            payload: serde_json::from_str(&mask_phones(&message.payload)).unwrap_or_default(),
            status: message.status,
            priority: message.priority,
            attempt: message.attempt,
            attempts_max: message.attempts_max,
            due_at: message.due_at,
            expires_at: message.expires_at,
            claimed_by: message.claimed_by,
            lease_expires_at: message.lease_expires_at,
            outcome_unknown: message.outcome_unknown,
            last_errcode: message.last_errcode,
            last_error: message.last_error.as_deref().map(mask_phones),
            provider_message_id: message.provider_message_id,
            request_id: message.request_id,
            created_at: message.created_at,
            sent_at: message.sent_at,
            finished_at: message.finished_at,
            delivered_at: message.delivered_at,
            delivery_error: message.delivery_error,
            superseded_by: message.superseded_by,
            fallbacks: message
                .fallbacks
                .iter()
                .flat_map(FallbackChannels::iter)
                .collect(),
            fallback_of: message.fallback_of,
            fell_back_to: message.fell_back_to,
            quiet_until: message.quiet_until,
            digest_id: message.digest_id,
        }
    }
}

/// A message with what was tried and what operators did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageDetail {
    #[serde(flatten)]
    message: MessageView,
    /// The attempts that did not simply succeed, oldest first.
    attempts: Vec<AttemptView>,
    /// What operators did to it, oldest first.
    history: Vec<OperationView>,
}

/// What an operator did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationView {
    #[schema(value_type = String, format = DateTime)]
    at: UtcTimestamp,
    /// A username, or somebody at a command line.
    actor: String,
    /// `outbox.requeue`, `outbox.cancel`, `outbox.edit`, `outbox.undo`.
    action: String,
    /// Before, after, reason, repair.
    detail: serde_json::Value,
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
}

impl From<LoggedOperation> for OperationView {
    fn from(operation: LoggedOperation) -> Self {
        Self {
            at: operation.at,
            actor: operation.actor,
            action: operation.action,
            detail: operation.detail,
            request_id: operation.request_id,
        }
    }
}

/// An attempt that did not simply succeed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptView {
    #[schema(value_type = String)]
    id: AttemptId,
    attempt: i32,
    #[schema(value_type = String)]
    relay: RelayName,
    #[schema(value_type = String, format = DateTime)]
    started_at: UtcTimestamp,
    duration_ms: i64,
    verdict: String,
    rule: String,
    http_status: Option<i32>,
    errcode: Option<i64>,
    errmsg: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            attempt: attempt.attempt,
            relay: attempt.relay,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            verdict: attempt.verdict,
            rule: attempt.rule,
            http_status: attempt.http_status,
            errcode: attempt.errcode,
            errmsg: attempt.errmsg,
        }
    }
}

/// Messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageList {
    items: Vec<MessageView>,
    /// For `before`, to read on; null at the end.
    #[schema(value_type = Option<String>)]
    next_before: Option<OutboxMessageId>,
}

/// How the outbox stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    /// One line per channel and status that occurs.
    lines: Vec<StatsLine>,
    /// Since when the oldest due message has been waiting.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_due_at: Option<UtcTimestamp>,
    oldest_due_age_seconds: f64,
    /// The relays alive now.
    relays: Vec<RelayView>,
    /// The channels on which nothing is sent now, and why.
    holds: Vec<HoldView>,
}

/// How many messages of one channel have one status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsLine {
    #[schema(value_type = String)]
    channel: Channel,
    #[schema(value_type = String)]
    status: Status,
    count: i64,
}

/// A relay that is alive.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RelayView {
    #[schema(value_type = String)]
    name: RelayName,
    version: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    heartbeat_at: UtcTimestamp,
    in_flight: i32,
}

impl From<Relay> for RelayView {
    fn from(relay: Relay) -> Self {
        Self {
            name: relay.name,
            version: relay.version,
            started_at: relay.started_at,
            heartbeat_at: relay.heartbeat_at,
            in_flight: relay.in_flight,
        }
    }
}

/// A channel on which nothing is sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldView {
    #[schema(value_type = String)]
    channel: Channel,
    reason: String,
    errcode: Option<i64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    probe_at: Option<UtcTimestamp>,
    held_by: String,
    #[schema(value_type = String, format = DateTime)]
    held_since: UtcTimestamp,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            channel: hold.channel,
            reason: hold.reason,
            errcode: hold.errcode,
            probe_at: hold.probe_at,
            held_by: hold.held_by,
            held_since: hold.held_since,
        }
    }
}

/// Lists messages, newest first.
#[utoipa::path(get, path = "/api/outbox", tag = "outbox", params(MessagesQuery),
    responses((status = 200, body = Envelope<MessageList>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<MessagesQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(None, query.page_size)?;
    let filter = query.checked()?;
    let page_size = paging.page_size() as usize;
    let mut messages = state
        .database
        // One more than asked for tells whether there are more.
        .run(move |connection| outbox::list(connection, &filter, page_size + 1))
        .await?;
    let more = messages.len() > page_size;
    messages.truncate(page_size);
    let items: Vec<MessageView> = messages.into_iter().map(Into::into).collect();
    let next_before = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(envelope::ok("获取成功", MessageList { items, next_before }))
}

/// How the outbox stands: backlog, relays, holds.
#[utoipa::path(get, path = "/api/outbox/stats", tag = "outbox",
    responses((status = 200, body = Envelope<Stats>)))]
pub(crate) async fn stats(state: State) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let stats = state
        .database
        .run(move |connection| read_stats(connection, now))
        .await?;
    Ok(envelope::ok("获取成功", stats))
}

fn read_stats(connection: &mut DbConnection, now: UtcTimestamp) -> Result<Stats, ApiError> {
    let backlog = outbox::backlog(connection, now)?;
    let relays = outbox::relays(connection, now)?;
    let holds = outbox::holds(connection)?;
    let age = backlog.oldest_due_at.map(|due_at| now.since(due_at));
    Ok(Stats {
        lines: backlog
            .lines
            .into_iter()
            .map(|line| StatsLine {
                channel: line.channel,
                status: line.status,
                count: line.count,
            })
            .collect(),
        oldest_due_at: backlog.oldest_due_at,
        oldest_due_age_seconds: age.unwrap_or_default().as_secs_f64(),
        relays: relays.into_iter().map(Into::into).collect(),
        holds: holds.into_iter().map(Into::into).collect(),
    })
}

/// One message, with what was tried and what operators did.
#[utoipa::path(get, path = "/api/outbox/{id}", tag = "outbox", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<MessageDetail>), (status = 404)))]
pub(crate) async fn show(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    const NO_SUCH_MESSAGE: &str = "消息不存在";
    let id: OutboxMessageId = id_in_path(&id, NO_SUCH_MESSAGE)?;
    let detail = state
        .database
        .run(move |connection| {
            let message = outbox::find(connection, &id)?
                .ok_or_else(|| ApiError::NotFound(NO_SUCH_MESSAGE.to_owned()))?;
            let attempts = outbox::attempts_of(connection, &id)?;
            let history = operation_log::history(connection, "outbox_message", id.as_str())?;
            Ok::<_, ApiError>(MessageDetail {
                message: message.into(),
                attempts: attempts.into_iter().map(Into::into).collect(),
                history: history.into_iter().map(Into::into).collect(),
            })
        })
        .await?;
    Ok(envelope::ok("获取成功", detail))
}
