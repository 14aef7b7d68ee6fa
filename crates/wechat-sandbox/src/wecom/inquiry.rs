//! The calls that send nothing: the token, and what can be read.

use serde_json::json;

use super::directory::Licence;
use super::{Wecom, check_address, count_call};
use crate::call::Call;
use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// Addresses for `get_api_domain_ip`, from the range that is kept for documentation.
const PLATFORM_ADDRESSES: [&str; 2] = ["192.0.2.17", "192.0.2.18"];

impl Wecom {
    /// `gettoken`.
    pub(crate) fn token(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let corpid = call
            .parameter("corpid")
            .ok_or_else(|| Refusal::new(41002))?;
        let secret = call
            .parameter("corpsecret")
            .ok_or_else(|| Refusal::new(41004))?;
        if !self.has_company(corpid) {
            return Err(Refusal::new(40013));
        }
        let account = self
            .accounts
            .iter_mut()
            .find(|account| account.agent.secret == secret)
            .ok_or_else(|| Refusal::new(40001))?;
        if account.agent.corpid != corpid {
            return Err(Refusal::new(40091));
        }
        check_address(&account.agent, call)?;
        count_call(&mut self.calls, &account.agent, call.api, now)?;
        account
            .usage
            .count(&account.agent.daily_limits, call.api, now)?;
        let (token, expires_in) = self.tokens.grant(&account.key(), now);
        let answer = json!({
            "errcode": 0,
            "errmsg": "ok",
            "access_token": token,
            "expires_in": expires_in,
        });
        Ok(answer.to_string())
    }

    /// `agent/get`.
    pub(crate) fn agent(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let agent = self.authorised(call, now)?.agent.clone();
        let agentid = call
            .parameter("agentid")
            .ok_or_else(|| Refusal::new(41011))?;
        self.check_agentid(&agent, agentid.parse().ok())?;
        let users: Vec<_> = self
            .directory
            .visible(&agent)
            .map(|member| json!({ "userid": member.userid }))
            .collect();
        let parties: &[u32] = if agent.visible_to.is_none() {
            &[1]
        } else {
            &[]
        };
        let answer = json!({
            "errcode": 0,
            "errmsg": "ok",
            "agentid": agent.agentid,
            "name": agent.name,
            "square_logo_url": "",
            "description": "",
            "allow_userinfos": { "user": users },
            "allow_partys": { "partyid": parties },
            "allow_tags": { "tagid": [] },
            "close": 0,
            "redirect_domain": "",
            "report_location_flag": 0,
            "isreportenter": 0,
            "home_url": "",
        });
        Ok(answer.to_string())
    }

    /// `user/get`.
    pub(crate) fn user(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let agent = self.authorised(call, now)?.agent.clone();
        let userid = call
            .parameter("userid")
            .ok_or_else(|| Refusal::new(41009))?;
        let member = self
            .directory
            .get(&agent.corpid, userid)
            .ok_or_else(|| Refusal::new(60111))?;
        if !agent.sees(&member.userid) {
            return Err(Refusal::new(60011));
        }
        let departments = member.all_departments();
        let answer = json!({
            "errcode": 0,
            "errmsg": "ok",
            "userid": member.userid,
            "name": member.name.as_deref().unwrap_or(&member.userid),
            "department": departments,
            "main_department": departments[0],
            "position": "",
            // 1 is active, 4 is not active yet.
            "status": if member.licence == Licence::Valid { 1 } else { 4 },
            "enable": 1,
            "isleader": 0,
            "telephone": "",
            "alias": "",
        });
        Ok(answer.to_string())
    }

    /// `get_api_domain_ip`.
    pub(crate) fn addresses(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        self.authorised(call, now)?;
        let answer = json!({ "errcode": 0, "errmsg": "ok", "ip_list": PLATFORM_ADDRESSES });
        Ok(answer.to_string())
    }
}
