//! What an error code of the platform means for the message that met it.
//!
//! The rules are data: `table.rs` holds them, one row per code, and this file looks them up. The
//! same code can mean different things in different calls (40001: a wrong secret when asking for
//! a token, an outdated token anywhere else), so every look-up names the [`Api`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

mod class;
mod rules;
mod table;

pub use class::{Class, RetryPace, UnknownClassText, WaitFor};
pub use rules::Rules;

/// The call that an error code came back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `stable_token`.
    Token,
    /// `message/subscribe/send`.
    SubscribeSend,
    /// `invokecloudfunction`.
    CloudFunction,
    /// `jscode2session`.
    CodeToSession,
    /// `gettoken` of WeCom.
    WecomToken,
    /// `message/send` of WeCom.
    WecomSend,
    /// `agent/get` of WeCom.
    WecomAgent,
    /// `webhook/send` of a WeCom group robot.
    WecomRobot,
}

impl Api {
    /// Every call, in the order of the definition.
    pub const ALL: &'static [Self] = &[
        Self::Token,
        Self::SubscribeSend,
        Self::CloudFunction,
        Self::CodeToSession,
        Self::WecomToken,
        Self::WecomSend,
        Self::WecomAgent,
        Self::WecomRobot,
    ];

    /// The word for it in rules and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::SubscribeSend => "subscribe_send",
            Self::CloudFunction => "cloud_function",
            Self::CodeToSession => "code_to_session",
            Self::WecomToken => "wecom_token",
            Self::WecomSend => "wecom_send",
            Self::WecomAgent => "wecom_agent",
            Self::WecomRobot => "wecom_robot",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text that names no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no call: token, subscribe_send, cloud_function, code_to_session, wecom_token, wecom_send, wecom_agent or wecom_robot"
)]
pub struct UnknownApiText(String);

impl FromStr for Api {
    type Err = UnknownApiText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|api| api.as_str() == text);
        found
            .copied()
            .ok_or_else(|| UnknownApiText(text.to_owned()))
    }
}

/// Whether a code settles that the platform did not act on the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did not.
    Known,
    /// It may have: a repeat can deliver twice.
    Ambiguous,
}

/// What is broken beyond this one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlsoBroken {
    /// Nothing that would meet the next message to somebody else.
    Nothing,
    /// The recipient's binding: the openid or user id is not one of this app.
    Binding,
    /// The template: no message with it can be sent to anybody.
    Template,
    /// The page that messages of this route open.
    Page,
}

/// Whether a rule was written for its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleOrigin {
    /// It is in the table.
    Table,
    /// Somebody has set another class for it.
    Override,
    /// The table does not know the code; this is the safe default. Count these.
    UnknownCode,
}

/// How to treat one error code of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The platform's code.
    pub errcode: i64,
    /// What to do.
    pub class: Class,
    /// Whether the message may have gone out all the same.
    pub outcome: Outcome,
    /// What else is affected.
    pub also_broken: AlsoBroken,
    /// What the code says, in a few words.
    pub meaning: &'static str,
    /// What an operator should do; empty where nobody needs to do anything. Never empty for
    /// [`Class::Halt`]. To be shown by [`Rule::advice_on`].
    pub advice: &'static str,
    /// Whether the table knows the code.
    pub origin: RuleOrigin,
}

/// Stands in an advice for the address that the platform has seen.
const ADDRESS: &str = "{address}";

impl Rule {
    /// What an operator should do about a refusal with this text: where the advice is about this
    /// host's address, it is the one that the text names.
    #[must_use]
    pub fn advice_on(&self, errmsg: &str) -> String {
        let named = address_in(errmsg).unwrap_or("the address named in the error text");
        self.advice.replace(ADDRESS, named)
    }
}

/// The address in `…, from ip: 1.2.3.4, more info at …`.
fn address_in(errmsg: &str) -> Option<&str> {
    let (_, after) = errmsg.split_once("from ip: ")?;
    let address = after.split([',', ' ']).next()?;
    address.parse::<IpAddr>().is_ok().then_some(address)
}

/// The rule for a code. A code that the table does not know is tried again slowly: it may be a
/// new name for a passing trouble, and a repeat of a refused message harms nobody.
#[must_use]
pub fn rule(api: Api, errcode: i64) -> Rule {
    known_rules(api)
        .find(|rule| rule.errcode == errcode)
        .copied()
        .unwrap_or(Rule {
            errcode,
            class: Class::Retry(RetryPace::Slow),
            outcome: Outcome::Known,
            also_broken: AlsoBroken::Nothing,
            meaning: "unknown error code",
            advice: "look the code up in the platform's documentation and add a rule for it",
            origin: RuleOrigin::UnknownCode,
        })
}

/// All rules written for an API, in the order of the table.
pub fn known_rules(api: Api) -> impl Iterator<Item = &'static Rule> {
    let groups: &[&[Rule]] = match api {
        Api::Token => &[table::TOKEN, table::WITH_SECRET, table::ACCOUNT],
        Api::SubscribeSend => &[
            table::SUBSCRIBE_SEND,
            table::WITH_TOKEN,
            table::MALFORMED_REQUEST,
            table::ACCOUNT,
        ],
        Api::CloudFunction => &[
            table::CLOUD_FUNCTION,
            table::WITH_TOKEN,
            table::MALFORMED_REQUEST,
            table::ACCOUNT,
        ],
        Api::CodeToSession => &[
            table::CODE_TO_SESSION,
            table::WITH_SECRET,
            table::MALFORMED_REQUEST,
            table::ACCOUNT,
        ],
        Api::WecomToken => &[table::WECOM_TOKEN, table::WECOM],
        Api::WecomSend => &[table::WECOM_SEND, table::WECOM_WITH_TOKEN, table::WECOM],
        Api::WecomAgent => &[table::WECOM_AGENT, table::WECOM_WITH_TOKEN, table::WECOM],
        Api::WecomRobot => &[table::WECOM_ROBOT, table::WECOM],
    };
    groups.iter().copied().flatten()
}

#[cfg(test)]
mod tests;
