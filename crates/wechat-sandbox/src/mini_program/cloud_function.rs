//! Deployed cloud functions, by environment and name.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A function and where it is deployed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudFunction {
    /// Id of the cloud environment.
    pub env: String,
    /// Name of the function.
    pub name: String,
    /// What it does.
    pub behaviour: Behaviour,
}

impl CloudFunction {
    /// The function that tells a member of staff about an assigned customer.
    pub fn assign_notify(env: &str, name: &str) -> Self {
        Self {
            env: env.to_owned(),
            name: name.to_owned(),
            behaviour: Behaviour::AssignNotify,
        }
    }
}

/// What a function does when it is invoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Behaviour {
    /// Answers `sendCustomerAssignNotify` events by sending a message, anything else with `null`.
    AssignNotify,
    /// Returns its event.
    Echo,
    /// Returns this text as it stands, JSON or not.
    Returns(String),
    /// Throws: -504002.
    Throws,
    /// Runs into its time limit: -504003.
    TimesOut {
        /// The limit; the platform's default is 3,000 ms.
        after_millis: u64,
    },
}

/// What came of an invocation.
#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    /// A message to somebody, to be recorded.
    Notify(Notification),
    /// The function returned this text.
    Returned(String),
    Threw,
    TimedOut(Duration),
}

/// A message that the function is asked to send.
#[derive(Debug, PartialEq)]
pub(crate) struct Notification {
    pub(crate) openid: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) data: Value,
}

/// Why an invocation found nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Environment,
    Function,
}

/// Everything that is deployed, and what the demo function has already sent.
#[derive(Debug, Default)]
pub(crate) struct CloudFunctions {
    deployed: HashMap<String, HashMap<String, Behaviour>>,
    sent_message_ids: HashSet<String>,
}

impl CloudFunctions {
    pub(crate) fn deploy(&mut self, function: CloudFunction) {
        self.deployed
            .entry(function.env)
            .or_default()
            .insert(function.name, function.behaviour);
    }

    pub(crate) fn invoke(
        &self,
        env: &str,
        name: &str,
        event: Value,
    ) -> Result<Invocation, Missing> {
        let functions = self.deployed.get(env).ok_or(Missing::Environment)?;
        Ok(match functions.get(name).ok_or(Missing::Function)? {
            Behaviour::AssignNotify => assign_notify(event),
            Behaviour::Echo => Invocation::Returned(json!({ "event": event }).to_string()),
            Behaviour::Returns(text) => Invocation::Returned(text.clone()),
            Behaviour::Throws => Invocation::Threw,
            Behaviour::TimesOut { after_millis } => {
                Invocation::TimedOut(Duration::from_millis(*after_millis))
            }
        })
    }

    /// Notes a message id; `true` when it was sent before.
    pub(crate) fn sent_before(&mut self, message_id: Option<&str>) -> bool {
        message_id.is_some_and(|id| !self.sent_message_ids.insert(id.to_owned()))
    }
}

fn assign_notify(mut event: Value) -> Invocation {
    if event.get("type").and_then(Value::as_str) != Some("sendCustomerAssignNotify") {
        return Invocation::Returned("null".to_owned());
    }
    let message_id = match event.get("messageId") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        Some(_) | None => None,
    };
    let data = event
        .get_mut("notificationData")
        .map(Value::take)
        .unwrap_or_default();
    let openid = data
        .get("openid")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Invocation::Notify(Notification {
        openid,
        message_id,
        data,
    })
}
