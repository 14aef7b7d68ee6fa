//! A relay in front of the sandbox, on a clock that is moved by hand.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use outbox_relay::relay::Until;
use outbox_relay::{Config, Relay};
use serde_json::{Map, Value, json};
use shared::clock::{Clock, ManualClock};
use shared::command_line::settings_from_flags;
use shared::db::schema::{bindings, outbox_messages, users};
use shared::domain::{App, BindingId, Channel, ChannelSet, OutboxMessageId, Role, UserId};
use shared::notification::{Kind, Notice, Reach, Route, RouteSettings, Terms, notify, put_route};
use shared::outbox::{Attempt, Message, Status, attempts_of, backlog};
use wechat_sandbox::{
    DEMO_APPID, DEMO_ENVIRONMENT, DEMO_SECRET, DEMO_TEMPLATE_ID, QuotaMode, Sandbox, SandboxConfig,
    SandboxControl,
};

use super::{Ended, TestDatabase, eventually, moment, run};

/// A database, a sandbox and a clock: everything but the relay.
pub struct RelayStage<'database> {
    pub database: &'database TestDatabase,
    pub sandbox: SandboxControl,
    pub clock: ManualClock,
    server: Sandbox,
    /// What the relays here are started with, beside the usual.
    arguments: Vec<String>,
}

/// Somebody who can be notified.
#[derive(Debug, Clone)]
pub struct Employee {
    pub id: UserId,
    pub openid: String,
}

impl<'database> RelayStage<'database> {
    /// With a sandbox in which everybody has subscribed for ever, and a route of every kind on both
    /// channels of the mini program.
    pub async fn on(database: &'database TestDatabase) -> Self {
        let mut config = SandboxConfig::default();
        config.apps[0].quota = QuotaMode::Unlimited;
        Self::with_sandbox(database, config).await
    }

    pub async fn with_sandbox(database: &'database TestDatabase, config: SandboxConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = wechat_sandbox::start(config, listener).await.unwrap();
        let stage = Self {
            database,
            sandbox: server.control(),
            clock: ManualClock::at(moment()),
            server,
            arguments: Vec::new(),
        };
        for &kind in Kind::ALL {
            for channel in [Channel::WechatSubscribe, Channel::WechatCloud] {
                stage.route(kind, channel, |_| {}).await;
            }
        }
        stage
    }

    /// Puts a route, changed from the usual one.
    pub async fn route(
        &self,
        kind: Kind,
        channel: Channel,
        change: impl FnOnce(&mut RouteSettings),
    ) {
        let mut settings = RouteSettings {
            enabled: true,
            template_id: Some(DEMO_TEMPLATE_ID.to_owned()),
            ..RouteSettings::default()
        };
        change(&mut settings);
        let route = Route {
            kind,
            channel,
            settings,
        };
        self.database
            .write(move |transaction| put_route(transaction, &route, moment()))
            .await;
    }

    /// Somebody without a binding.
    pub async fn stranger(&self) -> UserId {
        let id = UserId::generate();
        let row = (
            users::id.eq(id.clone()),
            users::username.eq(id.to_string()),
            users::password_hash.eq(""),
            users::name.eq("员工"),
            users::role.eq(Role::Employee),
            users::created_at.eq(moment()),
            users::updated_at.eq(moment()),
        );
        self.database
            .write(move |transaction| {
                diesel::insert_into(users::table)
                    .values(row)
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
        id
    }

    /// Somebody with a binding.
    pub async fn employee(&self) -> Employee {
        let id = self.stranger().await;
        let digits: String = id.as_str().chars().filter(|c| *c != '-').collect();
        // An openid has 28 characters, the first an o.
        let openid = format!("o{}", &digits[digits.len() - 27..]);
        self.bind(&id, App::mini_program(DEMO_APPID), &openid).await;
        Employee { id, openid }
    }

    /// Gives somebody an identity in an app.
    pub async fn bind(&self, user: &UserId, app: App, external_id: &str) {
        let row = (
            bindings::id.eq(BindingId::generate()),
            bindings::user_id.eq(user.clone()),
            bindings::app.eq(app),
            bindings::external_id.eq(external_id.to_owned()),
            bindings::created_at.eq(moment()),
            bindings::updated_at.eq(moment()),
        );
        self.database
            .write(move |transaction| {
                diesel::insert_into(bindings::table)
                    .values(row)
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    }

    pub async fn employees(&self, count: usize) -> Vec<Employee> {
        let mut employees = Vec::with_capacity(count);
        for _ in 0..count {
            employees.push(self.employee().await);
        }
        employees
    }

    /// Tells people of an assignment on these channels, as the API does.
    pub async fn assign(&self, recipients: &[UserId], channels: &[Channel]) {
        self.assign_with(recipients, channels, assignment()).await;
    }

    pub async fn assign_with(
        &self,
        recipients: &[UserId],
        channels: &[Channel],
        data: Map<String, Value>,
    ) {
        let configured: ChannelSet = channels.iter().copied().collect();
        let now = self.clock.now();
        let notice = Notice {
            kind: Kind::CustomerAssigned,
            recipients: recipients.to_vec(),
            data,
            subject: None,
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: None,
        };
        self.database
            .write(move |transaction| notify(transaction, &notice, configured, now))
            .await;
    }

    /// Overwrites a payload, as only a hand in the database can.
    pub async fn spoil_payload(&self, id: &OutboxMessageId, payload: &'static str) {
        let id = id.clone();
        self.database
            .write(move |transaction| {
                diesel::update(outbox_messages::table.find(id))
                    .set(outbox_messages::payload.eq(payload))
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    }

    /// From now on relays are started with these as well.
    pub fn start_relays_with(&mut self, arguments: &[&str]) {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        self.arguments.extend(arguments);
    }

    /// The arguments of a relay on this stage; `more` come last and win.
    pub fn relay_arguments(&self, more: &[&str]) -> Vec<String> {
        let database_url = self.database.url().reveal();
        let api_url = self.server.base_url();
        let usual = [
            "--database-url",
            &database_url,
            "--database-wait",
            "0s",
            "--wechat-api-url",
            &api_url,
            "--wecom-api-url",
            &api_url,
            "--wechat-appid",
            DEMO_APPID,
            "--wechat-secret",
            DEMO_SECRET,
            "--wechat-cloud-env",
            DEMO_ENVIRONMENT,
            // Long enough for a machine that is busy with other tests.
            "--connect-timeout",
            "1s",
            "--request-timeout",
            "3s",
            "--poll-interval",
            "20ms",
            "--listen",
            "",
        ];
        let mut arguments: Vec<String> = usual.map(str::to_owned).into();
        arguments.extend(self.arguments.iter().cloned());
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    pub async fn relay(&self) -> Relay {
        self.relay_with(&[], Until::Stopped).await
    }

    pub async fn relay_with(&self, more: &[&str], until: Until) -> Relay {
        let config: Config = settings_from_flags(self.relay_arguments(more)).unwrap();
        Relay::start_with_clock(config, until, Arc::new(self.clock.clone()))
            .await
            .unwrap()
    }

    /// A relay on the database's clock, as in production: beside an API, which uses it too.
    pub async fn relay_on_database_clock(&self, until: Until) -> Relay {
        let config: Config = settings_from_flags(self.relay_arguments(&[])).unwrap();
        Relay::start(config, until).await.unwrap()
    }

    /// Runs a command of the relay's program, as an operator does.
    pub fn command(&self, words: &[&str]) -> Ended {
        let mut arguments = self.relay_arguments(&["--log", "error"]);
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        run("outbox-relay", &arguments)
    }

    /// Lets a relay deliver what is due now, and stops it.
    pub async fn deliver(&self) {
        let mut relay = self.relay_with(&[], Until::Drained).await;
        relay.ended().await;
        relay.stop().await;
    }

    /// The one message there is.
    pub async fn only_message(&self) -> Message {
        let mut messages = self.database.messages().await;
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    pub async fn attempts(&self, id: &OutboxMessageId) -> Vec<Attempt> {
        let id = id.clone();
        self.database
            .read(move |connection| attempts_of(connection, &id))
            .await
    }

    /// Waits until as many messages have this status.
    pub async fn until_status(&self, status: Status, count: usize) {
        eventually(&format!("{count} messages are {status}"), async || {
            let backlog = self
                .database
                .read(|connection| backlog(connection, moment()))
                .await;
            usize::try_from(backlog.count(status)).unwrap() == count
        })
        .await;
    }

    /// Moves the clock past the first retry.
    pub fn pass_first_retry(&self) {
        self.clock.advance(Duration::from_secs(5));
    }
}

/// The data of an ordinary assignment.
pub fn assignment() -> Map<String, Value> {
    let data = json!({
        "customerId": "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
        "customerName": "王女士",
        "phone": "138****8999",
        "leadSource": "美团",
        "source": "手动分配",
        "assignerName": "李经理",
        "time": "2026年11月21日 20:40",
        "assignTime": "2026年11月21日 20:40",
    });
    data.as_object().unwrap().clone()
}
