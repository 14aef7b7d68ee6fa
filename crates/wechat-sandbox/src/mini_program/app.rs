//! Mini programs, how the platform treats them, and who uses them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::quota::DailyLimits;

/// A mini program and how the platform treats it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// `wx` and 16 hexadecimal digits on the real platform; any text here.
    pub appid: String,
    /// The AppSecret.
    pub secret: String,
    /// Shown on the cards.
    #[serde(default = "App::default_name")]
    pub name: String,
    /// Whether sends use up subscriptions.
    #[serde(default)]
    pub quota: QuotaMode,
    /// Whether an accepted send answers with a `msgid`.
    #[serde(default)]
    pub msgid: MsgidMode,
    /// Which code a wrong secret gets.
    #[serde(default)]
    pub wrong_secret: WrongSecret,
    /// Which openids belong to this app.
    #[serde(default)]
    pub openids: OpenidMode,
    /// Pages of the released version; `None`: every page exists.
    #[serde(default)]
    pub pages: Option<Vec<String>>,
    /// Addresses that may use the AppSecret; `None`: all.
    #[serde(default)]
    pub ip_allow_list: Option<Vec<IpAddr>>,
    /// A value that contains one of these is refused with 45168.
    #[serde(default)]
    pub sensitive_words: Vec<String>,
    /// Daily quotas that differ from the published ones.
    #[serde(default)]
    pub daily_limits: DailyLimits,
}

impl App {
    /// An app with the platform's ordinary behaviour.
    pub fn new(appid: &str, secret: &str) -> Self {
        Self {
            appid: appid.to_owned(),
            secret: secret.to_owned(),
            name: Self::default_name(),
            quota: QuotaMode::default(),
            msgid: MsgidMode::default(),
            wrong_secret: WrongSecret::default(),
            openids: OpenidMode::default(),
            pages: None,
            ip_allow_list: None,
            sensitive_words: Vec::new(),
            daily_limits: DailyLimits::new(),
        }
    }

    fn default_name() -> String {
        "驿站".to_owned()
    }
}

/// Whether sends use up subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QuotaMode {
    /// As on the platform: every one-time accept pays for one send.
    #[default]
    Ledger,
    /// Every user has accepted for ever, unless they rejected. For demonstrations.
    Unlimited,
}

/// Whether an accepted send answers with a `msgid`, which the platform does only sometimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MsgidMode {
    /// A 64-bit integer above 2^53.
    #[default]
    Included,
    /// No such field.
    Omitted,
}

/// Which code a wrong secret gets; both were seen on the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WrongSecret {
    /// 40125 `invalid appsecret`.
    #[default]
    InvalidAppsecret,
    /// 40001 `invalid credential`.
    InvalidCredential,
}

/// Which openids belong to an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OpenidMode {
    /// Registered users, and every text of the right shape (28 characters, the first an `o`) that
    /// is not registered with another app.
    #[default]
    WellFormed,
    /// Registered users only.
    Registered,
}

/// Somebody with a WeChat account, as one app sees them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Identity of the user within the app.
    pub openid: String,
    /// App the openid belongs to; the first configured app when left out.
    #[serde(default)]
    pub appid: Option<String>,
    /// Shown on the page; the openid when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Answered by `jscode2session` for apps bound to an open-platform account.
    #[serde(default)]
    pub unionid: Option<String>,
}
