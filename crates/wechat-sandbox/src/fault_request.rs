//! Faults as the control API takes them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::fault::{Fault, FaultAction, FaultMatch, Times};

/// The longest answer: it is made in memory.
const LONG_BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A fault to be scripted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultRequest {
    api: String,
    #[serde(default, rename = "match")]
    matching: FaultMatch,
    #[serde(default)]
    times: Option<Value>,
    #[serde(default)]
    skip: u32,
    action: ActionRequest,
}

/// One of these, and `processed` beside it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActionRequest {
    errcode: Option<i64>,
    errmsg: Option<String>,
    delay_ms: Option<u64>,
    hang: Option<bool>,
    reset_before_answer: Option<bool>,
    reset_mid_body: Option<bool>,
    http_status: Option<u16>,
    body: Option<String>,
    raw_body: Option<String>,
    long_body: Option<usize>,
    redirect: Option<String>,
    expire_tokens: Option<bool>,
    processed: Option<bool>,
}

impl TryFrom<FaultRequest> for Fault {
    type Error = String;

    fn try_from(request: FaultRequest) -> Result<Self, String> {
        if request
            .action
            .long_body
            .is_some_and(|bytes| bytes > LONG_BODY_BYTES_MAX)
        {
            return Err(format!("longBody: at most {LONG_BODY_BYTES_MAX} bytes"));
        }
        let processed = request.action.processed;
        let mut fault = Self::on_any(request.action.into_action()?);
        if request.api != "any" {
            let api = serde_json::from_value(Value::String(request.api))
                .map_err(|error| format!("api: {error}, or any"))?;
            fault.api = Some(api);
        }
        fault.matching = request.matching;
        fault.skip = request.skip;
        fault.times = match request.times {
            None => Times::Left(1),
            Some(Value::String(text)) if text == "always" => Times::Always,
            Some(number) => number
                .as_u64()
                .and_then(|times| u32::try_from(times).ok())
                .filter(|times| *times > 0)
                .map(Times::Left)
                .ok_or("times: a number from 1, or always")?,
        };
        Ok(match processed {
            Some(true) => fault.processed(),
            Some(false) => fault.unprocessed(),
            None => fault,
        })
    }
}

impl ActionRequest {
    fn into_action(self) -> Result<FaultAction, String> {
        let flag = |given: Option<bool>, action| given.unwrap_or_default().then_some(action);
        let mut actions: Vec<FaultAction> = [
            self.errcode.map(|errcode| FaultAction::Errcode {
                errcode,
                errmsg: self.errmsg,
            }),
            self.delay_ms
                .map(|millis| FaultAction::Delay(Duration::from_millis(millis))),
            flag(self.hang, FaultAction::Hang),
            flag(self.reset_before_answer, FaultAction::ResetBeforeAnswer),
            flag(self.reset_mid_body, FaultAction::ResetMidBody),
            self.http_status.map(|status| {
                let body = self
                    .body
                    .unwrap_or_else(|| "<html>Bad Gateway</html>".to_owned());
                FaultAction::HttpStatus { status, body }
            }),
            self.raw_body.map(FaultAction::RawBody),
            self.long_body.map(FaultAction::LongBody),
            self.redirect.map(FaultAction::Redirect),
            flag(self.expire_tokens, FaultAction::ExpireTokens),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (actions.pop(), actions.is_empty()) {
            (Some(action), true) => Ok(action),
            _ => Err(
                "action: exactly one of errcode, delayMs, hang, resetBeforeAnswer, \
                      resetMidBody, httpStatus, rawBody, longBody, redirect, expireTokens"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_must_be_exactly_one() {
        let cases = [
            (r#"{"api":"token","action":{"hang":true}}"#, true),
            (
                r#"{"api":"any","times":"always","action":{"httpStatus":502,"body":"x"}}"#,
                true,
            ),
            (r#"{"api":"any","action":{"longBody":100000}}"#, true),
            (r#"{"api":"any","action":{"longBody":100000000}}"#, false),
            (r#"{"api":"token","action":{}}"#, false),
            (
                r#"{"api":"token","action":{"hang":true,"delayMs":1}}"#,
                false,
            ),
            (r#"{"api":"nothing","action":{"hang":true}}"#, false),
            (r#"{"api":"token","times":0,"action":{"hang":true}}"#, false),
        ];
        for (text, taken) in cases {
            let request: FaultRequest = serde_json::from_str(text).unwrap();
            assert_eq!(Fault::try_from(request).is_ok(), taken, "{text}");
        }
    }
}
