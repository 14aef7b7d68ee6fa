//! The calls of the Mini Program platform: `subscribe/send` and `jscode2session`.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::call_error::CallError;
use crate::client::{ApiClient, Errcode};
use crate::token::{AccessToken, TokenSlot, TokenSource};

/// One Mini Program: its credentials and its connection to the platform.
#[derive(Debug, Clone)]
pub struct MiniProgram {
    client: ApiClient,
    appid: String,
    secret: SecretString,
}

/// A message to one recipient. The recipient must have subscribed to the template.
#[derive(Clone, Serialize)]
pub struct SubscribeMessage<'a> {
    /// The recipient's openid in this Mini Program.
    pub touser: &'a str,
    /// Id of a template of this account.
    pub template_id: &'a str,
    /// Page of the *released* version that the card opens, with query; without one the card
    /// cannot be tapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<&'a str>,
    /// Field key (`thing1`) → text, for every field of the template. See
    /// [`field::clamp`](crate::field::clamp) for what the texts may be.
    #[serde(serialize_with = "each_as_value_object")]
    pub data: &'a BTreeMap<String, String>,
    /// Which version of the Mini Program the card opens.
    pub miniprogram_state: MiniProgramState,
    /// The language of the card's own texts.
    pub lang: Lang,
}

/// Which version of the Mini Program a card opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MiniProgramState {
    /// The developer's preview.
    Developer,
    /// The trial version.
    Trial,
    /// The released one.
    #[default]
    Formal,
}

/// The language of a card's own texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Lang {
    /// Simplified Chinese.
    #[default]
    #[serde(rename = "zh_CN")]
    SimplifiedChinese,
    /// English.
    #[serde(rename = "en_US")]
    English,
    /// Traditional Chinese as in Hong Kong.
    #[serde(rename = "zh_HK")]
    HongKongChinese,
    /// Traditional Chinese as in Taiwan.
    #[serde(rename = "zh_TW")]
    TaiwanChinese,
}

/// The platform took a message. It has not been shown yet: the outcome comes as a
/// `subscribe_msg_sent_event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The platform's id of the message, equal to `MsgID` of the later event. Not every account
    /// gets one. Decimal text of a 64-bit integer that does not fit a float.
    pub msgid: Option<String>,
}

/// Who a login code belongs to. The session key is dropped on arrival: nothing here needs it, and
/// it must not reach a client. `Debug` shows no id.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The user's id in this Mini Program.
    pub openid: String,
    /// The user's id across the apps of one open-platform account, if the app is bound to one.
    pub unionid: Option<String>,
}

#[derive(Deserialize)]
struct SendAnswer {
    #[serde(default)]
    msgid: Value,
}

#[derive(Deserialize)]
struct SessionAnswer {
    openid: String,
    #[serde(default)]
    unionid: Option<String>,
}

impl MiniProgram {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(client: ApiClient, appid: impl Into<String>, secret: SecretString) -> Self {
        Self {
            client,
            appid: appid.into(),
            secret,
        }
    }

    /// The app's id.
    #[must_use]
    pub fn appid(&self) -> &str {
        &self.appid
    }

    /// A new, empty token slot for this app. Make one per process and share it.
    #[must_use]
    pub fn token_slot(&self) -> TokenSlot {
        let source = TokenSource::StableToken {
            appid: self.appid.clone(),
            secret: self.secret.clone(),
        };
        TokenSlot::new(self.client.clone(), source)
    }

    /// Sends one message. The platform has no idempotency key: a repeat after
    /// [`CallError::NoAnswer`] may arrive twice, or use up a second one-time subscription.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::SubscribeSend`.
    pub async fn send_subscribe_message(
        &self,
        token: &AccessToken,
        message: &SubscribeMessage<'_>,
    ) -> Result<Accepted, CallError> {
        let query = [("access_token", token.expose())];
        let answer = self
            .client
            .post("/cgi-bin/message/subscribe/send", &query, message)
            .await?;
        let answer: SendAnswer = answer.into_success(Errcode::Required)?;
        Ok(Accepted {
            msgid: message_id(&answer.msgid),
        })
    }

    /// Exchanges the code of `wx.login` (valid 5 minutes, once) for the user's ids.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::CodeToSession`.
    pub async fn code_to_session(&self, code: &str) -> Result<Session, CallError> {
        let query = [
            ("appid", self.appid.as_str()),
            ("secret", self.secret.expose_secret()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ];
        let answer = self.client.get("/sns/jscode2session", &query).await?;
        let answer: SessionAnswer = answer.into_success(Errcode::OmittedOnSuccess)?;
        let unionid = answer.unionid.filter(|unionid| !unionid.is_empty());
        Ok(Session {
            openid: answer.openid,
            unionid,
        })
    }
}

impl fmt::Debug for SubscribeMessage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SubscribeMessage")
            .field("template_id", &self.template_id)
            .field("fields", &self.data.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

/// `{"thing1":{"value":"…"}}`: the platform wants every text wrapped, and always as a string.
fn each_as_value_object<S: Serializer>(
    data: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct FieldValue<'a> {
        value: &'a str,
    }
    let mut map = serializer.serialize_map(Some(data.len()))?;
    for (key, value) in data {
        map.serialize_entry(key, &FieldValue { value })?;
    }
    map.end()
}

/// An id in a form we do not know is no reason to doubt an acceptance: it is left out.
fn message_id(msgid: &Value) -> Option<String> {
    match msgid {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
