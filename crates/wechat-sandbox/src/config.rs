//! What the sandbox starts with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::cloud_function::CloudFunction;
use crate::template::{SubscriptionKind, Template, TemplateField};

/// App id of the app that [`SandboxConfig::default`] knows.
pub const DEMO_APPID: &str = "wx5a4d3b2c1f0e9d87";

/// AppSecret of the demo app.
pub const DEMO_SECRET: &str = "7c1e5f0a9b3d48264f6e8d2c0b1a9375";

/// Cloud environment in which the demo function lives.
pub const DEMO_ENVIRONMENT: &str = "demo-env";

/// Name of the function that is deployed in the demo environment.
pub const DEMO_FUNCTION: &str = "quickstartFunctions";

/// Template that the demo app owns: `thing1` customer, `thing2` source, `name3` who assigned,
/// `time4` when.
pub const DEMO_TEMPLATE_ID: &str = "Yz7Qk3tWm0pLx9sVnB2dRfG6hJcA1eTuKoXi5yZrN48";

/// Everything the sandbox knows when it starts and goes back to on a reset.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Mini programs with an account on the platform.
    pub apps: Vec<App>,
    /// Subscribe-message templates of these apps.
    pub templates: Vec<Template>,
    /// Users known from the start.
    pub users: Vec<User>,
    /// Deployed cloud functions.
    pub cloud_functions: Vec<CloudFunction>,
    /// How many requests are kept for reading; older ones are dropped and counted.
    pub request_history: usize,
    /// How many accepted messages are kept for reading; older ones are dropped and counted.
    pub message_history: usize,
    /// Threads that serve requests.
    pub workers: usize,
}

impl Default for SandboxConfig {
    /// One demo app with one template and one cloud function.
    fn default() -> Self {
        Self {
            apps: vec![App::new(DEMO_APPID, DEMO_SECRET)],
            templates: vec![Template {
                template_id: DEMO_TEMPLATE_ID.to_owned(),
                appid: Some(DEMO_APPID.to_owned()),
                title: "客户分配通知".to_owned(),
                fields: vec![
                    TemplateField::new("thing1", "客户姓名"),
                    TemplateField::new("thing2", "客户来源"),
                    TemplateField::new("name3", "分配人"),
                    TemplateField::new("time4", "分配时间"),
                ],
                kind: SubscriptionKind::OneTime,
            }],
            users: Vec::new(),
            cloud_functions: vec![CloudFunction::assign_notify(
                DEMO_ENVIRONMENT,
                DEMO_FUNCTION,
            )],
            request_history: 200_000,
            message_history: 200_000,
            workers: 2,
        }
    }
}

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
    pub daily_limits: BTreeMap<Api, u64>,
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
            daily_limits: BTreeMap::new(),
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
