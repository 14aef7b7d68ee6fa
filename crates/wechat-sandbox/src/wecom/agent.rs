//! The apps of a company; WeCom calls them agents.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::DEMO_CORPID;
use crate::quota::{DailyLimits, DailyUse};

/// An app of a company and how the platform treats it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Agent {
    /// The company: `ww` and 16 hexadecimal digits on the real platform; any text here. The demo
    /// company when left out.
    #[serde(default = "Agent::default_corpid")]
    pub corpid: String,
    /// Number of the app within its company.
    pub agentid: u32,
    /// The app's own secret.
    pub secret: String,
    /// Shown on the cards.
    #[serde(default = "Agent::default_name")]
    pub name: String,
    /// Userids of those it may write to; `None`: every member.
    #[serde(default)]
    pub visible_to: Option<Vec<String>>,
    /// Addresses that may call for it; `None`: all.
    #[serde(default)]
    pub ip_allow_list: Option<Vec<IpAddr>>,
    /// Daily quotas; `wecom_send` counts recipients. None is set otherwise.
    #[serde(default)]
    pub daily_limits: DailyLimits,
}

impl Agent {
    /// An app with the platform's ordinary behaviour.
    pub fn new(corpid: &str, agentid: u32, secret: &str) -> Self {
        Self {
            corpid: corpid.to_owned(),
            agentid,
            secret: secret.to_owned(),
            name: Self::default_name(),
            visible_to: None,
            ip_allow_list: None,
            daily_limits: DailyLimits::new(),
        }
    }

    /// Whether it may write to a member.
    pub(crate) fn sees(&self, userid: &str) -> bool {
        self.visible_to.as_ref().is_none_or(|visible| {
            visible
                .iter()
                .any(|known| known.eq_ignore_ascii_case(userid))
        })
    }

    fn default_corpid() -> String {
        DEMO_CORPID.to_owned()
    }

    fn default_name() -> String {
        "驿站通知".to_owned()
    }
}

/// Which app of which company.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentKey {
    pub(crate) corpid: String,
    pub(crate) agentid: u32,
}

/// An app and what it has used today.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) agent: Agent,
    pub(crate) usage: DailyUse,
}

impl Account {
    pub(crate) fn key(&self) -> AgentKey {
        AgentKey {
            corpid: self.agent.corpid.clone(),
            agentid: self.agent.agentid,
        }
    }
}
