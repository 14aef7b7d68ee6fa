use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::{Channel, RecipientId};
use shared::notification::{self, Audience, Kind, MessageFormat, Route, RouteSettings};
use shared::operation_log::{self, Actor, Operation};
use utoipa::ToSchema;

use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody};
use crate::state::State;
use crate::validation::{Lines, optional_text, required_text, text};

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
    let now = state.now();
    let stored = state
        .database
        .write(move |transaction| {
            notification::put_route(transaction, &route, now)?;
            let operation = Operation {
                action: "notification_route.put",
                entity: "notification_route",
                entity_id: format!("{}/{}", route.kind, route.channel),
                detail: json!(route.settings),
                request_id: Some(caller.request_id),
            };
            let actor = Actor::User(caller.user.id);
            operation_log::record(transaction, &actor, vec![operation], now)?;
            Ok::<_, ApiError>(route)
        })
        .await?;
    Ok(envelope::ok(
        "通知渠道已保存",
        RouteView::new(stored, &state),
    ))
}

fn checked(body: &RouteBody) -> Result<RouteSettings, ApiError> {
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

/// Whether a route can say who gets a message: the mini program knows people by their bindings alone.
fn names_people(channel: Channel) -> bool {
    match channel {
        Channel::WecomApp | Channel::WecomRobot => true,
        Channel::WechatSubscribe | Channel::WechatCloud => false,
    }
}
