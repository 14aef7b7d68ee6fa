//! Login codes, as `wx.login` would hand them to a mini program.

use std::collections::HashMap;

use rand::distr::{Alphanumeric, SampleString};

use crate::clock::Timestamp;
use crate::refusal::Refusal;

/// Life of a code, in seconds.
const LIFETIME: u64 = 300;

#[derive(Debug)]
struct SessionCode {
    appid: String,
    openid: String,
    expires_at: Timestamp,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Fresh,
    Used,
}

/// All codes that were made.
#[derive(Debug, Default)]
pub(crate) struct SessionCodes {
    by_code: HashMap<String, SessionCode>,
}

impl SessionCodes {
    /// Makes a code for a user of an app.
    pub(crate) fn make(&mut self, appid: String, openid: String, now: Timestamp) -> String {
        let code = format!("0{}", Alphanumeric.sample_string(&mut rand::rng(), 31));
        let expires_at = now.plus_seconds(LIFETIME);
        let made = SessionCode {
            appid,
            openid,
            expires_at,
            state: State::Fresh,
        };
        self.by_code.insert(code.clone(), made);
        code
    }

    /// Exchanges a code for the openid; works once.
    pub(crate) fn take(
        &mut self,
        code: &str,
        appid: &str,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let known = self
            .by_code
            .get_mut(code)
            .filter(|known| known.appid == appid && now < known.expires_at)
            .ok_or_else(|| Refusal::new(40029))?;
        if known.state == State::Used {
            return Err(Refusal::new(40163));
        }
        known.state = State::Used;
        Ok(known.openid.clone())
    }
}
