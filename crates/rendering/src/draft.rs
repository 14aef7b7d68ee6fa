use serde_json::{Map, Value};
use shared::domain::{Channel, OutboxMessageId, RecipientId};
use shared::notification::{Kind, RouteSettings, Template};
use url::Url;

use crate::{AppRequest, CloudRequest, RobotRequest, SubscribeRequest, Unrenderable, Wording};

/// A message and everything that its looks depend on.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// Which message; platforms and readers tell repeats by it.
    pub id: &'a OutboxMessageId,
    /// What happened.
    pub kind: Kind,
    /// How it goes out.
    pub channel: Channel,
    /// To whom, as the outbox knows them.
    pub recipient_id: &'a RecipientId,
    /// To whom, as the platform knows them.
    pub address: &'a str,
    /// How the kind goes out on the channel.
    pub route: &'a RouteSettings,
    /// The words of the kind.
    pub template: &'a Template,
    /// The values for the placeholders.
    pub data: &'a Map<String, Value>,
    /// What links within the CRM begin with; without it there are none.
    pub crm_url: Option<&'a Url>,
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

impl Draft<'_> {
    /// Puts the message into its channel's form.
    ///
    /// # Errors
    /// If the route, the template or the recipients are such that the platform would refuse it.
    pub fn prepare(&self) -> Result<PreparedRequest, Unrenderable> {
        match self.channel {
            Channel::WechatSubscribe => {
                SubscribeRequest::prepare(self).map(PreparedRequest::Subscribe)
            }
            Channel::WechatCloud => Ok(PreparedRequest::Cloud(CloudRequest::prepare(self))),
            Channel::WecomApp => {
                let wording = Wording::of(self)?;
                AppRequest::prepare(self.id, self.address, &wording).map(PreparedRequest::App)
            }
            Channel::WecomRobot => {
                let wording = Wording::of(self)?;
                RobotRequest::prepare(&wording).map(PreparedRequest::Robot)
            }
        }
    }
}
