//! Scripted faults: what goes wrong, for which requests, how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Api;

/// A fault that waits for the requests it is meant for.
///
/// A fault stands before everything the platform checks, as a broken gateway would. Among several
/// that fit a request, the first scripted one is used.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) api: Option<Api>,
    pub(crate) matching: FaultMatch,
    pub(crate) times: Times,
    pub(crate) skip: u32,
    action: FaultAction,
    processing: Processing,
}

/// What a fault does to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// The answer is this code, with this text or the platform's usual one.
    Errcode {
        /// The code.
        errcode: i64,
        /// The text; one that has its platform's tail (`rid: `, `hint: [`) is sent as it stands.
        errmsg: Option<String>,
    },
    /// The request is processed and the true answer comes late.
    Delay(Duration),
    /// No answer, until the client goes away or the sandbox stops.
    Hang,
    /// The connection is reset before the first byte of the answer.
    ResetBeforeAnswer,
    /// The connection ends in the middle of the answer's body.
    ResetMidBody,
    /// Another HTTP status than 200, as a gateway would send it.
    HttpStatus {
        /// The status.
        status: u16,
        /// The body, as HTML.
        body: String,
    },
    /// HTTP 200 with this instead of the JSON.
    RawBody(String),
    /// The true answer, followed by blanks up to this many bytes.
    LongBody(usize),
    /// 302 to this address.
    Redirect(String),
    /// Every token issued so far expires, then the request is processed.
    ExpireTokens,
}

/// Which requests a fault is for, beside the endpoint; every given condition must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FaultMatch {
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        alias = "openid",
        alias = "userid"
    )]
    recipient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text_contains: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Left(u32),
    Always,
}

/// Whether the request takes effect although its answer is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processing {
    Performed,
    Skipped,
}

/// The part of a request that faults are chosen by.
pub(crate) struct Subject<'call> {
    pub(crate) api: Api,
    pub(crate) recipient: Option<&'call str>,
    pub(crate) template_id: Option<&'call str>,
    pub(crate) body: &'call [u8],
}

/// A fault that has struck.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) action: FaultAction,
    pub(crate) processing: Processing,
}

impl Fault {
    /// Strikes the next request to `api`, once.
    pub fn on(api: Api, action: FaultAction) -> Self {
        Self {
            api: Some(api),
            ..Self::on_any(action)
        }
    }

    /// Strikes the next request to any endpoint, once.
    pub fn on_any(action: FaultAction) -> Self {
        let processing = match action {
            FaultAction::Delay(_)
            | FaultAction::ResetMidBody
            | FaultAction::LongBody(_)
            | FaultAction::ExpireTokens => Processing::Performed,
            FaultAction::Errcode { .. }
            | FaultAction::Hang
            | FaultAction::ResetBeforeAnswer
            | FaultAction::HttpStatus { .. }
            | FaultAction::RawBody(_)
            | FaultAction::Redirect(_) => Processing::Skipped,
        };
        let matching = FaultMatch::default();
        Self {
            api: None,
            matching,
            times: Times::Left(1),
            skip: 0,
            action,
            processing,
        }
    }

    /// An error answer with the platform's usual text.
    pub fn errcode(api: Api, errcode: i64) -> Self {
        Self::on(
            api,
            FaultAction::Errcode {
                errcode,
                errmsg: None,
            },
        )
    }

    /// Strikes this often instead of once.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Times::Left(times);
        self
    }

    /// Strikes until it is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = Times::Always;
        self
    }

    /// Lets this many fitting requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Only for messages to this user of a mini program.
    #[must_use]
    pub fn for_openid(self, openid: &str) -> Self {
        self.for_recipient(openid)
    }

    /// Only for messages to this recipient: an openid, a WeCom userid that is alone or among
    /// others in `touser`, or the key of a robot.
    #[must_use]
    pub fn for_recipient(mut self, recipient: &str) -> Self {
        self.matching.recipient = Some(recipient.to_owned());
        self
    }

    /// Only for messages of this template.
    #[must_use]
    pub fn for_template(mut self, template_id: &str) -> Self {
        self.matching.template_id = Some(template_id.to_owned());
        self
    }

    /// Only for requests whose raw body contains this.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.matching.text_contains = Some(text.to_owned());
        self
    }

    /// The request takes effect, only its answer is broken: a truly unknown outcome.
    #[must_use]
    pub fn processed(mut self) -> Self {
        self.processing = Processing::Performed;
        self
    }

    /// The request has no effect.
    #[must_use]
    pub fn unprocessed(mut self) -> Self {
        self.processing = Processing::Skipped;
        self
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        let FaultMatch {
            recipient,
            template_id,
            text_contains,
        } = &self.matching;
        self.api.is_none_or(|api| api == subject.api)
            && recipient.as_deref().is_none_or(|wanted| {
                let given = subject.recipient.unwrap_or_default();
                given.split('|').any(|one| one == wanted)
            })
            && template_id
                .as_deref()
                .is_none_or(|wanted| subject.template_id == Some(wanted))
            && text_contains
                .as_deref()
                .is_none_or(|text| String::from_utf8_lossy(subject.body).contains(text))
    }

    fn to_json(&self, id: u64) -> Value {
        json!({
            "id": id,
            "api": self.api.map_or(json!("any"), |api| json!(api)),
            "match": self.matching,
            "times": match self.times {
                Times::Left(left) => json!(left),
                Times::Always => json!("always"),
            },
            "skip": self.skip,
            "action": self.action.name(),
            "processed": self.processing == Processing::Performed,
        })
    }
}

impl FaultAction {
    /// The name it has in the control API.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Errcode { .. } => "errcode",
            Self::Delay(_) => "delayMs",
            Self::Hang => "hang",
            Self::ResetBeforeAnswer => "resetBeforeAnswer",
            Self::ResetMidBody => "resetMidBody",
            Self::HttpStatus { .. } => "httpStatus",
            Self::RawBody(_) => "rawBody",
            Self::LongBody(_) => "longBody",
            Self::Redirect(_) => "redirect",
            Self::ExpireTokens => "expireTokens",
        }
    }
}

/// The faults that are still to strike, in the order they were scripted.
#[derive(Debug, Default)]
pub(crate) struct FaultScript {
    waiting: Vec<(u64, Fault)>,
    last_id: u64,
}

impl FaultScript {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.waiting.push((self.last_id, fault));
        self.last_id
    }

    /// Removes one; `false` when it is not there (any more).
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(known, _)| *known != id);
        self.waiting.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn listing(&self) -> Vec<Value> {
        self.waiting
            .iter()
            .map(|(id, fault)| fault.to_json(*id))
            .collect()
    }

    /// The fault that strikes this request, if any; used-up ones disappear.
    pub(crate) fn strike(&mut self, subject: &Subject<'_>) -> Option<Strike> {
        for at in 0..self.waiting.len() {
            let fault = &mut self.waiting[at].1;
            if !fault.fits(subject) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let strike = Strike {
                action: fault.action.clone(),
                processing: fault.processing,
            };
            match &mut fault.times {
                Times::Left(left) if *left > 1 => *left -= 1,
                Times::Left(_) => {
                    self.waiting.remove(at);
                }
                Times::Always => {}
            }
            return Some(strike);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(script: &mut FaultScript, requests: usize) -> Vec<i64> {
        let subject = Subject {
            api: Api::SubscribeSend,
            recipient: Some("o"),
            template_id: None,
            body: b"{}",
        };
        (0..requests)
            .map(
                |_| match script.strike(&subject).map(|strike| strike.action) {
                    Some(FaultAction::Errcode { errcode, .. }) => errcode,
                    _ => 0,
                },
            )
            .collect()
    }

    #[test]
    fn faults_strike_in_order_after_their_skips_and_as_often_as_asked() {
        let mut script = FaultScript::default();
        script.add(Fault::errcode(Api::SubscribeSend, 1).skip(1).times(2));
        script.add(
            Fault::errcode(Api::SubscribeSend, 2)
                .for_openid("other")
                .always(),
        );
        script.add(Fault::errcode(Api::SubscribeSend, 3));
        script.add(Fault::errcode(Api::Token, 4).always());
        assert_eq!(codes(&mut script, 5), [3, 1, 1, 0, 0]);
        assert_eq!(script.listing().len(), 2);
    }
}
