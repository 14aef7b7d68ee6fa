use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::{Channel, RecipientId};
use shared::notification::{
    self, Audience, FallbackProblem, Kind, MessageFormat, Route, RouteSettings,
};
use shared::operation_log::{self, LoggedOperation, Operation};
use utoipa::ToSchema;
use wechat::field::{FieldType, check};

use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody};
use crate::placeholders::check_placeholders;
use crate::state::State;
use crate::validation::{Lines, optional_text, required_text, text};

/// What changes are recorded under.
const ENTITY: &str = "notification_route";

/// That a kind goes out on a channel, and how it looks there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteView {
    /// What happened: `customer.assigned`.
    #[schema(value_type = String)]
    kind: Kind,
    /// `wechat_subscribe`, `wechat_cloud`, `wecom_app`, `wecom_robot`.
    #[schema(value_type = String)]
    channel: Channel,
    enabled: bool,
    /// Whether this installation has the channel; if not, nothing goes out on it.
    configured: bool,
    template_id: Option<String>,
    page: Option<String>,
    fields: BTreeMap<String, String>,
    /// `text`, `textcard`, `markdown`.
    #[schema(value_type = Option<String>)]
    format: Option<MessageFormat>,
    /// Who gets what is about nobody in particular.
    #[schema(value_type = Option<String>)]
    recipients: Option<RecipientId>,
    /// The channel on which a user is told who cannot be reached on this one.
    #[schema(value_type = Option<String>)]
    fallback: Option<Channel>,
}

impl RouteView {
    fn new(route: Route, state: &State) -> Self {
        Self {
            kind: route.kind,
            channel: route.channel,
            enabled: route.settings.enabled,
            configured: state.telling.channels.contains(route.channel),
            template_id: route.settings.template_id,
            page: route.settings.page,
            fields: route.settings.fields,
            format: route.settings.format,
            recipients: route.settings.recipients,
            fallback: route.settings.fallback,
        }
    }
}

/// How a route is to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RouteBody {
    enabled: bool,
    /// The platform's template id, for subscribe messages.
    template_id: Option<String>,
    /// The page a card opens, with placeholders: `pages/customer/detail?id={{customerId}}`.
    page: Option<String>,
    /// Template field (`thing1`) → text with placeholders (`{{customerName}}`); at most 20.
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// The form of a WeCom message: `text`, `textcard`, `markdown`.
    format: Option<String>,
    /// Who gets what is about nobody in particular (`member.registered`): `@all`, WeCom user ids
    /// joined by `|`, the name of a group.
    recipients: Option<String>,
    /// The channel on which a user is told who cannot be reached on this one: no binding, no
    /// subscription, refused, muted. Its own route waits for its turn then.
    fallback: Option<String>,
}

/// All routes.
#[utoipa::path(get, path = "/api/notification-routes", tag = "notification routes",
    responses((status = 200, body = Envelope<Vec<RouteView>>)))]
pub(crate) async fn list(state: State) -> Result<HttpResponse, ApiError> {
    let routes = state.database.run(notification::routes).await?;
    let routes: Vec<RouteView> = routes
        .into_iter()
        .map(|route| RouteView::new(route, &state))
        .collect();
    Ok(envelope::ok("获取成功", routes))
}

/// Creates or replaces a route.
#[utoipa::path(put, path = "/api/notification-routes/{kind}/{channel}", tag = "notification routes",
    params(("kind" = String, Path), ("channel" = String, Path)), request_body = RouteBody,
    responses((status = 200, body = Envelope<RouteView>)))]
pub(crate) async fn put(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    JsonBody(body): JsonBody<RouteBody>,
) -> Result<HttpResponse, ApiError> {
    let (kind, channel) = path.into_inner();
    let route = Route {
        kind: kind
            .parse()
            .map_err(|_| ApiError::invalid("kind", "通知类型不存在"))?,
        channel: channel
            .parse()
            .map_err(|_| ApiError::invalid("channel", "通知渠道不存在"))?,
        settings: checked(&body)?,
    };
    check_recipients(&route)?;
    check_texts(&route)?;
    let (now, answering) = (state.now(), state.clone());
    let (actor, request_id) = (caller.actor(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            notification::check_fallback(transaction, &route)?
                .map_err(|problem| unfit_fallback(&problem))?;
            notification::put_route(transaction, &route, now)?;
            let operation = Operation {
                action: "notification_route.put",
                entity: ENTITY,
                entity_id: format!("{}/{}", route.kind, route.channel),
                detail: json!(route.settings),
                request_id: Some(request_id),
            };
            operation_log::record(transaction, &actor, vec![operation], now)?;
            Answer::ok("通知渠道已保存", RouteView::new(route, &answering))
        })
        .await
}

/// Who changed a route how, oldest first.
#[utoipa::path(get, path = "/api/notification-routes/{kind}/{channel}/history",
    tag = "notification routes", params(("kind" = String, Path), ("channel" = String, Path)),
    responses((status = 200), (status = 404)))]
pub(crate) async fn history(
    state: State,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (kind, channel) = path.into_inner();
    let (Ok(kind), Ok(channel)) = (kind.parse::<Kind>(), channel.parse::<Channel>()) else {
        return Err(ApiError::NotFound("通知渠道不存在".to_owned()));
    };
    let changes: Vec<LoggedOperation> = state
        .database
        .run(move |connection| {
            operation_log::history(connection, ENTITY, &format!("{kind}/{channel}"))
        })
        .await?;
    Ok(envelope::ok("获取成功", changes))
}

/// What a body says, if a route can be so.
pub(super) fn checked(body: &RouteBody) -> Result<RouteSettings, ApiError> {
    const FIELDS_MAX: usize = 20;
    if body.fields.len() > FIELDS_MAX {
        return Err(ApiError::invalid(
            "fields",
            format!("fields 不能超过{FIELDS_MAX}项"),
        ));
    }
    let mut fields = BTreeMap::new();
    for (name, value) in &body.fields {
        let value = text(&format!("fields.{name}"), value, 200, Lines::One)?;
        fields.insert(required_text("fields", name, 32)?, value);
    }
    Ok(RouteSettings {
        enabled: body.enabled,
        template_id: optional_text("templateId", body.template_id.as_deref(), 64, Lines::One)?,
        page: optional_text("page", body.page.as_deref(), 256, Lines::One)?,
        fields,
        format: format(body)?,
        recipients: recipients(body)?,
        fallback: fallback(body)?,
    })
}

fn format(body: &RouteBody) -> Result<Option<MessageFormat>, ApiError> {
    let parsed = body.format.as_deref().map(str::parse).transpose();
    parsed.map_err(|_| ApiError::invalid("format", "消息格式必须是 text、textcard 或 markdown"))
}

fn recipients(body: &RouteBody) -> Result<Option<RecipientId>, ApiError> {
    const AT_ONCE_MAX: usize = 1_000;
    let Some(recipients) = body.recipients.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if recipients.split('|').count() > AT_ONCE_MAX {
        return Err(ApiError::invalid(
            "recipients",
            format!("接收人不能超过{AT_ONCE_MAX}个"),
        ));
    }
    if recipients.split('|').any(str::is_empty) {
        return Err(ApiError::invalid("recipients", "接收人之间用一个 | 分隔"));
    }
    let parsed = recipients.parse().map(Some);
    parsed.map_err(|_| ApiError::invalid("recipients", "接收人不能有空格或控制字符"))
}

fn fallback(body: &RouteBody) -> Result<Option<Channel>, ApiError> {
    let Some(channel) = body.fallback.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = channel.parse().map(Some);
    parsed.map_err(|_| {
        let known: Vec<&str> = Channel::ALL.iter().map(|known| known.as_str()).collect();
        refused_fallback(format!("后备渠道不存在，可用：{}", known.join("、")))
    })
}

fn refused_fallback(message: String) -> ApiError {
    ApiError::Unprocessable {
        message,
        details: Some(json!({ "field": "fallback" })),
    }
}

fn unfit_fallback(problem: &FallbackProblem) -> ApiError {
    refused_fallback(match problem {
        FallbackProblem::Itself => "后备渠道不能是该渠道本身".to_owned(),
        FallbackProblem::NamedRecipients(_) => {
            "会员通知按渠道指定接收人，不能设置后备渠道".to_owned()
        }
        FallbackProblem::Group(channel) => {
            format!("{channel} 发送到群而不是个人，不能设置或用作后备渠道")
        }
        FallbackProblem::NoAssignment(_) => {
            "云函数只发送客户分配类通知，不能用作此类通知的后备渠道".to_owned()
        }
        FallbackProblem::NoRoute(channel) => {
            format!("此类通知在 {channel} 上还没有设置，请先保存该渠道")
        }
        FallbackProblem::TakenBy(channel) => {
            format!("该渠道已是 {channel} 的后备渠道，请先在 {channel} 上清除")
        }
        FallbackProblem::Circle(way) => {
            let way: Vec<&str> = way.iter().map(|channel| channel.as_str()).collect();
            format!("后备渠道不能循环：{}", way.join(" → "))
        }
    })
}

/// Whether it is known who gets what goes out on the route.
fn check_recipients(route: &Route) -> Result<(), ApiError> {
    let RouteSettings {
        enabled,
        recipients,
        ..
    } = &route.settings;
    match (route.kind.audience(), recipients) {
        (Audience::Staff, Some(_)) => Err(ApiError::invalid(
            "recipients",
            "此类通知发给相关员工本人，不能指定接收人",
        )),
        (Audience::RouteRecipients, None) if *enabled => Err(ApiError::invalid(
            "recipients",
            "启用会员通知前请先指定接收人",
        )),
        (Audience::RouteRecipients, Some(_)) if *enabled && !names_people(route.channel) => {
            Err(ApiError::invalid("channel", "会员通知只能通过企业微信发送"))
        }
        (Audience::Staff, None) | (Audience::RouteRecipients, _) => Ok(()),
    }
}

/// Whether the channel has these fields, and the kind the data that they show.
pub(super) fn check_texts(route: &Route) -> Result<(), ApiError> {
    for (name, text) in &route.settings.fields {
        let field = format!("fields.{name}");
        check_field(route.channel, &field, name, text)?;
        check_placeholders(&field, text, route.kind)?;
    }
    match &route.settings.page {
        Some(page) => check_placeholders("page", page, route.kind),
        None => Ok(()),
    }
}

/// The platform refuses a message with a field that its template does not have, or with a value that
/// does not fit the field's type. What placeholders bring is cut to fit when it is sent.
fn check_field(channel: Channel, field: &str, name: &str, text: &str) -> Result<(), ApiError> {
    const WECOM_FIELDS: [&str; 5] = ["title", "description", "url", "btntxt", "content"];
    let refusal = match channel {
        Channel::WechatSubscribe => match FieldType::of_key(name) {
            None => Some(format!(
                "字段 {name} 不是订阅消息的字段，应为类型加编号，例如 thing1、time2、name3"
            )),
            Some(_) if text.contains("{{") => None,
            Some(field_type) => check(field_type, text)
                .err()
                .map(|problem| format!("字段 {name} 的内容不符合该类型的要求：{problem}")),
        },
        Channel::WecomApp | Channel::WecomRobot if !WECOM_FIELDS.contains(&name) => Some(format!(
            "字段 {name} 不存在，可用：{}",
            WECOM_FIELDS.join("、")
        )),
        Channel::WechatCloud | Channel::WecomApp | Channel::WecomRobot => None,
    };
    match refusal {
        None => Ok(()),
        Some(message) => Err(ApiError::Unprocessable {
            message,
            details: Some(json!({ "field": field })),
        }),
    }
}

/// Whether a route can say who gets a message: the mini program knows people by their bindings alone.
fn names_people(channel: Channel) -> bool {
    match channel {
        Channel::WecomApp | Channel::WecomRobot => true,
        Channel::WechatSubscribe | Channel::WechatCloud => false,
    }
}
