//! `message/subscribe/send`.
//!
//! The platform does not document the order of its checks; this one is: method, token, JSON,
//! recipient, template, data, page, concurrency, sensitive words, subscription.

use serde_json::Value;

use crate::call::Call;
use crate::clock::Timestamp;
use crate::message::{Delivery, Envelope, Repetition, raw};
use crate::mini_program::MiniProgram;
use crate::mini_program::app::{App, MsgidMode, QuotaMode};
use crate::refusal::Refusal;
use crate::world::{Handling, Place, ok};

impl MiniProgram {
    /// Checks and delivers one subscribe message.
    pub(crate) fn subscribe_send(
        &mut self,
        call: &mut Call,
        handling: &mut Handling<'_>,
    ) -> Result<String, Refusal> {
        let now = handling.now;
        let appid = self.authorised_app(call, now)?;
        let body = call.object()?;
        let openid = call
            .text_field("touser")
            .filter(|openid| self.belongs(openid, &appid))
            .ok_or_else(|| Refusal::new(40003))?
            .to_owned();
        let template_id = call
            .text_field("template_id")
            .unwrap_or_default()
            .to_owned();
        self.templates
            .get(&template_id)
            .filter(|owned| owned.appid == appid)
            .ok_or_else(|| Refusal::new(40037))?
            .check(body.get("data"))?;
        let page = call.text_field("page").map(str::to_owned);
        let app = &self.account(&appid)?.app;
        if page.as_deref().is_some_and(|page| !has_page(app, page)) {
            return Err(Refusal::new(41030));
        }
        let hits_sensitive_word = body
            .get("data")
            .is_some_and(|data| contains_word(data, &app.sensitive_words));
        let (quota, msgid) = (app.quota, app.msgid);
        if let Some(recipient) = call.recipient() {
            if !handling.in_flight.occupy(&recipient) {
                return Err(Refusal::new(43108));
            }
            handling.place = Place::Taken;
        }
        if hits_sensitive_word {
            return Err(Refusal::new(45168));
        }
        let allowed = match quota {
            QuotaMode::Ledger => self.ledger.consume(&openid, &template_id),
            QuotaMode::Unlimited => !self.ledger.get(&openid, &template_id).rejected,
        };
        if !allowed {
            return Err(Refusal::new(43101));
        }
        let msgid = match msgid {
            MsgidMode::Included => Some(msgid_of(now, handling.journal.accepted() + 1)),
            MsgidMode::Omitted => None,
        };
        let data = call
            .take_json()
            .get_mut("data")
            .map(Value::take)
            .unwrap_or_default();
        let delivery = Delivery {
            api: call.api,
            envelope: Envelope::MiniProgram {
                appid,
                openid,
                template_id: Some(template_id),
                page,
                msgid,
                message_id: None,
            },
            data: raw(&data),
            repeat: Repetition::ByContent,
            kept_back: None,
        };
        handling.journal.deliver(delivery, now);
        Ok(match msgid {
            Some(msgid) => format!(r#"{{"errcode":0,"errmsg":"ok","msgid":{msgid}}}"#),
            None => ok(),
        })
    }
}

/// A page is compared without its query and leading slash.
fn has_page(app: &App, page: &str) -> bool {
    let path = page
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_start_matches('/');
    app.pages.as_ref().is_none_or(|pages| {
        pages
            .iter()
            .any(|known| known.trim_start_matches('/') == path)
    })
}

fn contains_word(data: &Value, words: &[String]) -> bool {
    let Some(data) = data.as_object().filter(|_| !words.is_empty()) else {
        return false;
    };
    data.values()
        .filter_map(|entry| entry.get("value").and_then(Value::as_str))
        .any(|value| words.iter().any(|word| value.contains(word.as_str())))
}

/// Ascending, odd and above 2^60, so that a client which reads it as a double loses its last
/// digits.
fn msgid_of(now: Timestamp, number: u64) -> u64 {
    (now.millis() << 20) | ((number << 1) & 0xf_ffff) | 1
}
