//! `invokecloudfunction`: delivery through a function in the app's cloud environment.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::call_error::CallError;
use crate::client::{ApiClient, Errcode};
use crate::redact::redact_and_shorten;
use crate::token::AccessToken;

/// Calls cloud functions over HTTP. The platform gives a function 5 s when it is called this way.
#[derive(Debug, Clone)]
pub struct CloudFunctions {
    client: ApiClient,
}

/// What a function that ran to its end said.
///
/// The platform's `errcode` 0 means only that the function ran. Whether it delivered is in its
/// return value, which arrives as JSON text inside the JSON answer:
///
/// | return value | answer |
/// |---|---|
/// | `{"success":true,…}` | `Succeeded` |
/// | `{"success":false,"message":…}` | `FunctionRefused` |
/// | no boolean `success`, but `errCode`/`errcode` 0 (the result of a cloud call, handed on) | `Succeeded` |
/// | no boolean `success`, but another `errCode`/`errcode` | `FunctionRefused` with that code |
/// | nothing, `null`, not JSON, not an object, an object with none of these | `Unclear` |
///
/// `Unclear` is not taken for a success, because then a function that lost its `return` would
/// mark every message as sent; and not for a refusal, because the message may have gone out. Treat
/// it like an answer that never came: the function gets the message id and can tell a repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudFunctionAnswer {
    /// The function says that it did it.
    Succeeded,
    /// The function says that it did not.
    FunctionRefused {
        /// Its `message`, `error`, `errMsg` or `errmsg`, redacted; or that it gave none.
        message: String,
        /// The platform's code, when the function handed on the failed result of a cloud call.
        /// `subscribeMessage.send` uses the codes of `Api::SubscribeSend`.
        errcode: Option<i64>,
    },
    /// The function ran, but did not say whether it did it.
    Unclear {
        /// What it returned instead; never the value itself.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
struct InvocationAnswer {
    #[serde(default)]
    resp_data: Value,
}

impl CloudFunctions {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(client: ApiClient) -> Self {
        Self { client }
    }

    /// Runs the function `name` of the environment `env` with `event` as its argument.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::CloudFunction`. A function that threw is such an
    /// error (-504002); one that returned a failure is a [`CloudFunctionAnswer::FunctionRefused`].
    pub async fn invoke(
        &self,
        token: &AccessToken,
        env: &str,
        name: &str,
        event: &Value,
    ) -> Result<CloudFunctionAnswer, CallError> {
        let query = [
            ("access_token", token.expose()),
            ("env", env),
            ("name", name),
        ];
        let answer = self
            .client
            .post("/tcb/invokecloudfunction", &query, event)
            .await?;
        let answer: InvocationAnswer = answer.into_success(Errcode::Required)?;
        Ok(interpret(&answer.resp_data))
    }
}

fn interpret(resp_data: &Value) -> CloudFunctionAnswer {
    let returned = match resp_data.as_str() {
        Some(text) if text.trim().is_empty() => Value::Null,
        Some(text) => match serde_json::from_str(text) {
            Ok(returned) => returned,
            Err(_) => {
                return CloudFunctionAnswer::Unclear {
                    reason: "returned text, not JSON",
                };
            }
        },
        None => resp_data.clone(),
    };
    let returned = match &returned {
        Value::Object(returned) => returned,
        Value::Null => {
            return CloudFunctionAnswer::Unclear {
                reason: "returned nothing",
            };
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return CloudFunctionAnswer::Unclear {
                reason: "did not return an object",
            };
        }
    };
    let errcode = ["errCode", "errcode"]
        .iter()
        .find_map(|name| returned.get(*name)?.as_i64());
    match (returned.get("success").and_then(Value::as_bool), errcode) {
        (Some(true), _) | (None, Some(0)) => CloudFunctionAnswer::Succeeded,
        (Some(false), _) | (None, Some(_)) => CloudFunctionAnswer::FunctionRefused {
            message: refusal_message(returned),
            errcode: errcode.filter(|errcode| *errcode != 0),
        },
        (None, None) => CloudFunctionAnswer::Unclear {
            reason: "returned no success field",
        },
    }
}

/// The first text among the names that functions use; an error object holds its own.
fn refusal_message(returned: &Map<String, Value>) -> String {
    ["message", "error", "errMsg", "errmsg"]
        .iter()
        .filter_map(|name| returned.get(*name))
        .find_map(|value| match value {
            Value::String(text) if !text.trim().is_empty() => Some(redact_and_shorten(text.trim())),
            Value::Object(nested) if !nested.is_empty() => Some(refusal_message(nested)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        })
        .unwrap_or_else(|| "the cloud function gave no reason".to_owned())
}

#[cfg(test)]
mod tests;
