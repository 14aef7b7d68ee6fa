use rendering::Sender;
use shared::domain::{App, Channel};
use url::Url;

use crate::config::Config;

/// What messages say of this installation to the platforms. Nothing of it is secret.
#[derive(Debug, Clone)]
pub(crate) struct Outward {
    /// What links within the CRM begin with.
    pub(crate) crm_url: Option<Url>,
    mini_program: Option<App>,
    wecom: Option<App>,
    agentid: u32,
}

impl Outward {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            crm_url: config.crm_url.clone(),
            mini_program: config.wechat_appid.as_deref().map(App::mini_program),
            wecom: config.wecom_corpid.as_deref().map(App::wecom),
            agentid: config.wecom_agentid.unwrap_or_default(),
        }
    }

    /// In whose name messages go out. Which version of the mini program a card opens is the relays'
    /// setting; the released one is the usual.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            agentid: self.agentid,
            ..Sender::default()
        }
    }

    /// The application in which the recipients of a channel have an identity; a group robot knows
    /// nobody.
    pub(crate) fn app(&self, channel: Channel) -> Option<&App> {
        match channel {
            Channel::WechatSubscribe | Channel::WechatCloud => self.mini_program.as_ref(),
            Channel::WecomApp => self.wecom.as_ref(),
            Channel::WecomRobot => None,
        }
    }
}
