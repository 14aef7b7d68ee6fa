//! Client of the WeChat Mini Program platform and of WeCom: tokens, the calls, what their error codes
//! mean and what their message fields accept. It knows no database, no outbox and no server.
//!
//! | file | what it holds |
//! |---|---|
//! | `client` | [`ApiClient`]: one HTTP exchange with a platform, its time-outs and size limits |
//! | `call_error` | [`CallError`]: the three ways a call can fail, told apart by what may have been delivered |
//! | `redact` | [`redact`]: masks tokens, openids and phone numbers in texts that are kept |
//! | [`token`] | [`TokenSlot`]: the cached access token of one app, fetched once for all callers |
//! | [`mini_program`] | [`MiniProgram`]: `subscribe/send` and `jscode2session` |
//! | [`cloud_function`] | [`CloudFunctions`]: `invokecloudfunction` |
//! | [`wecom`] | [`WecomApp`]: `message/send` and `agent/get` of a WeCom application |
//! | [`robot`] | [`WecomRobot`]: the webhook of a WeCom group robot |
//! | `length` | how long a text is for a platform, and as much of it as fits |
//! | [`errcode`] | the table "error code → what to do", per API |
//! | [`field`] | the field types of subscribe messages and their limits |
//!
//! A delivery uses them in this order: [`field::clamp`] the values, [`TokenSlot::get`] a token,
//! [`MiniProgram::send_subscribe_message`], and on [`CallError::Refused`] ask [`errcode::rule`].
//! When the rule's class is [`errcode::Class::Token`], call [`TokenSlot::expire_if_current`], get
//! a token again and send once more, but never a third time. A message of a WeCom application goes the
//! same way with [`AppContent`] and [`WecomApp::send`]; a robot needs no token.

mod call_error;
mod client;
pub mod cloud_function;
pub mod errcode;
pub mod field;
mod length;
pub mod mini_program;
mod redact;
pub mod robot;
pub mod token;
pub mod wecom;

#[cfg(test)]
mod test_peer;

pub use call_error::CallError;
pub use client::{ApiClient, ApiClientConfig, ConfigError, DEFAULT_BASE_URL};
pub use cloud_function::{CloudFunctionAnswer, CloudFunctions};
pub use length::TooLong;
pub use mini_program::{Accepted, Lang, MiniProgram, MiniProgramState, Session, SubscribeMessage};
pub use redact::redact;
pub use robot::{RobotContent, WecomRobot};
pub use token::{AccessToken, Expiry, TokenError, TokenSlot, TokenSource};
pub use wecom::{AppAcceptance, AppContent, AppMessage, WECOM_BASE_URL, WecomApp};
