use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::db::schema::notification_routes;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{Channel, RecipientId, UtcTimestamp, text_enum};

/// That a kind goes out on a channel, and how it looks there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// What happened.
    pub kind: Kind,
    /// How it goes out.
    pub channel: Channel,
    /// Everything else.
    #[serde(flatten)]
    pub settings: RouteSettings,
}

/// How a route is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteSettings {
    /// Whether it is used.
    pub enabled: bool,
    /// The platform's template id, for subscribe messages.
    #[serde(default)]
    pub template_id: Option<String>,
    /// The page a card opens, with placeholders.
    #[serde(default)]
    pub page: Option<String>,
    /// Template field (`thing1`) → text with placeholders (`{{customerName}}`).
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The form of a WeCom message; `None` for the channel's usual one.
    #[serde(default)]
    pub format: Option<MessageFormat>,
    /// Who gets what is about nobody in particular, as the channel knows people: `@all`, user ids
    /// joined by `|`, the name of a group.
    #[serde(default)]
    pub recipients: Option<RecipientId>,
    /// The channel on which a user is told who cannot be reached on this one; that channel's own route
    /// waits for its turn then.
    #[serde(default)]
    pub fallback: Option<Channel>,
}

text_enum! {
    /// The form of a WeCom message.
    pub enum MessageFormat ("message format") {
        /// Plain text.
        Text => "text",
        /// A headline, a few lines and a button.
        Textcard => "textcard",
        /// Text with headings, colours and links; not shown in the WeChat plugin.
        Markdown => "markdown",
    }
}

type AnyRoutes<'a> = notification_routes::BoxedQuery<'a, <DbConnection as Connection>::Backend>;

type Row = (
    Kind,
    Channel,
    bool,
    Option<String>,
    Option<String>,
    String,
    Option<MessageFormat>,
    Option<RecipientId>,
    Option<Channel>,
);

/// All routes.
///
/// # Errors
/// What the database says.
pub fn routes(connection: &mut DbConnection) -> Result<Vec<Route>, DbError> {
    load(connection, notification_routes::table.into_boxed())
}

/// The routes of one channel, by kind.
///
/// # Errors
/// What the database says.
pub fn routes_on(connection: &mut DbConnection, channel: Channel) -> Result<Vec<Route>, DbError> {
    let on_channel = notification_routes::table.filter(notification_routes::channel.eq(channel));
    load(connection, on_channel.into_boxed())
}

fn load(connection: &mut DbConnection, routes: AnyRoutes<'_>) -> Result<Vec<Route>, DbError> {
    let rows: Vec<Row> = routes
        .order((notification_routes::kind, notification_routes::channel))
        .select((
            notification_routes::kind,
            notification_routes::channel,
            notification_routes::enabled,
            notification_routes::template_id,
            notification_routes::page,
            notification_routes::fields,
            notification_routes::format,
            notification_routes::recipients,
            notification_routes::fallback,
        ))
        .load(connection)?;
    Ok(rows.into_iter().map(route).collect())
}

fn route(row: Row) -> Route {
    let (kind, channel, enabled, template_id, page, fields, format, recipients, fallback) = row;
    let fields = serde_json::from_str(&fields).unwrap_or_else(|error| {
        log::error!(kind:%, channel:%; "the fields of the route {kind} on {channel} are not a JSON object of texts: {error}");
        BTreeMap::new()
    });
    Route {
        kind,
        channel,
        settings: RouteSettings {
            enabled,
            template_id,
            page,
            fields,
            format,
            recipients,
            fallback,
        },
    }
}

/// Creates or replaces a route. Where it has a fallback, [`check_fallback`](super::check_fallback) comes
/// first.
///
/// # Errors
/// What the database says; [`DbError::Constraint`] for a fallback that another route of the kind has.
pub fn put_route(
    transaction: &mut WriteTransaction<'_>,
    route: &Route,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let fields = serde_json::json!(route.settings.fields).to_string();
    let changes = (
        notification_routes::enabled.eq(route.settings.enabled),
        notification_routes::template_id.eq(&route.settings.template_id),
        notification_routes::page.eq(&route.settings.page),
        notification_routes::fields.eq(&fields),
        notification_routes::format.eq(route.settings.format),
        notification_routes::recipients.eq(&route.settings.recipients),
        notification_routes::fallback.eq(route.settings.fallback),
        notification_routes::updated_at.eq(now),
    );
    let row = (
        notification_routes::kind.eq(route.kind),
        notification_routes::channel.eq(route.channel),
        notification_routes::enabled.eq(route.settings.enabled),
        notification_routes::template_id.eq(&route.settings.template_id),
        notification_routes::page.eq(&route.settings.page),
        notification_routes::fields.eq(&fields),
        notification_routes::format.eq(route.settings.format),
        notification_routes::recipients.eq(&route.settings.recipients),
        notification_routes::fallback.eq(route.settings.fallback),
        notification_routes::updated_at.eq(now),
    );
    each_backend!(transaction.connection(), |c| diesel::insert_into(
        notification_routes::table
    )
    .values(row)
    .on_conflict((notification_routes::kind, notification_routes::channel))
    .do_update()
    .set(changes)
    .execute(c))?;
    Ok(())
}
