//! WeCom: companies with their apps, members and group robots, and what its endpoints decide.

mod agent;
mod content;
mod directory;
mod duplicate;
mod errmsg;
mod form;
mod frequency;
mod inquiry;
mod media;
mod robot;
mod send;
mod template_card;
mod token;

use std::collections::HashMap;
use std::net::IpAddr;

use self::agent::{Account, AgentKey};
use self::directory::Directory;
use self::duplicate::DuplicateCheck;
use self::frequency::{Frequency, PER_COMPANY};
use self::media::Media;
use self::robot::Post;
use self::token::AgentTokens;
use crate::api::Api;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::config::SandboxConfig;
use crate::quota::DailyUse;
use crate::refusal::Refusal;

pub use self::agent::Agent;
pub use self::directory::{Licence, Member};
pub(crate) use self::errmsg::usual_text;
pub use self::robot::Robot;

/// Everything the platform knows.
#[derive(Debug, Default)]
pub(crate) struct Wecom {
    accounts: Vec<Account>,
    pub(crate) directory: Directory,
    robots: Vec<Post>,
    pub(crate) tokens: AgentTokens,
    media: Media,
    duplicates: DuplicateCheck,
    /// Calls by company and endpoint.
    calls: HashMap<(String, Api), Frequency>,
    /// Messages by app and lower-case userid.
    received: HashMap<(AgentKey, String), Frequency>,
}

impl Wecom {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, String> {
        let mut platform = Self::default();
        for agent in &config.agents {
            platform.put_agent(agent.clone());
        }
        for member in &config.members {
            platform.put_member(member.clone())?;
        }
        for robot in &config.robots {
            platform.put_robot(robot.clone());
        }
        Ok(platform)
    }

    /// Adds an app or replaces the one of its company with its agent id.
    pub(crate) fn put_agent(&mut self, agent: Agent) {
        let known = self.accounts.iter_mut().find(|account| {
            account.agent.corpid == agent.corpid && account.agent.agentid == agent.agentid
        });
        match known {
            Some(account) => account.agent = agent,
            None => self.accounts.push(Account {
                agent,
                usage: DailyUse::default(),
            }),
        }
    }

    pub(crate) fn put_member(&mut self, member: Member) -> Result<(), String> {
        let corpid = match &member.corpid {
            Some(corpid) if self.has_company(corpid) => corpid.clone(),
            Some(corpid) => return Err(format!("there is no company {corpid}")),
            None => {
                let first = self.accounts.first().ok_or("there is no company at all")?;
                first.agent.corpid.clone()
            }
        };
        self.directory.put(corpid, member);
        Ok(())
    }

    /// Adds a robot or replaces the one with its key.
    pub(crate) fn put_robot(&mut self, robot: Robot) {
        match self
            .robots
            .iter_mut()
            .find(|post| post.robot.key == robot.key)
        {
            Some(post) => post.robot = robot,
            None => self.robots.push(Post::new(robot)),
        }
    }

    pub(crate) fn set_trusted_addresses(
        &mut self,
        agentid: Option<u32>,
        addresses: Option<Vec<IpAddr>>,
    ) -> Result<(), String> {
        let account = self
            .accounts
            .iter_mut()
            .find(|account| agentid.is_none_or(|agentid| account.agent.agentid == agentid))
            .ok_or("there is no such app")?;
        account.agent.ip_allow_list = addresses;
        Ok(())
    }

    pub(crate) fn agent_of(&self, corpid: &str, agentid: u32) -> Option<&Agent> {
        self.accounts
            .iter()
            .map(|account| &account.agent)
            .find(|agent| agent.corpid == corpid && agent.agentid == agentid)
    }

    fn has_company(&self, corpid: &str) -> bool {
        self.accounts
            .iter()
            .any(|account| account.agent.corpid == corpid)
    }

    /// The app of the call's token, once the call may be made.
    fn authorised(&mut self, call: &Call, now: Timestamp) -> Result<&mut Account, Refusal> {
        let key = self.tokens.check(call.parameter("access_token"), now)?;
        let account = self
            .accounts
            .iter_mut()
            .find(|account| account.key() == *key)
            .ok_or_else(|| Refusal::new(40014))?;
        check_address(&account.agent, call)?;
        if call.api != Api::WecomSend {
            count_call(&mut self.calls, &account.agent, call.api, now)?;
            account
                .usage
                .count(&account.agent.daily_limits, call.api, now)?;
        }
        Ok(account)
    }
}

/// Only addresses that the app trusts may call for it.
fn check_address(agent: &Agent, call: &Call) -> Result<(), Refusal> {
    let trusted = agent
        .ip_allow_list
        .as_ref()
        .is_none_or(|allowed| allowed.contains(&call.address));
    if trusted {
        Ok(())
    } else {
        Err(Refusal::new(60020))
    }
}

fn count_call(
    calls: &mut HashMap<(String, Api), Frequency>,
    agent: &Agent,
    api: Api,
    now: Timestamp,
) -> Result<(), Refusal> {
    let frequency = calls
        .entry((agent.corpid.clone(), api))
        .or_insert_with(|| Frequency::new(PER_COMPANY));
    if frequency.admit_or_block(now) {
        Ok(())
    } else {
        Err(Refusal::new(45009))
    }
}
