//! `message/send`.
//!
//! The platform does not document the order of its checks; this one is: method, token, address,
//! type, app, recipients, content, daily quota, duplicate check.

use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Map, Value};

use super::agent::Agent;
use super::content::{Content, Interaction, is_msgtype};
use super::directory::{Address, Addressees};
use super::duplicate::DEFAULT_INTERVAL;
use super::form::Form;
use super::frequency::{Frequency, PER_MEMBER};
use super::{AgentKey, Wecom};
use crate::api::Api;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::message::{Delivery, Envelope, KeptBack, Repetition, raw};
use crate::refusal::Refusal;
use crate::world::Handling;

/// Most recipients of each kind in one call.
const USERS: usize = 1_000;
const PARTIES: usize = 100;
const TAGS: usize = 100;
/// Characters of a message id and of a response code.
const ID_CHARACTERS: usize = 43;

impl Wecom {
    /// Checks one message and delivers it to everybody it reaches.
    pub(crate) fn send(
        &mut self,
        call: &Call,
        handling: &mut Handling<'_>,
    ) -> Result<String, Refusal> {
        let agent = self.authorised(call, handling.now)?.agent.clone();
        let message = Form::of(call);
        self.send_as(&agent, &message, handling)
            .map_err(|refusal| message.refuse(refusal))
    }

    /// The app that a call names must be the one of its token.
    pub(crate) fn check_agentid(&self, agent: &Agent, agentid: Option<i64>) -> Result<(), Refusal> {
        let named = agentid
            .and_then(|agentid| u32::try_from(agentid).ok())
            .and_then(|agentid| self.agent_of(&agent.corpid, agentid));
        match named {
            None => Err(Refusal::new(40056)),
            Some(named) if named.agentid != agent.agentid => Err(Refusal::new(301_002)),
            Some(_) => Ok(()),
        }
    }

    fn send_as(
        &mut self,
        agent: &Agent,
        message: &Form<'_>,
        handling: &mut Handling<'_>,
    ) -> Result<String, Refusal> {
        let now = handling.now;
        let msgtype = message
            .text("msgtype")
            .filter(|msgtype| is_msgtype(msgtype))
            .ok_or_else(|| Refusal::new(40008))?;
        // A mini-program notice goes out by the app that the mini program is tied to.
        if msgtype != "miniprogram_notice" {
            message.get("agentid").ok_or_else(|| Refusal::new(41011))?;
            self.check_agentid(agent, message.number("agentid"))?;
        }
        let address = address_of(message)?;
        if msgtype == "miniprogram_notice" && address == Address::Everybody {
            return Err(Refusal::new(40003));
        }
        let addressees = self.directory.resolve(agent, &address);
        if addressees.is_nobody() {
            return Err(Refusal::new(81013).beside(lists(&addressees)));
        }
        let content = Content::of_app(msgtype, message)?;
        let key = AgentKey {
            corpid: agent.corpid.clone(),
            agentid: agent.agentid,
        };
        if let Some(account) = self.accounts.iter_mut().find(|known| known.key() == key) {
            let persons = u64::try_from(addressees.reached.len()).unwrap_or(u64::MAX);
            account
                .usage
                .count_many(&agent.daily_limits, Api::WecomSend, persons, now)?;
        }
        let repeats = message.number("enable_duplicate_check") == Some(1)
            && message.fields().is_some_and(|fields| {
                let interval = message.number("duplicate_check_interval");
                let interval = interval.and_then(|seconds| u64::try_from(seconds).ok());
                let interval = interval.unwrap_or(DEFAULT_INTERVAL);
                self.duplicates.repeats(&key, fields, interval, now)
            });
        let msgid = random_id();
        let data = raw(&content.data);
        for userid in &addressees.reached {
            let kept_back = if repeats {
                Some(KeptBack::Repeat)
            } else {
                self.keep_back_excess(&key, userid, now)
            };
            let delivery = Delivery {
                api: Api::WecomSend,
                envelope: Envelope::WecomApp {
                    corpid: agent.corpid.clone(),
                    agentid: agent.agentid,
                    userid: userid.clone(),
                    msgtype: msgtype.to_owned(),
                    msgid: msgid.clone(),
                },
                data: data.clone(),
                repeat: if repeats {
                    Repetition::Repeat
                } else {
                    Repetition::ByContent
                },
                kept_back,
            };
            handling.journal.deliver(delivery, now);
        }
        let mut answer = Map::new();
        answer.insert("errcode".to_owned(), Value::from(0));
        answer.insert("errmsg".to_owned(), message.ok_text().into());
        answer.extend(lists(&addressees));
        answer.insert("msgid".to_owned(), msgid.into());
        if content.interaction == Interaction::Buttons {
            answer.insert("response_code".to_owned(), random_id().into());
        }
        Ok(Value::Object(answer).to_string())
    }

    /// Counts one message for a member; beyond the limits it disappears without a word.
    fn keep_back_excess(
        &mut self,
        key: &AgentKey,
        userid: &str,
        now: Timestamp,
    ) -> Option<KeptBack> {
        let received = self
            .received
            .entry((key.clone(), userid.to_lowercase()))
            .or_insert_with(|| Frequency::new(PER_MEMBER));
        (!received.admit(now)).then_some(KeptBack::TooMany)
    }
}

/// To whom a message is addressed; parties and tags do not count beside `@all`.
fn address_of(message: &Form<'_>) -> Result<Address, Refusal> {
    let listed = |name: &str, most: usize, too_many: i64| {
        let ids: Vec<String> = match message.get(name) {
            None => Vec::new(),
            Some(Value::String(text)) => text
                .split('|')
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
                .collect(),
            Some(Value::Number(id)) => vec![id.to_string()],
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_) | Value::Null) => {
                return Err(Refusal::new(40003));
            }
        };
        if ids.len() > most {
            return Err(Refusal::new(too_many));
        }
        Ok(ids)
    };
    let users = listed("touser", USERS, 40032)?;
    if users.iter().any(|id| id == "@all") {
        return Ok(Address::Everybody);
    }
    let parties = listed("toparty", PARTIES, 82002)?;
    let tags = listed("totag", TAGS, 82003)?;
    if users.is_empty() && parties.is_empty() && tags.is_empty() {
        // A list that names nobody is wrong; no list at all is empty.
        let given = message.text("touser").is_some();
        return Err(Refusal::new(if given { 40003 } else { 82001 }));
    }
    Ok(Address::Listed {
        users,
        parties,
        tags,
    })
}

/// The lists of those a message did not reach, in the platform's notation; empty ones are left out.
fn lists(addressees: &Addressees) -> Map<String, Value> {
    [
        ("invaliduser", &addressees.invalid_users),
        ("invalidparty", &addressees.invalid_parties),
        ("invalidtag", &addressees.invalid_tags),
        ("unlicenseduser", &addressees.unlicensed),
    ]
    .into_iter()
    .filter(|(_, ids)| !ids.is_empty())
    .map(|(name, ids)| (name.to_owned(), Value::from(ids.join("|"))))
    .collect()
}

fn random_id() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), ID_CHARACTERS)
}
