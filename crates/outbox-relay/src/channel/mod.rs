//! The channels: how each sends a message. How it looks there is in the package `rendering`.

mod acceptance;
mod call;
mod platforms;

use std::sync::Arc;

use rendering::{Draft, PreparedRequest};
use serde_json::{Map, Value};
use shared::notification::{Kind, RouteSettings, Template, Wish};
use shared::outbox::{ClaimedMessage, DIGEST, Hold, is_test};
use url::Url;

use crate::verdict::{NoRecipient, SendOutcome};
pub(crate) use acceptance::named;
pub(crate) use call::{send_to_app, send_to_robot};
pub use platforms::Platforms;
pub(crate) use platforms::{configured_app, configured_robot};

/// A claimed message with what is known of its recipient and its route.
#[derive(Debug, Clone)]
pub struct AddressedMessage {
    /// The message.
    pub message: ClaimedMessage,
    /// Who the recipient is on the platform.
    pub address: Address,
    /// What the recipient wants of it.
    pub wish: Wish,
    /// How the kind goes out on the channel; `None` if the route was removed.
    pub route: Option<Arc<RouteSettings>>,
    /// The words of the kind where somebody has edited them.
    pub template: Option<Arc<Template>>,
    /// The hold on the channel that this message is to probe.
    pub hold: Option<Hold>,
}

/// Who a recipient is in the app that messages go out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Their identity there.
    Known(String),
    /// They have none.
    NoBinding,
    /// Nobody at all has one: rather a wrong appid than a company in which nobody uses the app.
    NobodyIsBound,
}

/// A single message goes out as itself.
const MEMBERS_MIN: u64 = 2;

/// Puts a message into its channel's form. Links within the CRM begin with `crm_url`; without it
/// there are none.
///
/// # Errors
/// The outcome, if there is nothing to send: no recipient, no route, data that cannot be read, a
/// text that the platform would refuse.
pub fn prepare(
    addressed: &AddressedMessage,
    crm_url: Option<&Url>,
) -> Result<PreparedRequest, SendOutcome> {
    let message = &addressed.message;
    let data: Result<Map<String, Value>, _> = serde_json::from_str(&message.payload);
    // It is to show whether messages arrive, before the route is switched on for everybody.
    let is_test = data.as_ref().is_ok_and(is_test);
    let route = match &addressed.route {
        Some(route) if route.enabled || is_test => route,
        _ => return Err(SendOutcome::NoRecipient(NoRecipient::RouteOff)),
    };
    match addressed.wish {
        _ if is_test => {}
        Wish::Now => {}
        Wish::Later { until } => return Err(SendOutcome::DoNotDisturb { until }),
        Wish::Elsewhere => return Err(SendOutcome::NoRecipient(NoRecipient::ChannelMuted)),
        Wish::Never => return Err(SendOutcome::NoRecipient(NoRecipient::KindMuted)),
    }
    let address = match &addressed.address {
        Address::Known(external_id) => external_id,
        Address::NoBinding => {
            return Err(SendOutcome::NoRecipient(NoRecipient::NoBinding));
        }
        Address::NobodyIsBound => return Err(SendOutcome::NobodyIsBound),
    };
    let data = data.map_err(|error| {
        SendOutcome::Unpreparable(format!("payload: not a JSON object: {error}"))
    })?;
    let count = data.get("count").and_then(Value::as_u64);
    if message.kind == DIGEST && count.is_some_and(|count| count < MEMBERS_MIN) {
        return Err(SendOutcome::NoRecipient(NoRecipient::DigestOfOne));
    }
    let kind: Kind = message
        .kind
        .parse()
        .map_err(|error| SendOutcome::Unpreparable(format!("kind: {error}")))?;
    let of_catalogue;
    let template = match &addressed.template {
        Some(edited) => edited.as_ref(),
        None => {
            of_catalogue = Template::of_catalogue(kind);
            &of_catalogue
        }
    };
    let draft = Draft {
        id: &message.id,
        kind,
        channel: message.channel,
        recipient_id: &message.recipient_id,
        address,
        route,
        template,
        data: &data,
        crm_url,
    };
    draft
        .prepare()
        .map_err(|unrenderable| SendOutcome::Unpreparable(unrenderable.to_string()))
}
