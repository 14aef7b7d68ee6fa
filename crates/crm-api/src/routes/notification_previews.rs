use actix_web::{HttpResponse, web};
use rendering::{Draft, Preview, Warning};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::db::{DbConnection, DbError};
use shared::domain::{Channel, OutboxMessageId, RecipientId};
use shared::notification::{
    self, Kind, Route, RouteSettings, Template, TemplateEdits, missing, render,
};
use utoipa::ToSchema;

use super::message_data::message_data;
use super::notification_routes::{self, RouteBody};
use super::notification_templates::{self, TemplateBody};
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::OptionalJsonBody;
use crate::rendering_text::{unrenderable_text, warning_text};
use crate::state::State;

/// What is to be shown. Left out, the kind's example is shown in the words and settings as they are
/// saved.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PreviewBody {
    /// Placeholder → value, in place of the example's.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
    /// A template that is not saved yet.
    template: Option<TemplateBody>,
    /// A route that is not saved yet.
    route: Option<RouteBody>,
}

/// What would be sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewView {
    #[schema(value_type = String)]
    kind: Kind,
    /// `wechat_subscribe`, `wechat_cloud`, `wecom_app`, `wecom_robot`, or `inbox`.
    channel: &'static str,
    /// Whether this installation has the channel.
    configured: bool,
    /// Whether the kind goes out on it.
    enabled: bool,
    /// The platform's call; null for the notification centre.
    path: Option<&'static str>,
    /// What it is given. Who gets it is `RECIPIENT`, unless the route names somebody.
    #[schema(value_type = Object)]
    body: Value,
    /// The values that were filled in.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// What a recipient will not see as it was meant.
    warnings: Vec<WarningView>,
}

/// Something that a recipient will not see as it was meant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarningView {
    /// `missing`, `unfit`, `cut`, `no_link`, `link_too_long`, `other_form`.
    code: &'static str,
    /// Which text it is about.
    field: String,
    /// In words.
    message: String,
    /// The text as it should be, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<String>,
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<String>,
}

impl From<Warning> for WarningView {
    fn from(warning: Warning) -> Self {
        let (code, field) = (warning.code(), warning.field().to_owned());
        let message = warning_text(&warning);
        let (full, shown) = match warning {
            Warning::Unfit { full, shown, .. } | Warning::Cut { full, shown, .. } => {
                (Some(full), Some(shown))
            }
            Warning::Missing { .. }
            | Warning::NoLink { .. }
            | Warning::LinkTooLong { .. }
            | Warning::OtherForm { .. } => (None, None),
        };
        Self {
            code,
            field,
            message,
            full,
            shown,
        }
    }
}

/// Stands for a recipient whom nobody has named.
const SOMEBODY: &str = "RECIPIENT";

/// The notification centre, where a channel stands otherwise.
const INBOX: &str = "inbox";

/// Shows what a platform would be sent, and what of it does not fit. Nothing is sent.
#[utoipa::path(post, path = "/api/notification-templates/{kind}/{channel}/preview",
    tag = "notification templates",
    params(("kind" = String, Path), ("channel" = String, Path, description = "a channel, or `inbox`")),
    request_body = PreviewBody,
    responses((status = 200, body = Envelope<PreviewView>), (status = 404), (status = 422)))]
pub(crate) async fn show(
    state: State,
    path: web::Path<(String, String)>,
    OptionalJsonBody(body): OptionalJsonBody<PreviewBody>,
) -> Result<HttpResponse, ApiError> {
    let (kind, channel) = path.into_inner();
    let kind = notification_templates::kind_in_path(&kind)?;
    let data = message_data(kind, body.data)?;
    let edits = body.template.as_ref();
    let edits = edits
        .map(|template| notification_templates::checked(kind, template))
        .transpose()?;
    let channel: Option<Channel> = match channel.as_str() {
        INBOX => None,
        named => Some(channel_in_path(named)?),
    };
    let route = match (channel, &body.route) {
        (Some(channel), Some(route)) => {
            let settings = notification_routes::checked(route)?;
            let route = Route {
                kind,
                channel,
                settings,
            };
            notification_routes::check_texts(&route)?;
            Some(route.settings)
        }
        (_, None) => None,
        (None, Some(_)) => {
            return Err(ApiError::invalid("route", "站内通知没有渠道设置"));
        }
    };
    let saved = state
        .database
        .run(move |connection| saved(connection, kind, channel))
        .await?;
    let template = Template::new(kind, edits.unwrap_or(saved.edits));
    let view = match channel {
        None => in_the_centre(kind, &template, data),
        Some(channel) => {
            let route = route.or(saved.route).unwrap_or_default();
            on_channel(&state, kind, channel, &route, &template, data)?
        }
    };
    Ok(envelope::ok("获取成功", view))
}

/// A channel named in a path.
pub(super) fn channel_in_path(text: &str) -> Result<Channel, ApiError> {
    text.parse()
        .map_err(|_| ApiError::NotFound("通知渠道不存在".to_owned()))
}

/// There is nothing to send.
fn refusal(problem: &rendering::Unrenderable) -> ApiError {
    let (field, message) = unrenderable_text(problem);
    ApiError::Unprocessable {
        message,
        details: Some(json!({ "field": field })),
    }
}

struct Saved {
    edits: TemplateEdits,
    route: Option<RouteSettings>,
}

fn saved(
    connection: &mut DbConnection,
    kind: Kind,
    channel: Option<Channel>,
) -> Result<Saved, DbError> {
    let stored = notification::stored_templates(connection, Some(kind))?;
    let edits = stored.into_iter().next().map(|stored| stored.edits);
    let mut routes = notification::routes(connection)?.into_iter();
    let route = routes.find(|route| route.kind == kind && Some(route.channel) == channel);
    Ok(Saved {
        edits: edits.unwrap_or_default(),
        route: route.map(|route| route.settings),
    })
}

fn on_channel(
    state: &State,
    kind: Kind,
    channel: Channel,
    route: &RouteSettings,
    template: &Template,
    data: Map<String, Value>,
) -> Result<PreviewView, ApiError> {
    let somebody: RecipientId = SOMEBODY
        .parse()
        .map_err(|_| ApiError::Internal("the stand-in is no recipient".to_owned()))?;
    let named = route.recipients.as_ref();
    let draft = Draft {
        id: &OutboxMessageId::generate(),
        kind,
        channel,
        recipient_id: named.unwrap_or(&somebody),
        address: named.map_or(SOMEBODY, RecipientId::as_str),
        route,
        template,
        data: &data,
        crm_url: state.outward.crm_url.as_ref(),
    };
    let Preview {
        path,
        body,
        warnings,
    } = draft
        .preview(state.outward.sender())
        .map_err(|problem| refusal(&problem))?;
    Ok(PreviewView {
        kind,
        channel: channel.as_str(),
        configured: state.telling.channels.contains(channel),
        enabled: route.enabled,
        path: Some(path),
        body,
        data,
        warnings: warnings.into_iter().map(Into::into).collect(),
    })
}

fn in_the_centre(kind: Kind, template: &Template, data: Map<String, Value>) -> PreviewView {
    let texts = [
        ("title", &template.title),
        ("content", &template.content),
        ("link", &template.link),
        ("button", &template.button),
    ];
    let warnings = texts.iter().flat_map(|(field, text)| {
        missing(text, &data).into_iter().map(|name| {
            WarningView::from(Warning::Missing {
                field: (*field).to_owned(),
                name: name.to_owned(),
            })
        })
    });
    let warnings = warnings.collect();
    let mut body: Map<String, Value> = texts
        .iter()
        .map(|(field, text)| ((*field).to_owned(), json!(render(text, &data))))
        .collect();
    body.insert("priority".to_owned(), json!(template.priority));
    PreviewView {
        kind,
        channel: INBOX,
        configured: true,
        enabled: true,
        path: None,
        body: Value::Object(body),
        data,
        warnings,
    }
}
