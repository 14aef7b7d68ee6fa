use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{Channel, OutboxMessageId, RelayName, UtcTimestamp};
use shared::outbox::{self, FailureLine, Life, LinkedMessage, RelayLoad, Status, StuckGroup};
use utoipa::{IntoParams, ToSchema};

use super::cause_text::{CauseText, cause_text};
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{QueryOf, id_in_path};
use crate::state::State;

/// Why a message is not sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplanationView {
    #[schema(value_type = String)]
    id: OutboxMessageId,
    #[schema(value_type = String)]
    status: Status,
    /// `code` says which of a closed list; the other fields depend on it.
    cause: serde_json::Value,
    /// The cause in words.
    text: String,
    /// When something happens by itself, if that can be told.
    #[schema(value_type = Option<String>, format = DateTime)]
    expected_at: Option<UtcTimestamp>,
    /// What to do, if anything.
    fix: Option<&'static str>,
    /// The message that took over from it, on another channel.
    fell_back_to: Option<LinkedMessageView>,
    /// The message that it took over from.
    fallback_of: Option<LinkedMessageView>,
}

/// Another message that has to do with one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinkedMessageView {
    #[schema(value_type = String)]
    id: OutboxMessageId,
    /// Empty if it was deleted since.
    #[schema(value_type = Option<String>)]
    channel: Option<Channel>,
    /// Empty if it was deleted since.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
}

impl From<LinkedMessage> for LinkedMessageView {
    fn from(linked: LinkedMessage) -> Self {
        Self {
            id: linked.id,
            channel: linked.channel,
            status: linked.status,
        }
    }
}

/// Messages that should have moved and have not, for one cause on one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StuckView {
    #[schema(value_type = String)]
    channel: Channel,
    /// `code` says which of a closed list; the other fields depend on it.
    cause: serde_json::Value,
    /// The cause in words.
    text: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    expected_at: Option<UtcTimestamp>,
    /// What to do, if anything.
    fix: Option<&'static str>,
    count: i64,
    /// Since when the one that waits longest should have moved.
    #[schema(value_type = String, format = DateTime)]
    since: UtcTimestamp,
    /// One of them.
    #[schema(value_type = String)]
    example: OutboxMessageId,
}

/// How long something must wait to count as stuck.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StuckQuery {
    /// 60 if left out, at most a day.
    waiting_seconds: Option<u32>,
}

/// How many messages failed or were skipped for one reason.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureView {
    /// `failed` or `skipped`.
    #[schema(value_type = String)]
    status: Status,
    errcode: Option<i64>,
    kind: String,
    #[schema(value_type = String)]
    channel: Channel,
    last_hour: i64,
    last_day: i64,
    last_week: i64,
    /// How many of the last 7 days went on to another channel.
    last_week_fell_back: i64,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<UtcTimestamp>,
    /// What went wrong with one of them.
    example: Option<String>,
}

/// A relay with what it holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RelayLoadView {
    #[schema(value_type = String)]
    name: RelayName,
    /// `alive` or `silent`.
    #[schema(value_type = String)]
    life: Life,
    version: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<UtcTimestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    heartbeat_at: Option<UtcTimestamp>,
    heartbeat_age_seconds: Option<f64>,
    in_flight: Option<i32>,
    /// Channel → how many messages are leased to it.
    #[schema(value_type = BTreeMap<String, i64>)]
    leased: BTreeMap<Channel, i64>,
}

/// Says why a message is not sent, when that changes, and what to do.
#[utoipa::path(get, path = "/api/outbox/{id}/explain", tag = "outbox", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<ExplanationView>), (status = 404)))]
pub(crate) async fn explain(state: State, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    const NO_SUCH_MESSAGE: &str = "消息不存在";
    let id: OutboxMessageId = id_in_path(&id, NO_SUCH_MESSAGE)?;
    let now = state.now();
    let explanation = state
        .database
        .run(move |connection| outbox::explain(connection, &id, now))
        .await?
        .ok_or_else(|| ApiError::NotFound(NO_SUCH_MESSAGE.to_owned()))?;
    let CauseText { mut text, fix } = cause_text(&explanation.cause, state.telling.time_zone);
    if let Some(other) = &explanation.fallback_of {
        text.push_str(&format!("；接替消息 {}", other.id));
    }
    if let Some(other) = &explanation.fell_back_to {
        let channel = other.channel.map(|channel| format!("由 {channel} "));
        let channel = channel.unwrap_or_default();
        text.push_str(&format!("；已改{channel}发送：{}", other.id));
    }
    let view = ExplanationView {
        id: explanation.id,
        status: explanation.status,
        cause: serde_json::json!(explanation.cause),
        text,
        expected_at: explanation.expected_at,
        // Nothing is to be done in one language that is not in the other.
        fix: fix.filter(|_| explanation.fix.is_some()),
        fell_back_to: explanation.fell_back_to.map(Into::into),
        fallback_of: explanation.fallback_of.map(Into::into),
    };
    Ok(envelope::ok("获取成功", view))
}

/// What should have moved and has not, grouped by cause.
#[utoipa::path(get, path = "/api/outbox/stuck", tag = "outbox", params(StuckQuery),
    responses((status = 200, body = Envelope<Vec<StuckView>>)))]
pub(crate) async fn stuck(
    state: State,
    QueryOf(query): QueryOf<StuckQuery>,
) -> Result<HttpResponse, ApiError> {
    const DAY_SECONDS: u32 = 24 * 60 * 60;
    let seconds = query.waiting_seconds.unwrap_or(60);
    if seconds > DAY_SECONDS {
        return Err(ApiError::invalid(
            "waitingSeconds",
            format!("waitingSeconds 必须在 0 到 {DAY_SECONDS} 之间"),
        ));
    }
    let (patience, now) = (Duration::from_secs(seconds.into()), state.now());
    let groups = state
        .database
        .run(move |connection| outbox::stuck(connection, patience, now))
        .await?;
    let zone = state.telling.time_zone;
    let views: Vec<StuckView> = groups
        .into_iter()
        .map(|group: StuckGroup| {
            let CauseText { text, fix } = cause_text(&group.cause, zone);
            StuckView {
                channel: group.channel,
                cause: serde_json::json!(group.cause),
                text,
                expected_at: group.expected_at,
                fix,
                count: group.count,
                since: group.since,
                example: group.example,
            }
        })
        .collect();
    Ok(envelope::ok("获取成功", views))
}

/// What failed or was skipped in the last 7 days, by errcode, kind and channel.
#[utoipa::path(get, path = "/api/outbox/failures", tag = "outbox",
    responses((status = 200, body = Envelope<Vec<FailureView>>)))]
pub(crate) async fn failures(state: State) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let lines = state
        .database
        .run(move |connection| outbox::failures(connection, now))
        .await?;
    let views: Vec<FailureView> = lines
        .into_iter()
        .map(|line: FailureLine| FailureView {
            status: line.status,
            errcode: line.errcode,
            kind: line.kind,
            channel: line.channel,
            last_hour: line.last_hour,
            last_day: line.last_day,
            last_week: line.last_week,
            last_week_fell_back: line.last_week_fell_back,
            last_at: line.last_at,
            example: line.example,
        })
        .collect();
    Ok(envelope::ok("获取成功", views))
}

/// The relays: who is alive, since when, how loaded, what they hold.
#[utoipa::path(get, path = "/api/outbox/relays", tag = "outbox",
    responses((status = 200, body = Envelope<Vec<RelayLoadView>>)))]
pub(crate) async fn relays(state: State) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let loads = state
        .database
        .run(move |connection| outbox::relay_loads(connection, now))
        .await?;
    let views: Vec<RelayLoadView> = loads.into_iter().map(|load| view(load, now)).collect();
    Ok(envelope::ok("获取成功", views))
}

fn view(load: RelayLoad, now: UtcTimestamp) -> RelayLoadView {
    let run = load.run.as_ref();
    RelayLoadView {
        version: run.map(|run| run.version.clone()),
        started_at: run.map(|run| run.started_at),
        heartbeat_at: run.map(|run| run.heartbeat_at),
        heartbeat_age_seconds: run.map(|run| now.since(run.heartbeat_at).as_secs_f64()),
        in_flight: run.map(|run| run.in_flight),
        name: load.name,
        life: load.life,
        leased: load.leased,
    }
}
