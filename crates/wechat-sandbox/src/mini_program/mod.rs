//! The mini-program platform: its accounts, users and templates, and what its endpoints decide.

mod app;
mod cloud_function;
mod credential;
mod errmsg;
mod field;
mod invocation;
mod ledger;
mod session_code;
mod subscribe;
mod template;
mod token;

use std::collections::HashMap;

use crate::api::Api;
use crate::call::Call;
use crate::clock::Timestamp;
use crate::config::SandboxConfig;
use crate::quota::DailyUse;
use crate::refusal::Refusal;
use crate::world::ok;

pub use self::app::{App, MsgidMode, OpenidMode, QuotaMode, User, WrongSecret};
pub(crate) use self::cloud_function::CloudFunctions;
pub use self::cloud_function::{Behaviour, CloudFunction};
pub(crate) use self::errmsg::usual_text;
pub(crate) use self::ledger::Ledger;
pub use self::ledger::Subscription;
pub(crate) use self::session_code::SessionCodes;
pub(crate) use self::template::Templates;
pub use self::template::{SubscriptionKind, Template, TemplateField};
pub(crate) use self::token::TokenDesk;

/// An app and what it has used today.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) app: App,
    pub(crate) usage: DailyUse,
}

/// Everything the platform knows.
#[derive(Debug, Default)]
pub(crate) struct MiniProgram {
    pub(crate) accounts: Vec<Account>,
    pub(crate) templates: Templates,
    pub(crate) users: HashMap<String, User>,
    pub(crate) ledger: Ledger,
    pub(crate) tokens: TokenDesk,
    pub(crate) codes: SessionCodes,
    pub(crate) functions: CloudFunctions,
}

impl MiniProgram {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, String> {
        let mut platform = Self::default();
        for app in &config.apps {
            platform.put_app(app.clone());
        }
        for template in &config.templates {
            platform.put_template(template.clone())?;
        }
        for user in &config.users {
            platform.put_user(user.clone())?;
        }
        for function in &config.cloud_functions {
            platform.functions.deploy(function.clone());
        }
        Ok(platform)
    }

    /// Adds an app or replaces the one with its appid.
    pub(crate) fn put_app(&mut self, app: App) {
        match self
            .accounts
            .iter_mut()
            .find(|account| account.app.appid == app.appid)
        {
            Some(account) => account.app = app,
            None => self.accounts.push(Account {
                app,
                usage: DailyUse::default(),
            }),
        }
    }

    pub(crate) fn put_template(&mut self, template: Template) -> Result<(), String> {
        let appid = self.appid_or_first(template.appid.as_deref())?;
        self.templates.put(template, appid)
    }

    pub(crate) fn put_user(&mut self, mut user: User) -> Result<(), String> {
        user.appid = Some(self.appid_or_first(user.appid.as_deref())?);
        self.users.insert(user.openid.clone(), user);
        Ok(())
    }

    /// Makes sure that an openid is known, without touching one that is.
    pub(crate) fn know_user(&mut self, openid: &str, appid: &str) {
        self.users.entry(openid.to_owned()).or_insert_with(|| User {
            openid: openid.to_owned(),
            appid: Some(appid.to_owned()),
            name: None,
            unionid: None,
        });
    }

    /// The app that is meant, where leaving it out means the first one.
    pub(crate) fn appid_or_first(&self, appid: Option<&str>) -> Result<String, String> {
        let found = match appid {
            Some(appid) => self
                .accounts
                .iter()
                .find(|account| account.app.appid == appid),
            None => self.accounts.first(),
        };
        found
            .map(|account| account.app.appid.clone())
            .ok_or_else(|| format!("there is no app {}", appid.unwrap_or("at all")))
    }

    pub(crate) fn account(&mut self, appid: &str) -> Result<&mut Account, Refusal> {
        self.accounts
            .iter_mut()
            .find(|account| account.app.appid == appid)
            .ok_or_else(|| Refusal::new(40013))
    }

    pub(crate) fn get_template(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = self.authorised_app(call, now)?;
        Ok(self.templates.listing(&appid))
    }

    pub(crate) fn quota_get(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = self.authorised_app(call, now)?;
        call.object()?;
        let path = call
            .text_field("cgi_path")
            .ok_or_else(|| Refusal::new(76021))?;
        let Account { app, usage } = self.account(&appid)?;
        usage.report(&app.daily_limits, path, now)
    }

    pub(crate) fn clear_quota(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = self
            .tokens
            .check(call.parameter("access_token"), now)?
            .to_owned();
        call.object()?;
        if call.text_field("appid") != Some(appid.as_str()) {
            return Err(Refusal::new(40013));
        }
        self.account(&appid)?.usage.clear(now)?;
        Ok(ok())
    }

    /// The app of the call's token, with the call counted.
    pub(crate) fn authorised_app(
        &mut self,
        call: &Call,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let appid = self
            .tokens
            .check(call.parameter("access_token"), now)?
            .to_owned();
        self.account(&appid)?.count_today(call.api, now)?;
        Ok(appid)
    }

    /// Whether an openid is one of this app.
    pub(crate) fn belongs(&self, openid: &str, appid: &str) -> bool {
        if let Some(user) = self.users.get(openid) {
            return user.appid.as_deref() == Some(appid);
        }
        let account = self
            .accounts
            .iter()
            .find(|account| account.app.appid == appid);
        account.is_some_and(|account| account.app.openids == OpenidMode::WellFormed)
            && has_openid_shape(openid)
    }
}

impl Account {
    pub(crate) fn count_today(&mut self, api: Api, now: Timestamp) -> Result<(), Refusal> {
        self.usage.count(&self.app.daily_limits, api, now)
    }
}

/// 28 characters, the first an `o`.
fn has_openid_shape(openid: &str) -> bool {
    openid.len() == 28
        && openid.starts_with('o')
        && openid
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
