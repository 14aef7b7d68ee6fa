//! The sandbox in the hands of a test: what the control API does, as functions.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::call::Call;
use crate::clock::Timestamp;
use crate::config::SandboxConfig;
use crate::fault::Fault;
use crate::message::{Message, MessageFilter};
use crate::mini_program::{App, CloudFunction, Subscription, SubscriptionKind, Template, User};
use crate::page::Feed;
use crate::record::{Request, Stats};
use crate::wecom::{Agent, Member, Robot};
use crate::world::{Received, World};

/// A handle on a running sandbox; clones lead to the same one.
///
/// Errors are sentences for the person who writes the test.
#[derive(Clone, Debug)]
pub struct SandboxControl {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SandboxConfig,
    world: Mutex<World>,
    changed: watch::Sender<()>,
}

/// A request between its arrival and the end of its answer.
pub(crate) struct Visit {
    pub(crate) received: Received,
    control: SandboxControl,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Received {
            recipient, place, ..
        } = &self.received;
        self.control.world().release(recipient.as_ref(), *place);
        self.control.announce();
    }
}

impl SandboxControl {
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, String> {
        let world = Mutex::new(World::new(&config)?);
        let changed = watch::Sender::new(());
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                world,
                changed,
            }),
        })
    }

    /// Goes back to the configuration the sandbox started with: histories, faults, latency,
    /// tokens, codes, subscriptions and the clock too. Requests under way stay under way.
    pub fn reset(&self) -> Result<(), String> {
        let mut fresh = World::new(&self.shared.config)?;
        let mut world = self.world();
        std::mem::swap(&mut fresh.in_flight, &mut world.in_flight);
        *world = fresh;
        drop(world);
        self.announce();
        Ok(())
    }

    /// Adds an app, or replaces the one with its appid.
    pub fn put_app(&self, app: App) {
        self.world().mini_program.put_app(app);
    }

    /// Adds or replaces a template; refused when a keyword has no known type.
    pub fn put_template(&self, template: Template) -> Result<(), String> {
        self.world().mini_program.put_template(template)
    }

    /// Adds or replaces a user.
    pub fn put_user(&self, user: User) -> Result<(), String> {
        self.world().mini_program.put_user(user)?;
        self.announce();
        Ok(())
    }

    /// Deploys a cloud function, or replaces the one of its name.
    pub fn deploy(&self, function: CloudFunction) {
        self.world().mini_program.functions.deploy(function);
    }

    /// Which addresses may use the AppSecret of an app (the first one for `None`); `None`: all.
    pub fn set_ip_allow_list(
        &self,
        appid: Option<&str>,
        addresses: Option<Vec<IpAddr>>,
    ) -> Result<(), String> {
        let mut world = self.world();
        let appid = world.mini_program.appid_or_first(appid)?;
        if let Ok(account) = world.mini_program.account(&appid) {
            account.app.ip_allow_list = addresses;
        }
        Ok(())
    }

    /// Adds a WeCom app, or replaces the one with its agent id; its company comes with it.
    pub fn put_agent(&self, agent: Agent) {
        self.world().wecom.put_agent(agent);
    }

    /// Adds or replaces a member of a company.
    pub fn put_member(&self, member: Member) -> Result<(), String> {
        self.world().wecom.put_member(member)
    }

    /// Adds a group robot, or replaces the one with its key.
    pub fn put_robot(&self, robot: Robot) {
        self.world().wecom.put_robot(robot);
    }

    /// Which addresses may call for a WeCom app (the first one for `None`); `None`: all.
    pub fn set_trusted_addresses(
        &self,
        agentid: Option<u32>,
        addresses: Option<Vec<IpAddr>>,
    ) -> Result<(), String> {
        self.world().wecom.set_trusted_addresses(agentid, addresses)
    }

    /// The user accepts a template this often. A user nobody registered becomes known with it.
    pub fn accept(&self, openid: &str, template_id: &str, times: u32) -> Result<(), String> {
        let mut world = self.world();
        let (appid, kind) = owner_of(&world, template_id)?;
        world.mini_program.know_user(openid, &appid);
        world
            .mini_program
            .ledger
            .accept(openid, template_id, kind, times);
        Ok(())
    }

    /// The user turns a template's messages off.
    pub fn reject(&self, openid: &str, template_id: &str) -> Result<(), String> {
        let mut world = self.world();
        let (appid, _) = owner_of(&world, template_id)?;
        world.mini_program.know_user(openid, &appid);
        world.mini_program.ledger.reject(openid, template_id);
        Ok(())
    }

    /// What the user allows for a template now.
    pub fn subscription(&self, openid: &str, template_id: &str) -> Subscription {
        self.world().mini_program.ledger.get(openid, template_id)
    }

    /// A login code for a user of an app (of the first one for `None`).
    pub fn make_code(&self, openid: &str, appid: Option<&str>) -> Result<String, String> {
        let mut world = self.world();
        let appid = world.mini_program.appid_or_first(appid)?;
        world.mini_program.know_user(openid, &appid);
        let now = world.clock.now();
        let codes = &mut world.mini_program.codes;
        Ok(codes.make(appid, openid.to_owned(), now))
    }

    /// The tokens issued so far, each platform's oldest first: to prove that none appears where it
    /// must not.
    pub fn tokens(&self) -> Vec<String> {
        let world = self.world();
        let mini_program = world.mini_program.tokens.remembered();
        let wecom = world.wecom.tokens.remembered();
        mini_program.chain(wecom).cloned().collect()
    }

    /// Makes every token that was issued so far expire now.
    pub fn expire_tokens(&self) {
        let mut world = self.world();
        let now = world.clock.now();
        world.expire_tokens(now);
    }

    /// Moves the sandbox's time forward; the answer is the new time in milliseconds since the
    /// unix epoch.
    pub fn advance_clock(&self, by: Duration) -> u64 {
        let mut world = self.world();
        world.clock.advance(by);
        world.clock.now().millis()
    }

    /// Every answer takes this much longer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.world().latency = latency;
    }

    /// Scripts a fault; the answer is its id.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.world().faults.add(fault)
    }

    /// The faults that are still to strike, as the control API shows them.
    pub fn faults(&self) -> Vec<Value> {
        self.world().faults.listing()
    }

    /// Takes a fault back; `false` when it has struck for the last time or never was.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.world().faults.remove(id)
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// The accepted messages that fit, oldest first.
    pub fn messages(&self, filter: &MessageFilter) -> Vec<Arc<Message>> {
        self.world().journal.messages(filter, usize::MAX)
    }

    /// The requests after number `since`, refused ones too, oldest first.
    pub fn requests(&self, since: u64) -> Vec<Request> {
        self.world().journal.requests(since)
    }

    /// Sums since the start or the last reset.
    pub fn stats(&self) -> Stats {
        let world = self.world();
        world.journal.stats(world.in_flight.total())
    }

    /// Waits until the sums are as wanted; for ever if that never happens.
    pub async fn until(&self, mut wanted: impl FnMut(&Stats) -> bool + Send) -> Stats {
        let mut changes = self.changes();
        loop {
            let stats = self.stats();
            // A sandbox that is gone changes no more.
            if wanted(&stats) || changes.changed().await.is_err() {
                return stats;
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world().clock.now()
    }

    pub(crate) fn receive(&self, call: Call) -> Visit {
        let received = self.world().receive(call);
        self.announce();
        Visit {
            received,
            control: self.clone(),
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    pub(crate) fn feed(&self, since: u64) -> Feed {
        Feed::of(&self.world(), since)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.shared.changed.send_replace(());
    }
}

fn owner_of(world: &World, template_id: &str) -> Result<(String, SubscriptionKind), String> {
    world
        .mini_program
        .templates
        .get(template_id)
        .map(|owned| (owned.appid.clone(), owned.template.kind))
        .ok_or_else(|| format!("there is no template {template_id}"))
}
