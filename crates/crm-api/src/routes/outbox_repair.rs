use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::db::DbConnection;
use shared::domain::{OutboxMessageId, RepairId, UtcTimestamp};
use shared::outbox::{
    self, InvalidPayload, ListFilter, MatchingRepair, Payload, REASON_CHARACTERS_MAX, REPAIR_BATCH,
    RepairAct, RepairError, RepairOrder, Rest, RetryPolicy, UNDO_WINDOW, Undone, Wish,
};
use utoipa::ToSchema;

use super::message_filter::MessageFilter;
use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, id_in_path};
use crate::state::State;
use crate::validation::required_text;

/// The most messages that can be named in one request.
const IDS_MAX: usize = 1_000;

/// The most messages that a request repairs by a filter; more take longer than a request may.
const MATCHING_MAX: usize = 10_000;

const NO_SUCH_MESSAGE: &str = "消息不存在";
const NO_SUCH_REPAIR: &str = "操作记录不存在";

/// Which messages to repair, and why: either `ids`, or `filter` with `expectedCount`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RepairBody {
    /// 1 to 1000; all of them are repaired, or none.
    #[schema(value_type = Option<Vec<String>>)]
    ids: Option<Vec<OutboxMessageId>>,
    /// All that match and can be repaired so; it must say something.
    filter: Option<MessageFilter>,
    /// How many match, as the caller believes. Another number changes nothing.
    expected_count: Option<usize>,
    /// At most 200 characters; kept in the operation log.
    reason: String,
}

/// The new payload of a message, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PayloadBody {
    /// A JSON object of at most 64 KiB, without whole phone numbers.
    #[schema(value_type = Object)]
    payload: Map<String, Value>,
    /// At most 200 characters; kept in the operation log.
    reason: String,
}

/// What was repaired.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RepairView {
    /// Under this id it can be undone.
    #[schema(value_type = String)]
    repair_id: RepairId,
    /// How many messages were changed.
    changed: usize,
    /// How many of them had gone on to another channel: requeued, they tell their recipients again.
    /// Those that a filter names are passed over.
    fell_back: usize,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    undoable_until: UtcTimestamp,
}

/// What was undone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UndoneView {
    /// Which repair.
    #[schema(value_type = String)]
    repair_id: RepairId,
    /// How many messages are as they were.
    undone: usize,
    /// How many had moved since, and were left alone.
    moved: usize,
}

/// Puts failed, skipped or cancelled messages back to pending with ten more attempts.
#[utoipa::path(post, path = "/api/outbox/requeue", tag = "outbox", request_body = RepairBody,
    responses((status = 200, body = Envelope<RepairView>), (status = 404), (status = 409), (status = 422)))]
pub(crate) async fn requeue(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<RepairBody>,
) -> Result<HttpResponse, ApiError> {
    let attempts = RetryPolicy::default().attempts_max;
    let told = |changed| format!("已重新排队 {changed} 条消息");
    repair(&state, &caller, Wish::Requeue { attempts }, body, told).await
}

/// Takes back pending or failed messages.
#[utoipa::path(post, path = "/api/outbox/cancel", tag = "outbox", request_body = RepairBody,
    responses((status = 200, body = Envelope<RepairView>), (status = 404), (status = 409), (status = 422)))]
pub(crate) async fn cancel(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<RepairBody>,
) -> Result<HttpResponse, ApiError> {
    let told = |changed| format!("已取消 {changed} 条消息");
    repair(&state, &caller, Wish::Cancel, body, told).await
}

/// Gives a failed, skipped or cancelled message another payload and requeues it.
#[utoipa::path(patch, path = "/api/outbox/{id}/payload", tag = "outbox", request_body = PayloadBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Envelope<RepairView>), (status = 404), (status = 409)))]
pub(crate) async fn edit(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    JsonBody(body): JsonBody<PayloadBody>,
) -> Result<HttpResponse, ApiError> {
    let id: OutboxMessageId = id_in_path(&id, NO_SUCH_MESSAGE)?;
    let payload = Payload::try_from(&body.payload).map_err(|invalid| {
        let message = match invalid {
            InvalidPayload::NotAnObject(_) => "消息内容必须是 JSON 对象",
            InvalidPayload::TooLarge { .. } => "消息内容过大，最大允许 64 KiB",
            InvalidPayload::WholePhone => "消息内容不能包含完整的手机号，请使用 138****8999 的形式",
        };
        ApiError::invalid("payload", message)
    })?;
    let wish = Wish::Edit {
        payload,
        attempts: RetryPolicy::default().attempts_max,
    };
    let order = order(&caller, wish, &body.reason)?;
    let told = |_| "消息内容已修改并重新排队".to_owned();
    repair_chosen(&state, &caller, order, vec![id], told).await
}

/// Puts the messages of a repair of the last 10 minutes back as they were, except those that have
/// moved since. They may be a hundred thousand, so it is done in many transactions and takes no
/// `Idempotency-Key`; the second time it is refused.
#[utoipa::path(post, path = "/api/outbox/repairs/{id}/undo", tag = "outbox", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<UndoneView>), (status = 404), (status = 409)))]
pub(crate) async fn undo(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let repair_id: RepairId = id_in_path(&id, NO_SUCH_REPAIR)?;
    let mut total = Undone::default();
    loop {
        let (id, now) = (repair_id.clone(), state.now());
        let (actor, request_id) = (caller.actor(), caller.request_id.clone());
        let done = state
            .database
            .write(move |transaction| {
                outbox::undo_next(transaction, &id, &actor, Some(&request_id), now)
            })
            .await?;
        total.undone += done.undone;
        total.moved += done.moved;
        if done.rest == Rest::Nothing {
            break;
        }
    }
    let message = format!("已恢复 {} 条消息", total.undone);
    let view = UndoneView {
        repair_id,
        undone: total.undone,
        moved: total.moved,
    };
    Ok(envelope::ok(message, view))
}

async fn repair(
    state: &State,
    caller: &Caller,
    wish: Wish,
    body: RepairBody,
    told: fn(usize) -> String,
) -> Result<HttpResponse, ApiError> {
    let order = order(caller, wish, &body.reason)?;
    match (body.ids, body.filter, body.expected_count) {
        (Some(ids), None, None) => {
            if !(1..=IDS_MAX).contains(&ids.len()) {
                return Err(ApiError::invalid(
                    "ids",
                    format!("ids 必须包含 1 到 {IDS_MAX} 个消息编号"),
                ));
            }
            repair_chosen(state, caller, order, ids, told).await
        }
        (None, Some(filter), Some(expected)) => {
            repair_matching(state, caller, order, filter.checked()?, expected, told).await
        }
        (None, Some(_), None) => Err(ApiError::invalid(
            "expectedCount",
            "按条件操作时必须提供 expectedCount",
        )),
        _ => Err(ApiError::invalid(
            "ids",
            "请提供 ids，或者 filter 和 expectedCount，二者只能选一",
        )),
    }
}

fn order(caller: &Caller, wish: Wish, reason: &str) -> Result<RepairOrder, ApiError> {
    Ok(RepairOrder {
        wish,
        reason: required_text("reason", reason, REASON_CHARACTERS_MAX)?,
        actor: caller.actor(),
        request_id: Some(caller.request_id.clone()),
    })
}

async fn repair_chosen(
    state: &State,
    caller: &Caller,
    order: RepairOrder,
    ids: Vec<OutboxMessageId>,
    told: fn(usize) -> String,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    state
        .change(caller, move |transaction| {
            let repaired = outbox::repair(transaction, &order, &ids, now)?;
            let (changed, fell_back) = (repaired.messages.len(), repaired.fell_back());
            let view = RepairView {
                repair_id: repaired.repair,
                changed,
                fell_back,
                undoable_until: now.after(UNDO_WINDOW),
            };
            Answer::ok(told(changed), view)
        })
        .await
}

async fn repair_matching(
    state: &State,
    caller: &Caller,
    order: RepairOrder,
    filter: ListFilter,
    expected: usize,
    told: fn(usize) -> String,
) -> Result<HttpResponse, ApiError> {
    check_filter(order.wish.act(), &filter)?;
    let now = state.now();
    state
        .change(caller, move |transaction| {
            let act = order.wish.act();
            check_matching(transaction.connection(), act, &filter, expected)?;
            let mut run = MatchingRepair::begin(transaction, order, filter, expected, now)?;
            while !run.is_done() {
                run = run.next_batch(transaction, REPAIR_BATCH, now)?;
            }
            let view = RepairView {
                repair_id: run.id().clone(),
                changed: run.changed(),
                fell_back: 0,
                undoable_until: now.after(UNDO_WINDOW),
            };
            Answer::ok(told(run.changed()), view)
        })
        .await
}

/// Whether as many messages match as the caller believes, and not too many.
fn check_matching(
    connection: &mut DbConnection,
    act: RepairAct,
    filter: &ListFilter,
    expected: usize,
) -> Result<(), ApiError> {
    let matching = outbox::count_repairable(connection, act, filter)?;
    let matching = usize::try_from(matching).unwrap_or(usize::MAX);
    if matching > MATCHING_MAX {
        return Err(ApiError::unprocessable(format!(
            "符合条件的消息有 {matching} 条，超过 {MATCHING_MAX} 条，请在服务器上使用命令 outbox-relay outbox {act} --all-matching"
        )));
    }
    if matching != expected {
        return Err(ApiError::Conflict(format!(
            "符合条件的消息有 {matching} 条，与 expectedCount（{expected}）不一致，未做任何修改"
        )));
    }
    if matching == 0 {
        return Err(ApiError::NotFound("没有符合条件的消息".to_owned()));
    }
    Ok(())
}

fn check_filter(act: RepairAct, filter: &ListFilter) -> Result<(), ApiError> {
    if filter.matches_all() {
        return Err(ApiError::invalid("filter", "filter 至少需要一个条件"));
    }
    match filter.status {
        Some(status) if !act.allows(status) => Err(ApiError::invalid(
            "filter.status",
            format!("状态为 {status} 的消息不能{}", in_chinese(act)),
        )),
        Some(_) | None => Ok(()),
    }
}

fn in_chinese(act: RepairAct) -> &'static str {
    match act {
        RepairAct::Requeue => "重新排队",
        RepairAct::Cancel => "取消",
        RepairAct::Edit => "修改内容",
    }
}

impl From<RepairError> for ApiError {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::NoSuchMessage(id) => Self::NotFound(format!("{NO_SUCH_MESSAGE}：{id}")),
            RepairError::NoSuchRepair(_) => Self::NotFound(NO_SUCH_REPAIR.to_owned()),
            RepairError::WrongStatus {
                id, status, act, ..
            } => Self::Conflict(format!(
                "消息 {id} 的状态为 {status}，不能{}",
                in_chinese(act)
            )),
            RepairError::InDigest { id, digest, act } => Self::Conflict(format!(
                "消息 {id} 已并入免打扰汇总 {digest}，请对该汇总{}",
                in_chinese(act)
            )),
            RepairError::EditOfDigest(id) => Self::Conflict(format!(
                "消息 {id} 是免打扰汇总，内容由其中的消息生成，不能修改；可直接重新排队"
            )),
            RepairError::Busy(id) => {
                Self::Conflict(format!("消息 {id} 正在被他人修改，请稍后重试"))
            }
            RepairError::AlreadyUndone(_) => Self::Conflict("该操作已经撤销".to_owned()),
            RepairError::TooLate { .. } => {
                Self::Conflict("该操作已超过 10 分钟，不能撤销".to_owned())
            }
            RepairError::Database(error) => error.into(),
        }
    }
}
