//! The channels: how each puts a message into its form and sends it.

mod platforms;
mod wechat_cloud;
mod wechat_subscribe;
mod wecom_app;
mod wecom_robot;
mod wording;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use shared::domain::Channel;
use shared::notification::{RouteSettings, Template, Wish};
use shared::outbox::{ClaimedMessage, Hold};
use url::Url;

use crate::verdict::SendOutcome;
pub use platforms::Platforms;
pub(crate) use platforms::{configured_app, configured_robot};
pub use wechat_cloud::CloudRequest;
pub use wechat_subscribe::SubscribeRequest;
pub use wecom_app::AppRequest;
pub(crate) use wecom_app::named;
pub use wecom_robot::RobotRequest;
pub use wording::Wording;

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

/// A message in the form of its channel, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum PreparedRequest {
    /// To `subscribe/send`.
    Subscribe(SubscribeRequest),
    /// To a cloud function.
    Cloud(CloudRequest),
    /// To members of a WeCom corporation.
    App(AppRequest),
    /// To a WeCom group robot.
    Robot(RobotRequest),
}

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
    let route = match &addressed.route {
        Some(route) if route.enabled => route,
        _ => return Err(SendOutcome::NoRecipient("the route is switched off")),
    };
    match addressed.wish {
        Wish::Now => {}
        Wish::Later { until } => return Err(SendOutcome::DoNotDisturb { until }),
        Wish::Never => return Err(SendOutcome::NoRecipient("the recipient has muted this")),
    }
    let address = match &addressed.address {
        Address::Known(external_id) => external_id,
        Address::NoBinding => {
            return Err(SendOutcome::NoRecipient(
                "the recipient has no binding for this app",
            ));
        }
        Address::NobodyIsBound => return Err(SendOutcome::NobodyIsBound),
    };
    let message = &addressed.message;
    let data: Map<String, Value> = serde_json::from_str(&message.payload).map_err(|error| {
        SendOutcome::Unpreparable(format!("payload: not a JSON object: {error}"))
    })?;
    match message.channel {
        Channel::WechatSubscribe => SubscribeRequest::prepare(message, address, route, &data)
            .map(PreparedRequest::Subscribe),
        Channel::WechatCloud => Ok(PreparedRequest::Cloud(CloudRequest::prepare(
            message, address, &data,
        ))),
        Channel::WecomApp => {
            let wording = Wording::of(addressed, route, &data, crm_url)?;
            AppRequest::prepare(&message.id, address, &wording).map(PreparedRequest::App)
        }
        Channel::WecomRobot => {
            let wording = Wording::of(addressed, route, &data, crm_url)?;
            RobotRequest::prepare(&wording).map(PreparedRequest::Robot)
        }
    }
}

/// Template field → text, both as the route says or as the channel's default says.
type Fields = BTreeMap<String, String>;
