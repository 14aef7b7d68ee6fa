//! All state of the sandbox behind one lock, and how one call changes it.
//!
//! Nothing waits while the lock is held: reading the request and writing the answer happen
//! outside.

use std::collections::HashMap;
use std::time::Duration;

use crate::api::Api;
use crate::call::Call;
use crate::clock::{Clock, Timestamp};
use crate::cloud_function::CloudFunctions;
use crate::config::{App, OpenidMode, SandboxConfig, User};
use crate::errmsg::Refusal;
use crate::fault::{FaultAction, FaultScript, Processing, Strike};
use crate::in_flight::{InFlight, Recipient};
use crate::ledger::Ledger;
use crate::quota::DailyUse;
use crate::record::{Journal, Request};
use crate::session_code::SessionCodes;
use crate::template::{Template, Templates};
use crate::token::TokenDesk;

/// An app and what it has used today.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) app: App,
    pub(crate) usage: DailyUse,
}

/// Everything the sandbox knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) accounts: Vec<Account>,
    pub(crate) templates: Templates,
    pub(crate) users: HashMap<String, User>,
    pub(crate) ledger: Ledger,
    pub(crate) tokens: TokenDesk,
    pub(crate) codes: SessionCodes,
    pub(crate) functions: CloudFunctions,
    pub(crate) faults: FaultScript,
    pub(crate) journal: Journal,
    pub(crate) in_flight: InFlight,
    /// Added to every answer.
    pub(crate) latency: Duration,
}

/// What the platform has decided.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) errcode: i64,
    pub(crate) body: String,
    /// How long the platform itself took.
    pub(crate) took: Duration,
}

/// A request that has been taken in; its answer is still to be sent.
#[derive(Debug)]
pub(crate) struct Received {
    /// What the platform decided, unless a fault kept it from deciding.
    pub(crate) reply: Option<Reply>,
    pub(crate) fault: Option<FaultAction>,
    pub(crate) latency: Duration,
    pub(crate) now: Timestamp,
    pub(crate) recipient: Option<Recipient>,
    pub(crate) place: Place,
}

/// Whether a request has its recipient's one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Taken,
    NotTaken,
}

impl World {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, String> {
        let mut world = Self {
            clock: Clock::default(),
            accounts: Vec::new(),
            templates: Templates::default(),
            users: HashMap::new(),
            ledger: Ledger::default(),
            tokens: TokenDesk::default(),
            codes: SessionCodes::default(),
            functions: CloudFunctions::default(),
            faults: FaultScript::default(),
            journal: Journal::new(config.message_history, config.request_history),
            in_flight: InFlight::default(),
            latency: Duration::ZERO,
        };
        for app in &config.apps {
            world.put_app(app.clone());
        }
        for template in &config.templates {
            world.put_template(template.clone())?;
        }
        for user in &config.users {
            world.put_user(user.clone())?;
        }
        for function in &config.cloud_functions {
            world.functions.deploy(function.clone());
        }
        Ok(world)
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

    /// Takes one request in: lets a scripted fault strike, processes, and records.
    pub(crate) fn receive(&mut self, mut call: Call) -> Received {
        let now = self.clock.now();
        let recipient = call.recipient();
        let in_flight_same_openid = self.in_flight.enter(recipient.as_ref());
        let strike = self.faults.strike(&call.subject());
        if let Some(Strike {
            action: FaultAction::ExpireTokens,
            ..
        }) = &strike
        {
            self.tokens.expire_all(now);
        }
        let skipped = strike
            .as_ref()
            .is_some_and(|s| s.processing == Processing::Skipped);
        let api = call.api;
        let mut place = Place::NotTaken;
        let reply = if skipped {
            // A hanging send keeps its recipient busy, as one the platform is working on would.
            if let Some(recipient) = &recipient
                && api == Api::SubscribeSend
                && self.in_flight.occupy(recipient)
            {
                place = Place::Taken;
            }
            None
        } else {
            Some(self.process(&mut call, &mut place, now))
        };
        let fault = strike.map(|strike| strike.action);
        let errcode = match &fault {
            Some(FaultAction::Errcode { errcode, .. }) => Some(*errcode),
            _ => reply.as_ref().map(|reply| reply.errcode),
        };
        self.journal.note(Request {
            seq: 0,
            api,
            openid: recipient.as_ref().map(|(_, openid)| openid.clone()),
            errcode,
            at: now.millis(),
            in_flight_same_openid,
            fault: fault.as_ref().map(FaultAction::name),
        });
        Received {
            reply,
            fault,
            latency: self.latency,
            now,
            recipient,
            place,
        }
    }

    /// The answer has been sent, or nobody waits for it any more.
    pub(crate) fn release(&mut self, recipient: Option<&Recipient>, place: Place) {
        if let Some(recipient) = recipient
            && place == Place::Taken
        {
            self.in_flight.vacate(recipient);
        }
        self.in_flight.leave(recipient);
    }

    fn process(&mut self, call: &mut Call, place: &mut Place, now: Timestamp) -> Reply {
        let mut took = Duration::ZERO;
        let decided = match call.api.refused_method(&call.method) {
            Some(errcode) => Err(Refusal::new(errcode)),
            None => match call.api {
                Api::Token => self.token(call, now),
                Api::StableToken => self.stable_token(call, now),
                Api::SubscribeSend => self.subscribe_send(call, place, now),
                Api::CloudFunction => self.cloud_function(call, &mut took, now),
                Api::CodeToSession => self.code_to_session(call, now),
                Api::GetTemplate => self.get_template(call, now),
                Api::QuotaGet => self.quota_get(call, now),
                Api::ClearQuota => self.clear_quota(call, now),
            },
        };
        match decided {
            Ok(body) => Reply {
                errcode: 0,
                body,
                took,
            },
            Err(refusal) => Reply {
                errcode: refusal.errcode,
                body: refusal.to_body(now),
                took,
            },
        }
    }

    fn get_template(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = self.authorised_app(call, now)?;
        Ok(self.templates.listing(&appid))
    }

    fn quota_get(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
        let appid = self.authorised_app(call, now)?;
        call.object()?;
        let path = call
            .text_field("cgi_path")
            .ok_or_else(|| Refusal::new(76021))?;
        let Account { app, usage } = self.account(&appid)?;
        usage.report(app, path, now)
    }

    fn clear_quota(&mut self, call: &Call, now: Timestamp) -> Result<String, Refusal> {
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
        self.usage.count(&self.app, api, now)
    }
}

/// The answer of a call that has nothing else to say.
pub(crate) fn ok() -> String {
    r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()
}

/// 28 characters, the first an `o`.
fn has_openid_shape(openid: &str) -> bool {
    openid.len() == 28
        && openid.starts_with('o')
        && openid
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
