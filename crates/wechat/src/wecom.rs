//! An application of a WeCom corporation: `message/send` and `agent/get`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call_error::CallError;
use crate::client::{ApiClient, Errcode};
use crate::token::{AccessToken, TokenSlot, TokenSource};

mod content;

pub use content::{AppContent, AppLink, markdown_link};

/// Where WeCom lives.
pub const WECOM_BASE_URL: &str = "https://qyapi.weixin.qq.com";

/// Names every member that the application is visible to, where user ids stand otherwise.
pub const EVERYBODY: &str = "@all";

/// User ids that one message may name.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The longest time for which WeCom recognises a message that was sent before.
const DUPLICATES_KNOWN_FOR_SECONDS: u32 = 4 * 60 * 60;

/// One application of one corporation: its credentials and its connection to WeCom.
#[derive(Debug, Clone)]
pub struct WecomApp {
    client: ApiClient,
    corpid: String,
    agentid: u32,
    secret: SecretString,
}

/// WeCom took a message, perhaps not for everybody: `errcode` is 0 as long as one recipient is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppAcceptance {
    /// WeCom's id of the message; with it a message can be recalled.
    pub msgid: Option<String>,
    /// Recipients who do not exist, or whom the application is not visible to. WeCom answers ids in
    /// lower case, however they were written.
    pub invalid_users: Vec<String>,
    /// Recipients who exist and have no licence. In lower case as well.
    pub unlicensed_users: Vec<String>,
}

/// What WeCom says of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Whether it is in use.
    pub state: AgentState,
}

/// Whether an application is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It is.
    On,
    /// An administrator has switched it off.
    Off,
}

/// A message of an application as WeCom takes it. The fields keep their order, so that the same message
/// is the same bytes.
#[derive(Serialize)]
pub struct AppMessage<'a> {
    touser: &'a str,
    agentid: u32,
    #[serde(flatten)]
    content: &'a AppContent,
    enable_duplicate_check: u8,
    duplicate_check_interval: u32,
}

impl<'a> AppMessage<'a> {
    /// To user ids joined by `|`, at most [`RECIPIENTS_MAX`], or to [`EVERYBODY`], in the name of an
    /// application.
    #[must_use]
    pub fn new(touser: &'a str, agentid: u32, content: &'a AppContent) -> Self {
        Self {
            touser,
            agentid,
            content,
            enable_duplicate_check: 1,
            duplicate_check_interval: DUPLICATES_KNOWN_FOR_SECONDS,
        }
    }
}

#[derive(Deserialize)]
struct SendAnswer {
    #[serde(default)]
    msgid: Value,
    #[serde(default)]
    invaliduser: Value,
    #[serde(default)]
    unlicenseduser: Value,
}

#[derive(Deserialize)]
struct AgentAnswer {
    #[serde(default)]
    name: String,
    /// 1 for an application that is switched off.
    #[serde(default)]
    close: Value,
}

impl WecomApp {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(
        client: ApiClient,
        corpid: impl Into<String>,
        agentid: u32,
        secret: SecretString,
    ) -> Self {
        Self {
            client,
            corpid: corpid.into(),
            agentid,
            secret,
        }
    }

    /// A new, empty token slot for this application. Make one per process and share it.
    #[must_use]
    pub fn token_slot(&self) -> TokenSlot {
        let source = TokenSource::CorpToken {
            corpid: self.corpid.clone(),
            secret: self.secret.clone(),
        };
        TokenSlot::new(self.client.clone(), source)
    }

    /// Sends one message to user ids joined by `|`, at most [`RECIPIENTS_MAX`], or to [`EVERYBODY`].
    ///
    /// WeCom does not show a message again that it took within the last 4 hours: it compares the whole
    /// request. The same words to the same recipients are one message then, unless [`AppLink`] tells
    /// them apart.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::WecomSend`.
    pub async fn send(
        &self,
        token: &AccessToken,
        touser: &str,
        content: &AppContent,
    ) -> Result<AppAcceptance, CallError> {
        let query = [("access_token", token.expose())];
        let request = AppMessage::new(touser, self.agentid, content);
        let answer = self
            .client
            .post("/cgi-bin/message/send", &query, &request)
            .await?;
        let answer: SendAnswer = answer.into_success(Errcode::Required)?;
        Ok(AppAcceptance {
            msgid: answer.msgid.as_str().map(str::to_owned),
            invalid_users: user_ids(&answer.invaliduser),
            unlicensed_users: user_ids(&answer.unlicenseduser),
        })
    }

    /// Asks what WeCom knows of this application. Sends nothing.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::WecomAgent`.
    pub async fn agent(&self, token: &AccessToken) -> Result<Agent, CallError> {
        let agentid = self.agentid.to_string();
        let query = [("access_token", token.expose()), ("agentid", &agentid)];
        let answer = self.client.get("/cgi-bin/agent/get", &query).await?;
        let answer: AgentAnswer = answer.into_success(Errcode::Required)?;
        Ok(Agent {
            name: answer.name,
            state: match answer.close.as_i64() {
                Some(1) => AgentState::Off,
                _ => AgentState::On,
            },
        })
    }
}

/// A list in a form that we do not know is no reason to doubt an acceptance: it names nobody.
fn user_ids(joined: &Value) -> Vec<String> {
    let ids = joined.as_str().unwrap_or_default().split('|');
    ids.map(str::trim)
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
