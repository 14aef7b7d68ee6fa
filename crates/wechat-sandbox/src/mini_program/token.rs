//! Access tokens: the classic one, which every call replaces, and the stable one.
//!
//! The two are isolated: neither call touches the other's token.

use std::collections::{HashMap, VecDeque};

use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// Life of a token, in seconds.
const LIFETIME: u64 = 7_200;
/// How long the previous token goes on working beside a new one, in seconds.
const OVERLAP: u64 = 300;
/// Forced refreshes per day and app.
const FORCED_PER_DAY: u32 = 20;
/// Least seconds between two forced refreshes.
const FORCED_APART: u64 = 30;
/// Dead tokens that are remembered, to tell "expired" from "never heard of".
const REMEMBERED: usize = 10_000;
/// Random characters of a token; real ones have a little over 130, and 512 are reserved.
const RANDOM_CHARACTERS: usize = 134;

/// Which of the two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// From `/cgi-bin/token`.
    Classic,
    /// From `/cgi-bin/stable_token`.
    Stable,
}

/// Whether a stable token is wanted new at any rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    WhenDue,
    Forced,
}

/// What a token call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) token: String,
    pub(crate) expires_in: u64,
}

#[derive(Debug)]
struct Issued {
    appid: String,
    kind: TokenKind,
    expires_at: Timestamp,
    /// From when on a newer token has displaced this one.
    displaced_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Forcing {
    day: u64,
    used: u32,
    last: Option<Timestamp>,
}

/// All tokens of all apps.
#[derive(Debug, Default)]
pub(crate) struct TokenDesk {
    issued: HashMap<String, Issued>,
    oldest_first: VecDeque<String>,
    current: HashMap<(String, TokenKind), String>,
    forcing: HashMap<String, Forcing>,
}

impl TokenDesk {
    /// Mints a token; the previous one dies after the overlap.
    pub(crate) fn classic(&mut self, appid: &str, now: Timestamp) -> Grant {
        let key = (appid.to_owned(), TokenKind::Classic);
        if let Some(previous) = self
            .current
            .get(&key)
            .and_then(|token| self.issued.get_mut(token))
        {
            previous
                .displaced_at
                .get_or_insert(now.plus_seconds(OVERLAP));
        }
        self.mint(key, now)
    }

    /// The current token, or a new one when the current one is in its last five minutes.
    pub(crate) fn stable(&mut self, appid: &str, refresh: Refresh, now: Timestamp) -> Grant {
        let key = (appid.to_owned(), TokenKind::Stable);
        if refresh == Refresh::Forced && self.may_force(appid, now) {
            for issued in self.issued.values_mut() {
                if issued.appid == appid && issued.kind == TokenKind::Stable {
                    issued.displaced_at = Some(now);
                }
            }
            return self.mint(key, now);
        }
        if let Some(token) = self.current.get(&key)
            && let Some(issued) = self.issued.get(token)
        {
            let expires_in = now.seconds_until(issued.expires_at);
            if issued.displaced_at.is_none() && expires_in >= OVERLAP {
                return Grant {
                    token: token.clone(),
                    expires_in,
                };
            }
        }
        // The old token keeps its own last minutes: both work until it expires.
        self.mint(key, now)
    }

    /// The app a token stands for.
    pub(crate) fn check(&self, token: Option<&str>, now: Timestamp) -> Result<&str, Refusal> {
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Refusal::new(41001))?;
        let Some(issued) = self.issued.get(token) else {
            // A text that was never a token is told apart from one that is not known any more.
            return Err(Refusal::new(if has_token_shape(token) {
                40001
            } else {
                40014
            }));
        };
        let displaced = issued.displaced_at.filter(|at| now >= *at);
        let expired = (now >= issued.expires_at).then_some(issued.expires_at);
        match (displaced, expired) {
            (None, None) => Ok(&issued.appid),
            (Some(displaced), Some(expired)) if displaced < expired => Err(Refusal::new(40001)),
            (_, Some(_)) => Err(Refusal::new(42001)),
            (Some(_), None) => Err(Refusal::new(40001)),
        }
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

    fn may_force(&mut self, appid: &str, now: Timestamp) -> bool {
        let forcing = self.forcing.entry(appid.to_owned()).or_default();
        if forcing.day != now.beijing_day() {
            forcing.day = now.beijing_day();
            forcing.used = 0;
        }
        let too_soon = forcing
            .last
            .is_some_and(|last| now < last.plus_seconds(FORCED_APART));
        if too_soon || forcing.used >= FORCED_PER_DAY {
            return false;
        }
        forcing.used += 1;
        forcing.last = Some(now);
        true
    }

    fn mint(&mut self, key: (String, TokenKind), now: Timestamp) -> Grant {
        let number = 60 + self.oldest_first.len() % 40;
        let random = Alphanumeric.sample_string(&mut rand::rng(), RANDOM_CHARACTERS);
        let token = format!("{number}_{random}");
        let issued = Issued {
            appid: key.0.clone(),
            kind: key.1,
            expires_at: now.plus_seconds(LIFETIME),
            displaced_at: None,
        };
        self.issued.insert(token.clone(), issued);
        self.oldest_first.push_back(token.clone());
        if self.oldest_first.len() > REMEMBERED
            && let Some(forgotten) = self.oldest_first.pop_front()
        {
            self.issued.remove(&forgotten);
        }
        self.current.insert(key, token.clone());
        Grant {
            token,
            expires_in: LIFETIME,
        }
    }
}

fn has_token_shape(token: &str) -> bool {
    token.split_once('_').is_some_and(|(number, random)| {
        number.bytes().all(|byte| byte.is_ascii_digit()) && random.len() >= 64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_729_650_000);

    fn errcode(desk: &TokenDesk, token: &str, now: Timestamp) -> i64 {
        desk.check(Some(token), now)
            .err()
            .map_or(0, |refusal| refusal.errcode)
    }

    #[test]
    fn a_classic_call_kills_the_previous_token_after_five_minutes() {
        let mut desk = TokenDesk::default();
        let old = desk.classic("wx1", START).token;
        let new = desk.classic("wx1", START).token;
        assert_ne!(old, new);
        for (after, old_code, new_code) in [(299, 0, 0), (300, 40001, 0), (7200, 40001, 42001)] {
            let now = START.plus_seconds(after);
            assert_eq!(errcode(&desk, &old, now), old_code, "old after {after} s");
            assert_eq!(errcode(&desk, &new, now), new_code, "new after {after} s");
        }
    }

    #[test]
    fn the_stable_token_stays_the_same_and_rolls_in_its_last_five_minutes() {
        let mut desk = TokenDesk::default();
        let first = desk.stable("wx1", Refresh::WhenDue, START);
        let later = desk.stable("wx1", Refresh::WhenDue, START.plus_seconds(6_000));
        assert_eq!(
            later,
            Grant {
                token: first.token.clone(),
                expires_in: 1_200
            }
        );
        let now = START.plus_seconds(6_901);
        let rolled = desk.stable("wx1", Refresh::WhenDue, now);
        assert_ne!(rolled.token, first.token);
        assert_eq!(errcode(&desk, &first.token, now), 0);
        assert_eq!(
            errcode(&desk, &first.token, START.plus_seconds(7_200)),
            42001
        );
        assert_eq!(errcode(&desk, &rolled.token, START.plus_seconds(7_200)), 0);
    }

    #[test]
    fn forcing_kills_at_once_and_is_limited() {
        let mut desk = TokenDesk::default();
        let first = desk.stable("wx1", Refresh::WhenDue, START).token;
        let forced = desk.stable("wx1", Refresh::Forced, START).token;
        assert_eq!(errcode(&desk, &first, START), 40001);
        let too_soon = desk
            .stable("wx1", Refresh::Forced, START.plus_seconds(29))
            .token;
        assert_eq!(too_soon, forced);
        let mut current = forced;
        for time in 1..20 {
            let now = START.plus_seconds(30 * time);
            let next = desk.stable("wx1", Refresh::Forced, now).token;
            assert_ne!(next, current, "forced refresh {time}");
            current = next;
        }
        let used_up = desk
            .stable("wx1", Refresh::Forced, START.plus_seconds(1_000))
            .token;
        assert_eq!(used_up, current);
    }

    #[test]
    fn the_two_kinds_do_not_touch_each_other() {
        let mut desk = TokenDesk::default();
        let stable = desk.stable("wx1", Refresh::WhenDue, START).token;
        let classic = desk.classic("wx1", START).token;
        desk.stable("wx1", Refresh::Forced, START);
        desk.classic("wx1", START);
        assert_eq!(errcode(&desk, &classic, START), 0);
        assert_eq!(errcode(&desk, &stable, START), 40001);
    }

    #[test]
    fn unknown_tokens_are_refused_by_their_shape() {
        let desk = TokenDesk::default();
        assert_eq!(errcode(&desk, "garbage", START), 40014);
        assert_eq!(
            errcode(&desk, &format!("81_{}", "x".repeat(134)), START),
            40001
        );
        assert_eq!(errcode(&desk, "", START), 41001);
    }
}
