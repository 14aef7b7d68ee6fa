use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::db::DbConnection;
use shared::domain::{Channel, ChannelSet, UtcTimestamp};
use shared::outbox::{
    self, ChannelSettings, Hold, HoldCause, REASON_CHARACTERS_MAX, UnknownOutcomePolicy,
};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody};
use crate::state::State;
use crate::validation::required_text;

/// The most messages that a relay may have in hand on a channel.
const CONCURRENCY_MAX: i32 = 4_096;
/// The highest rate limit.
const RATE_PER_MINUTE_MAX: i32 = 6_000_000;

/// A channel: how relays use it, and whether it is held.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelView {
    #[schema(value_type = String)]
    channel: Channel,
    /// Whether this installation has the channel; if not, nothing is enqueued for it.
    configured: bool,
    /// `resend`, `hold_for_operator` or `assume_sent`.
    #[schema(value_type = String)]
    unknown_outcome: UnknownOutcomePolicy,
    /// Messages in hand at once, per relay; `null`: as the relay was started with.
    concurrency: Option<i32>,
    /// Messages per minute, of all relays together; `null`: no limit.
    rate_per_minute: Option<i32>,
    hold: Option<HoldView>,
}

/// Why nothing goes out on a channel, and until when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldView {
    /// `breaker`, `platform` or `operator`.
    #[schema(value_type = String)]
    cause: HoldCause,
    reason: String,
    errcode: Option<i64>,
    /// When one message is tried; `null`: when somebody lifts the hold.
    #[schema(value_type = Option<String>, format = DateTime)]
    probe_at: Option<UtcTimestamp>,
    held_by: String,
    #[schema(value_type = String, format = DateTime)]
    held_since: UtcTimestamp,
}

/// How relays are to use a channel: all of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChannelBody {
    /// What becomes of a message that may have been delivered: `resend`, `hold_for_operator` or
    /// `assume_sent`.
    unknown_outcome: String,
    /// 1 to 4096; `null` or left out: as each relay was started with.
    concurrency: Option<i32>,
    /// 1 to 6000000, of all relays together; `null` or left out: no limit.
    rate_per_minute: Option<i32>,
}

/// Why a channel is held, or no longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReasonBody {
    /// At most 200 characters; kept in the operation log.
    reason: String,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            cause: hold.cause,
            reason: hold.reason,
            errcode: hold.errcode,
            probe_at: hold.probe_at,
            held_by: hold.held_by,
            held_since: hold.held_since,
        }
    }
}

/// All channels.
#[utoipa::path(get, path = "/api/outbox/channels", tag = "outbox",
    responses((status = 200, body = Envelope<Vec<ChannelView>>)))]
pub(crate) async fn list(state: State) -> Result<HttpResponse, ApiError> {
    let configured = state.telling.channels;
    let channels = state
        .database
        .run(move |connection| views(connection, configured))
        .await?;
    Ok(envelope::ok("获取成功", channels))
}

/// Sets how relays use a channel. They follow within seconds.
#[utoipa::path(put, path = "/api/outbox/channels/{channel}", tag = "outbox", request_body = ChannelBody,
    params(("channel" = String, Path)), responses((status = 200, body = Envelope<ChannelView>), (status = 404)))]
pub(crate) async fn put(
    state: State,
    caller: Caller,
    channel: web::Path<String>,
    JsonBody(body): JsonBody<ChannelBody>,
) -> Result<HttpResponse, ApiError> {
    let settings = body.checked(channel_in_path(&channel)?)?;
    let channel = settings.channel;
    let (actor, now, configured) = (caller.actor(), state.now(), state.telling.channels);
    state
        .change(&caller, move |transaction| {
            outbox::set_channel(transaction, &settings, &actor, now)?;
            let view = view(transaction.connection(), channel, configured)?;
            Answer::ok("渠道设置已保存", view)
        })
        .await
}

/// Stops a channel for all relays until somebody lifts the hold.
#[utoipa::path(post, path = "/api/outbox/channels/{channel}/hold", tag = "outbox", request_body = ReasonBody,
    params(("channel" = String, Path)), responses((status = 200, body = Envelope<ChannelView>), (status = 404)))]
pub(crate) async fn hold(
    state: State,
    caller: Caller,
    channel: web::Path<String>,
    JsonBody(body): JsonBody<ReasonBody>,
) -> Result<HttpResponse, ApiError> {
    let channel = channel_in_path(&channel)?;
    let reason = required_text("reason", &body.reason, REASON_CHARACTERS_MAX)?;
    let (actor, now, configured) = (caller.actor(), state.now(), state.telling.channels);
    state
        .change(&caller, move |transaction| {
            outbox::hold_by_operator(transaction, channel, &reason, &actor, now)?;
            let view = view(transaction.connection(), channel, configured)?;
            Answer::ok("渠道已暂停发送", view)
        })
        .await
}

/// Lifts a hold at once, whoever is behind it.
#[utoipa::path(post, path = "/api/outbox/channels/{channel}/lift", tag = "outbox", request_body = ReasonBody,
    params(("channel" = String, Path)),
    responses((status = 200, body = Envelope<ChannelView>), (status = 404), (status = 409)))]
pub(crate) async fn lift(
    state: State,
    caller: Caller,
    channel: web::Path<String>,
    JsonBody(body): JsonBody<ReasonBody>,
) -> Result<HttpResponse, ApiError> {
    let channel = channel_in_path(&channel)?;
    let reason = required_text("reason", &body.reason, REASON_CHARACTERS_MAX)?;
    let (actor, now, configured) = (caller.actor(), state.now(), state.telling.channels);
    state
        .change(&caller, move |transaction| {
            if !outbox::lift_by_operator(transaction, channel, &reason, &actor, now)? {
                return Err(ApiError::Conflict(format!("渠道 {channel} 没有暂停发送")));
            }
            let view = view(transaction.connection(), channel, configured)?;
            Answer::ok("渠道已恢复发送", view)
        })
        .await
}

fn views(
    connection: &mut DbConnection,
    configured: ChannelSet,
) -> Result<Vec<ChannelView>, ApiError> {
    let settings = outbox::channel_settings(connection)?;
    let holds = outbox::holds(connection)?;
    let views = settings.into_iter().map(|set| ChannelView {
        channel: set.channel,
        configured: configured.contains(set.channel),
        unknown_outcome: set.unknown_outcome,
        concurrency: set.concurrency,
        rate_per_minute: set.rate_per_minute,
        hold: holds
            .iter()
            .find(|hold| hold.channel == set.channel)
            .cloned()
            .map(HoldView::from),
    });
    Ok(views.collect())
}

fn view(
    connection: &mut DbConnection,
    channel: Channel,
    configured: ChannelSet,
) -> Result<Option<ChannelView>, ApiError> {
    let views = views(connection, configured)?;
    Ok(views.into_iter().find(|view| view.channel == channel))
}

fn channel_in_path(text: &str) -> Result<Channel, ApiError> {
    text.parse()
        .map_err(|_| ApiError::NotFound("通知渠道不存在".to_owned()))
}

impl ChannelBody {
    fn checked(self, channel: Channel) -> Result<ChannelSettings, ApiError> {
        let unknown_outcome = self.unknown_outcome.parse().map_err(|_| {
            ApiError::invalid(
                "unknownOutcome",
                "unknownOutcome 必须是 resend、hold_for_operator 或 assume_sent",
            )
        })?;
        Ok(ChannelSettings {
            channel,
            unknown_outcome,
            concurrency: within("concurrency", self.concurrency, CONCURRENCY_MAX)?,
            rate_per_minute: within("ratePerMinute", self.rate_per_minute, RATE_PER_MINUTE_MAX)?,
        })
    }
}

fn within(field: &str, number: Option<i32>, most: i32) -> Result<Option<i32>, ApiError> {
    match number {
        Some(number) if !(1..=most).contains(&number) => Err(ApiError::invalid(
            field,
            format!("{field} 必须在 1 到 {most} 之间"),
        )),
        Some(_) | None => Ok(number),
    }
}
