use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::{Channel, EventId, Role, UtcTimestamp};
use shared::notification::{Kind, NotificationPriority};
use shared::outbox::Status;
use utoipa::ToSchema;

use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::events::{
    self, Acceptance, EventError, EventOrder, EventReceipt, EventStanding, NamedRecipients,
    NotServed, SENDABLE_KINDS, Sender,
};
use crate::extract::{AnyCaller, JsonBody, Who, id_in_path};
use crate::metrics::EventResult;
use crate::state::State;
use crate::validation::{Lines, text};

/// The largest body: two thousand ids have 80 KiB.
pub(super) const EVENT_BYTES_MAX: usize = 160 * 1024;

/// How many ids one list may have.
const IDS_MAX: usize = 1_000;
/// How long one id may be; what is longer is none.
const ID_CHARACTERS_MAX: usize = 64;
const DEDUP_KEY_CHARACTERS_MAX: usize = 200;
/// How many values there may be: no kind knows so many.
const VALUES_MAX: usize = 50;
const VALUE_CHARACTERS_MAX: usize = 500;
/// The text of an announcement may be longer, and have lines.
const CONTENT: &str = "content";
const CONTENT_CHARACTERS_MAX: usize = 2_000;

/// Something that staff should be told.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EventBody {
    /// What happened: `contract.signed`, `system.announcement`.
    kind: String,
    recipients: RecipientsBody,
    /// Values for the placeholders of the kind: texts and numbers.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// 1 to 200 visible characters: another event of this kind with the same key is the same one.
    dedup_key: Option<String>,
    /// Not before.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<UtcTimestamp>,
    /// What has not gone out by then never does.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<UtcTimestamp>,
    /// `high`, `medium`, `low`; as the template has it if not given.
    #[schema(value_type = Option<String>)]
    priority: Option<NotificationPriority>,
}

/// Who is to be told, each once: at least one list says somebody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RecipientsBody {
    /// At most 1000 users.
    #[serde(default)]
    user_ids: Vec<String>,
    /// All active users of these roles.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// The owners of these customers, by id or number; at most 1000.
    #[serde(default)]
    owner_of: Vec<String>,
}

/// What was done with an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptView {
    #[schema(value_type = String)]
    event_id: EventId,
    #[schema(value_type = String)]
    kind: Kind,
    /// Whether it was told before: then this is what became of it the first time.
    duplicate: bool,
    /// How many people are told.
    recipients: usize,
    /// How many messages go out, by channel.
    #[schema(value_type = BTreeMap<String, usize>)]
    messages: BTreeMap<Channel, usize>,
    /// Who was named and is not told.
    not_served: Vec<NotServedView>,
    #[schema(value_type = String, format = DateTime)]
    due_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<UtcTimestamp>,
}

/// Somebody who was named and is not told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotServedView {
    /// The user, or the owner of the customer, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The customer whose owner was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// `unknown_user`, `inactive_user`, `unknown_customer`, `no_owner`.
    reason: &'static str,
    /// The same in words.
    message: &'static str,
}

impl From<NotServed> for NotServedView {
    fn from(not_served: NotServed) -> Self {
        Self {
            user_id: not_served.user_id,
            customer_id: not_served.customer_id,
            reason: not_served.reason.as_str(),
            message: not_served.reason.text(),
        }
    }
}

impl ReceiptView {
    fn new(receipt: EventReceipt, duplicate: bool) -> Self {
        Self {
            event_id: receipt.event_id,
            kind: receipt.kind,
            duplicate,
            recipients: receipt.recipients,
            messages: receipt.messages,
            not_served: receipt.not_served.into_iter().map(Into::into).collect(),
            due_at: receipt.due_at,
            expires_at: receipt.expires_at,
        }
    }
}

/// Tells staff of something: in their notification centres, and on the channels of the kind's routes.
#[utoipa::path(post, path = "/api/events", tag = "events", request_body = EventBody,
    security(("token" = []), ("serviceToken" = [])),
    responses(
        (status = 202, body = Envelope<ReceiptView>, description = "Accepted: it is told, or will be when it is due"),
        (status = 200, body = Envelope<ReceiptView>, description = "Told before, under the same `dedupKey`"),
        (status = 400), (status = 403), (status = 422)))]
pub(crate) async fn send(
    state: State,
    caller: AnyCaller,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<HttpResponse, ApiError> {
    let kind = body.kind.parse::<Kind>().ok();
    let answered = accept(&state, &caller, body).await;
    if let Err(refusal) = &answered
        && !actix_web::ResponseError::status_code(refusal).is_server_error()
    {
        state.metrics.count_event(kind, EventResult::Refused);
    }
    answered
}

async fn accept(
    state: &State,
    caller: &AnyCaller,
    body: EventBody,
) -> Result<HttpResponse, ApiError> {
    let order = order(caller, body)?;
    let (telling, now) = (state.telling, state.now());
    let metrics = Arc::clone(&state.metrics);
    state
        .change(caller, move |transaction| {
            let kind = Some(order.kind);
            Ok(match events::accept(transaction, &order, telling, now)? {
                Acceptance::Accepted(receipt) => {
                    let said = said(&receipt);
                    Answer::accepted(said, ReceiptView::new(receipt, false))?
                        .once_committed(move || metrics.count_event(kind, EventResult::Accepted))
                }
                Acceptance::Duplicate(receipt) => Answer::ok(
                    "该事件已受理过，未重复通知",
                    ReceiptView::new(receipt, true),
                )?
                .once_committed(move || metrics.count_event(kind, EventResult::Duplicate)),
            })
        })
        .await
}

fn said(receipt: &EventReceipt) -> String {
    let told = format!("事件已受理：通知 {} 人", receipt.recipients);
    match receipt.not_served.len() {
        0 => told,
        left_out => format!("{told}，{left_out} 个接收人未通知"),
    }
}

fn order(caller: &AnyCaller, body: EventBody) -> Result<EventOrder, ApiError> {
    let kind = body.kind.parse().map_err(|_| ApiError::Invalid {
        message: format!("通知类型不存在，可用：{}", sendable()),
        details: Some(json!({ "field": "kind", "kinds": SENDABLE_KINDS })),
    })?;
    Ok(EventOrder {
        kind,
        recipients: recipients(body.recipients)?,
        data: data(body.data)?,
        dedup_key: body.dedup_key.map(dedup_key).transpose()?,
        due_at: body.due_at,
        expires_at: body.expires_at,
        priority: body.priority,
        sender: match &caller.who {
            Who::User(user) => Sender::User(user.id.clone()),
            Who::Service(token) => Sender::Service(token.id.clone()),
        },
        request_id: caller.request_id.clone(),
    })
}

fn sendable() -> String {
    let kinds: Vec<&str> = SENDABLE_KINDS.iter().map(|kind| kind.as_str()).collect();
    kinds.join("、")
}

fn recipients(body: RecipientsBody) -> Result<NamedRecipients, ApiError> {
    for (field, ids) in [
        ("recipients.userIds", &body.user_ids),
        ("recipients.ownerOf", &body.owner_of),
    ] {
        if ids.len() > IDS_MAX {
            return Err(ApiError::invalid(
                field,
                format!("{field} 不能超过{IDS_MAX}个"),
            ));
        }
        if ids.iter().any(|id| id.chars().count() > ID_CHARACTERS_MAX) {
            return Err(ApiError::invalid(
                field,
                format!("{field} 中的每一项不能超过{ID_CHARACTERS_MAX}字"),
            ));
        }
    }
    if body.user_ids.is_empty() && body.roles.is_empty() && body.owner_of.is_empty() {
        return Err(ApiError::invalid(
            "recipients",
            "recipients 不能为空：请提供 userIds、roles 或 ownerOf",
        ));
    }
    let mut roles = body.roles;
    roles.sort_unstable();
    roles.dedup();
    Ok(NamedRecipients {
        user_ids: body.user_ids,
        roles,
        owner_of: body.owner_of,
    })
}

fn data(values: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    if values.len() > VALUES_MAX {
        return Err(ApiError::invalid(
            "data",
            format!("data 不能超过{VALUES_MAX}项"),
        ));
    }
    values
        .into_iter()
        .map(|(name, value)| {
            // A name that nobody knows is refused later, and shown then.
            let shown: String = name.chars().take(ID_CHARACTERS_MAX).collect();
            let field = format!("data.{shown}");
            let value = match value {
                Value::String(given) if name == CONTENT => {
                    text(&field, &given, CONTENT_CHARACTERS_MAX, Lines::Many)?.into()
                }
                Value::String(given) => {
                    text(&field, &given, VALUE_CHARACTERS_MAX, Lines::One)?.into()
                }
                number @ Value::Number(_) => number,
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(ApiError::invalid(
                        &field,
                        format!("{field} 必须是文本或数字"),
                    ));
                }
            };
            Ok((shown, value))
        })
        .collect()
}

fn dedup_key(key: String) -> Result<String, ApiError> {
    let length = key.chars().count();
    let visible = key.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if (1..=DEDUP_KEY_CHARACTERS_MAX).contains(&length) && visible {
        return Ok(key);
    }
    Err(ApiError::invalid(
        "dedupKey",
        format!("dedupKey 必须是1到{DEDUP_KEY_CHARACTERS_MAX}个可见字符，不含空白"),
    ))
}

/// How an event stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StandingView {
    #[schema(value_type = String)]
    event_id: EventId,
    #[schema(value_type = String)]
    kind: Kind,
    /// Who told of it: a user's name, or that of a service token.
    sent_by: String,
    recipients: usize,
    not_served: Vec<NotServedView>,
    /// `shown` in notification centres, or `waiting` until it is due.
    inbox: &'static str,
    /// Its messages, by channel and status. Finished ones are deleted after a while.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, i64>>)]
    messages: BTreeMap<Channel, BTreeMap<Status, i64>>,
    #[schema(value_type = String, format = DateTime)]
    due_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<UtcTimestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
}

impl From<EventStanding> for StandingView {
    fn from(standing: EventStanding) -> Self {
        let receipt = standing.receipt;
        Self {
            event_id: receipt.event_id,
            kind: receipt.kind,
            sent_by: standing.sender_name,
            recipients: receipt.recipients,
            not_served: receipt.not_served.into_iter().map(Into::into).collect(),
            inbox: if standing.waiting { "waiting" } else { "shown" },
            messages: standing.messages,
            due_at: receipt.due_at,
            expires_at: receipt.expires_at,
            created_at: standing.created_at,
        }
    }
}

/// What has become of an event: for administrators, and for the program that told of it.
#[utoipa::path(get, path = "/api/events/{id}", tag = "events", params(("id" = String, Path)),
    security(("token" = []), ("serviceToken" = [])),
    responses((status = 200, body = Envelope<StandingView>), (status = 404)))]
pub(crate) async fn show(
    state: State,
    caller: AnyCaller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: EventId = id_in_path(&id, NO_SUCH_EVENT)?;
    let standing = state
        .database
        .run(move |connection| events::standing(connection, &id))
        .await?;
    let standing = standing.filter(|standing| match &caller.who {
        Who::User(_) => true,
        Who::Service(token) => standing.sender == Sender::Service(token.id.clone()),
    });
    let standing = standing.ok_or_else(|| ApiError::NotFound(NO_SUCH_EVENT.to_owned()))?;
    Ok(envelope::ok("获取成功", StandingView::from(standing)))
}

const NO_SUCH_EVENT: &str = "事件不存在";

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        let message = error.to_string();
        let unprocessable = |details: Value| Self::Unprocessable {
            message: message.clone(),
            details: Some(details),
        };
        match error {
            EventError::NotSendable(_) => Self::Unprocessable {
                message: format!("{message}，可用：{}", sendable()),
                details: Some(json!({ "field": "kind", "kinds": SENDABLE_KINDS })),
            },
            EventError::DataMisfit {
                missing,
                unknown,
                known,
            } => unprocessable(json!({
                "field": "data", "missing": missing, "unknown": unknown, "known": known,
            })),
            EventError::DueInThePast | EventError::DueTooLate => Self::invalid("dueAt", message),
            EventError::ExpiresTooEarly => Self::invalid("expiresAt", message),
            EventError::TooManyRecipients { count } => {
                unprocessable(json!({ "field": "recipients", "count": count }))
            }
            EventError::NobodyToTell { not_served } => {
                let not_served: Vec<NotServedView> =
                    not_served.into_iter().map(Into::into).collect();
                unprocessable(json!({ "field": "recipients", "notServed": not_served }))
            }
            EventError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_texts_and_numbers_within_bounds() {
        let checked = |values: Value| data(values.as_object().unwrap().clone());
        let good = json!({ "days": 7, "customerName": " 王女士 ", "content": "一\n二" });
        assert_eq!(
            Value::Object(checked(good).unwrap()),
            json!({ "days": 7, "customerName": "王女士", "content": "一\n二" })
        );
        for (values, refusal) in [
            (json!({ "days": true }), "data.days 必须是文本或数字"),
            (json!({ "days": null }), "data.days 必须是文本或数字"),
            (json!({ "days": ["7"] }), "data.days 必须是文本或数字"),
            (
                json!({ "customerName": "一\n二" }),
                "字段 data.customerName 包含不允许的控制字符",
            ),
            (
                json!({ "customerName": "王".repeat(501) }),
                "字段 data.customerName 不能超过500字",
            ),
            (
                json!({ "content": "王".repeat(2_001) }),
                "字段 data.content 不能超过2000字",
            ),
        ] {
            assert_eq!(checked(values).unwrap_err().to_string(), refusal);
        }
    }

    #[test]
    fn a_key_is_visible() {
        let long = "键".repeat(200);
        for key in ["contract:42:signed", long.as_str()] {
            assert!(dedup_key(key.to_owned()).is_ok(), "{key}");
        }
        let too_long = "k".repeat(201);
        for key in ["", "a b", "a\n", too_long.as_str()] {
            assert!(dedup_key(key.to_owned()).is_err(), "{key:?}");
        }
    }
}
