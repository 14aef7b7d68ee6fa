use anyhow::{Context, bail};
use clap::Args;
use rendering::{Draft, Sender};
use serde_json::{Map, Value, json};
use shared::db::{Database, DbConnection, DbError};
use shared::domain::{Channel, OutboxMessageId, RecipientId};
use shared::notification::{
    Kind, RouteSettings, Template, catalogue_entry, edited_templates, routes, sample_data,
};

use super::table::{Format, say, say_json};
use crate::Config;

/// What is shown.
#[derive(Debug, Args)]
pub struct PreviewArguments {
    /// Of what: customer.assigned
    kind: Kind,
    /// On which channel: wechat_subscribe, wechat_cloud, wecom_app or wecom_robot
    channel: Channel,
    /// With these values for the placeholders, a JSON object, in place of the example's
    #[arg(long, value_parser = json_object)]
    data: Option<Value>,
    /// As who gets it is known to the platform; without it, a word stands there
    #[arg(long)]
    to: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: PreviewArguments,
    config: &Config,
    database: &Database,
) -> anyhow::Result<()> {
    let PreviewArguments { kind, channel, .. } = arguments;
    let found = database
        .run(move |connection| words_of(connection, kind, channel))
        .await?;
    let (route, template) = found;
    let Some(route) = route else {
        bail!(
            "{kind} has no route on {channel}: make one by PUT /api/notification-routes/{kind}/{channel}"
        );
    };
    let data = match arguments.data {
        Some(Value::Object(data)) => checked(kind, data)?,
        Some(_) | None => sample_data(kind),
    };
    let to = arguments.to.as_deref();
    let to = to.or(route.recipients.as_ref().map(RecipientId::as_str));
    let draft = Draft {
        id: &OutboxMessageId::generate(),
        kind,
        channel,
        recipient_id: &SOMEBODY.parse().context("the stand-in for a recipient")?,
        address: to.unwrap_or(SOMEBODY),
        route: &route,
        template: &template,
        data: &data,
        crm_url: config.crm_url.as_ref(),
    };
    let preview = draft.preview(Sender {
        agentid: config.wecom_agentid.unwrap_or_default(),
        miniprogram_state: config.miniprogram_state(),
    });
    let preview = preview.with_context(|| format!("{kind} cannot be sent on {channel}"))?;
    match Format::of_flag(arguments.json) {
        Format::Json => {
            let warnings = preview.warnings.iter().map(|warning| {
                json!({
                    "code": warning.code(),
                    "field": warning.field(),
                    "text": warning.to_string(),
                })
            });
            say_json(&json!({
                "kind": kind,
                "channel": channel,
                "enabled": route.enabled,
                "path": preview.path,
                "body": preview.body,
                "warnings": warnings.collect::<Vec<_>>(),
            }))
        }
        Format::Table => {
            say(&format!("POST {}", preview.path));
            say_json(&preview.body)?;
            for warning in &preview.warnings {
                say(&format!("note    {warning}"));
            }
            if !route.enabled {
                say("note    the route is off: nothing goes out on it");
            }
            Ok(())
        }
    }
}

/// Stands for a recipient whom nobody has named.
const SOMEBODY: &str = "RECIPIENT";

fn words_of(
    connection: &mut DbConnection,
    kind: Kind,
    channel: Channel,
) -> Result<(Option<RouteSettings>, Template), DbError> {
    let route = routes(connection)?
        .into_iter()
        .find(|route| route.kind == kind && route.channel == channel);
    let edited = edited_templates(connection)?.remove(&kind);
    Ok((
        route.map(|route| route.settings),
        edited.unwrap_or_else(|| Template::of_catalogue(kind)),
    ))
}

/// Refuses names that the kind never brings.
fn checked(kind: Kind, data: Map<String, Value>) -> anyhow::Result<Map<String, Value>> {
    let known = catalogue_entry(kind).data;
    let unknown: Vec<&str> = data
        .keys()
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(data);
    }
    bail!(
        "data: {kind} has no {}; it has {}",
        unknown.join(", "),
        known.join(", ")
    )
}

fn json_object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("a JSON object is wanted: {\"customerName\": \"…\"}".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
