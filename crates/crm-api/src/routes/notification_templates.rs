use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::{UserId, UtcTimestamp};
use shared::notification::{
    self, Audience, Kind, NotificationPriority, StoredTemplate, Template, TemplateEdits,
    catalogue_entry,
};
use shared::operation_log::{self, LoggedOperation, Operation};
use utoipa::ToSchema;

use crate::change::Answer;
use crate::customers;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{Caller, ExpectedVersion, JsonBody};
use crate::placeholders::check_placeholders;
use crate::routes::customers::Names;
use crate::state::State;
use crate::validation::{Lines, optional_text};

/// What changes are recorded under.
const ENTITY: &str = "notification_template";

/// The words in which something is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TemplateView {
    /// What happened: `customer.assigned`.
    #[schema(value_type = String)]
    kind: Kind,
    /// The headline, with placeholders.
    title: String,
    /// The text, with placeholders: `{{customerName}}`.
    content: String,
    /// `high`, `medium`, `low`.
    #[schema(value_type = String)]
    priority: NotificationPriority,
    /// Where a click leads, with placeholders.
    link: String,
    /// The words of the button that leads there.
    button: String,
    /// The fields that somebody has edited; the others change with a later release.
    edited: Vec<&'static str>,
    /// The names that placeholders may have.
    placeholders: &'static [&'static str],
    /// How often it was edited, for `If-Match`.
    version: i32,
    #[schema(value_type = Option<String>)]
    updated_by: Option<UserId>,
    updated_by_name: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<UtcTimestamp>,
}

impl TemplateView {
    fn new(stored: StoredTemplate, names: &Names) -> Self {
        let edits = &stored.edits;
        let edited = [
            ("title", edits.title.is_some()),
            ("content", edits.content.is_some()),
            ("priority", edits.priority.is_some()),
            ("link", edits.link.is_some()),
            ("button", edits.button.is_some()),
        ];
        let edited = edited.into_iter().filter(|(_, is_edited)| *is_edited);
        let edited = edited.map(|(name, _)| name).collect();
        let name_of = |id| names.get(id).cloned();
        let template = Template::new(stored.kind, stored.edits);
        Self {
            kind: stored.kind,
            title: template.title.into_owned(),
            content: template.content.into_owned(),
            priority: template.priority,
            link: template.link.into_owned(),
            button: template.button.into_owned(),
            edited,
            placeholders: catalogue_entry(stored.kind).data,
            version: stored.version,
            updated_by_name: stored.updated_by.as_ref().and_then(name_of),
            updated_by: stored.updated_by,
            updated_at: stored.updated_at,
        }
    }
}

/// How a template is to be. What is not given, or null, is as the program has it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TemplateBody {
    /// One line, at most 64 characters.
    title: Option<String>,
    /// At most 1000 characters, several lines.
    content: Option<String>,
    #[schema(value_type = Option<String>)]
    priority: Option<NotificationPriority>,
    /// Begins with `/`, for a page of the CRM, or with `https://`; at most 256 characters.
    link: Option<String>,
    /// At most 4 characters, for which a button of WeCom has room; none of them a placeholder.
    button: Option<String>,
}

/// The templates of all kinds.
#[utoipa::path(get, path = "/api/notification-templates", tag = "notification templates",
    responses((status = 200, body = Envelope<Vec<TemplateView>>)))]
pub(crate) async fn list(state: State) -> Result<HttpResponse, ApiError> {
    let views = state
        .database
        .run(move |connection| {
            let stored = notification::stored_templates(connection, None)?;
            let editors = stored.iter().filter_map(|one| one.updated_by.as_ref());
            let names = customers::names_of(connection, editors)?;
            let views = stored.into_iter().map(|one| TemplateView::new(one, &names));
            Ok::<_, ApiError>(views.collect::<Vec<_>>())
        })
        .await?;
    Ok(envelope::ok("获取成功", views))
}

/// The template of one kind.
#[utoipa::path(get, path = "/api/notification-templates/{kind}", tag = "notification templates",
    params(("kind" = String, Path)),
    responses((status = 200, body = Envelope<TemplateView>), (status = 404)))]
pub(crate) async fn show(state: State, kind: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let kind = kind_in_path(&kind)?;
    let view = state
        .database
        .run(move |connection| view_of(connection, kind))
        .await?;
    Ok(envelope::ok("获取成功", view))
}

fn view_of(
    connection: &mut shared::db::DbConnection,
    kind: Kind,
) -> Result<TemplateView, ApiError> {
    let stored = find(connection, kind)?;
    let names = customers::names_of(connection, stored.updated_by.iter())?;
    Ok(TemplateView::new(stored, &names))
}

fn find(connection: &mut shared::db::DbConnection, kind: Kind) -> Result<StoredTemplate, ApiError> {
    let stored = notification::stored_templates(connection, Some(kind))?;
    stored.into_iter().next().ok_or_else(no_such_kind)
}

/// Edits a template. Everybody is told in the new words as soon as this is answered.
#[utoipa::path(put, path = "/api/notification-templates/{kind}", tag = "notification templates",
    params(("kind" = String, Path)), request_body = TemplateBody,
    responses((status = 200, body = Envelope<TemplateView>), (status = 404), (status = 409), (status = 422)))]
pub(crate) async fn put(
    state: State,
    caller: Caller,
    kind: web::Path<String>,
    ExpectedVersion(expected): ExpectedVersion,
    JsonBody(body): JsonBody<TemplateBody>,
) -> Result<HttpResponse, ApiError> {
    let kind = kind_in_path(&kind)?;
    let edits = checked(kind, &body)?;
    let (actor, request_id, now) = (caller.actor(), caller.request_id.clone(), state.now());
    let editor = caller.user.id.clone();
    state
        .change(&caller, move |transaction| {
            let version = notification::edit_template(transaction, kind, &edits, &editor, now)?;
            if expected.is_some_and(|expected| expected + 1 != version) {
                return Err(ApiError::Conflict(
                    "模板已被他人修改，请刷新后重试".to_owned(),
                ));
            }
            let operation = Operation {
                action: "notification_template.put",
                entity: ENTITY,
                entity_id: kind.as_str().to_owned(),
                detail: json!({
                    "version": version,
                    "title": edits.title,
                    "content": edits.content,
                    "priority": edits.priority,
                    "link": edits.link,
                    "button": edits.button,
                }),
                request_id: Some(request_id),
            };
            operation_log::record(transaction, &actor, vec![operation], now)?;
            Answer::ok("通知模板已保存", view_of(transaction.connection(), kind)?)
        })
        .await
}

/// Who edited a template how, oldest first.
#[utoipa::path(get, path = "/api/notification-templates/{kind}/history", tag = "notification templates",
    params(("kind" = String, Path)), responses((status = 200), (status = 404)))]
pub(crate) async fn history(
    state: State,
    kind: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let kind = kind_in_path(&kind)?;
    let edits: Vec<LoggedOperation> = state
        .database
        .run(move |connection| operation_log::history(connection, ENTITY, kind.as_str()))
        .await?;
    Ok(envelope::ok("获取成功", edits))
}

pub(super) fn kind_in_path(text: &str) -> Result<Kind, ApiError> {
    text.parse().map_err(|_| no_such_kind())
}

fn no_such_kind() -> ApiError {
    ApiError::NotFound("通知类型不存在".to_owned())
}

/// What a body says, if the template of the kind can be so.
pub(super) fn checked(kind: Kind, body: &TemplateBody) -> Result<TemplateEdits, ApiError> {
    const TITLE_CHARACTERS_MAX: usize = 64;
    const CONTENT_CHARACTERS_MAX: usize = 1_000;
    const LINK_CHARACTERS_MAX: usize = 256;
    const BUTTON_CHARACTERS_MAX: usize = 4;
    let entry = catalogue_entry(kind);
    let text = |field, value: &Option<String>, most, lines, default: &str| {
        let text = optional_text(field, value.as_deref(), most, lines)?;
        if let Some(text) = &text {
            check_placeholders(field, text, kind)?;
        }
        Ok::<_, ApiError>(text.filter(|text| text != default))
    };
    let edits = TemplateEdits {
        title: text(
            "title",
            &body.title,
            TITLE_CHARACTERS_MAX,
            Lines::One,
            entry.title,
        )?,
        content: text(
            "content",
            &body.content,
            CONTENT_CHARACTERS_MAX,
            Lines::Many,
            entry.content,
        )?,
        priority: body.priority.filter(|priority| *priority != entry.priority),
        link: text(
            "link",
            &body.link,
            LINK_CHARACTERS_MAX,
            Lines::One,
            entry.link,
        )?,
        button: text(
            "button",
            &body.button,
            BUTTON_CHARACTERS_MAX,
            Lines::One,
            entry.button,
        )?,
    };
    if edits
        .link
        .as_ref()
        .is_some_and(|link| !leads_somewhere(link))
    {
        return Err(ApiError::invalid("link", "链接必须以 / 或 https:// 开头"));
    }
    if edits.priority.is_some() && kind.audience() == Audience::RouteRecipients {
        return Err(ApiError::invalid(
            "priority",
            "会员通知由数据库触发器写入，优先级不能修改",
        ));
    }
    Ok(edits)
}

/// A page of the CRM, or of another site; not of another site by `//host`.
fn leads_somewhere(link: &str) -> bool {
    link.starts_with("https://") || (link.starts_with('/') && !link.starts_with("//"))
}
