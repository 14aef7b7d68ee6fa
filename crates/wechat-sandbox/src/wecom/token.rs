//! Access tokens of apps: one per app, the same one for as long as it is valid.

use std::collections::{HashMap, VecDeque};

use rand::distr::{Alphanumeric, SampleString};

use super::agent::AgentKey;
use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// Life of a token, in seconds.
const LIFETIME: u64 = 7_200;
/// Dead tokens that are remembered, to tell "expired" from "never heard of".
const REMEMBERED: usize = 10_000;
/// Characters of a token; real ones have about this many, and 512 are reserved.
const CHARACTERS: usize = 214;

#[derive(Debug)]
struct Issued {
    agent: AgentKey,
    expires_at: Timestamp,
}

/// All tokens of all apps.
#[derive(Debug, Default)]
pub(crate) struct AgentTokens {
    issued: HashMap<String, Issued>,
    oldest_first: VecDeque<String>,
    current: HashMap<AgentKey, String>,
}

impl AgentTokens {
    /// The app's token and its remaining seconds; a new one when there is none or it has expired.
    pub(crate) fn grant(&mut self, agent: &AgentKey, now: Timestamp) -> (String, u64) {
        if let Some(token) = self.current.get(agent)
            && let Some(issued) = self.issued.get(token)
            && now < issued.expires_at
        {
            let expires_in = now.seconds_until(issued.expires_at);
            return (token.clone(), expires_in);
        }
        let token = Alphanumeric.sample_string(&mut rand::rng(), CHARACTERS);
        let issued = Issued {
            agent: agent.clone(),
            expires_at: now.plus_seconds(LIFETIME),
        };
        self.issued.insert(token.clone(), issued);
        self.oldest_first.push_back(token.clone());
        if self.oldest_first.len() > REMEMBERED
            && let Some(forgotten) = self.oldest_first.pop_front()
        {
            self.issued.remove(&forgotten);
        }
        self.current.insert(agent.clone(), token.clone());
        (token, LIFETIME)
    }

    /// The app a token stands for.
    pub(crate) fn check(&self, token: Option<&str>, now: Timestamp) -> Result<&AgentKey, Refusal> {
        let token = token.ok_or_else(|| Refusal::new(41001))?;
        let issued = self.issued.get(token).ok_or_else(|| Refusal::new(40014))?;
        if now >= issued.expires_at {
            return Err(Refusal::new(42001));
        }
        Ok(&issued.agent)
    }

    /// Every token that is remembered, the oldest first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &String> {
        self.oldest_first.iter()
    }

    /// Makes every token that was issued so far expire now.
    pub(crate) fn expire_all(&mut self, now: Timestamp) {
        for issued in self.issued.values_mut() {
            issued.expires_at = issued.expires_at.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_729_650_000);

    fn agent(agentid: u32) -> AgentKey {
        AgentKey {
            corpid: "ww1".to_owned(),
            agentid,
        }
    }

    #[test]
    fn the_token_of_an_app_stays_the_same_until_it_expires() {
        let mut tokens = AgentTokens::default();
        let (first, lifetime) = tokens.grant(&agent(1), START);
        let later = START.plus_seconds(7_199);
        assert_eq!(lifetime, 7_200);
        assert_eq!(tokens.grant(&agent(1), later), (first.clone(), 1));
        assert_ne!(tokens.grant(&agent(2), later).0, first);
        let over = START.plus_seconds(7_200);
        let errcode = |token: &str| {
            let checked = tokens.check(Some(token), over);
            checked.err().map_or(0, |refusal| refusal.errcode)
        };
        assert_eq!([errcode(&first), errcode("unknown")], [42001, 40014]);
        assert_ne!(tokens.grant(&agent(1), over).0, first);
    }
}
