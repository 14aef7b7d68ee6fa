//! A backlog that real relays deliver while something goes wrong.

use std::collections::BTreeSet;
use std::env;
use std::time::Duration;

use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::domain::{Channel, ChannelSet, UserId};
use shared::notification::{Kind, Notice, Reach, Terms, notify};
use wechat_sandbox::SandboxConfig;

use super::books::Incident;
use super::{Employee, RelayStage, TestDatabase, TestProcess, assignment, eventually};

/// Requests that one relay has under way at most: so many outcomes its death can leave unknown.
pub const CONCURRENCY: usize = 8;

/// How many messages wait where nothing else is asked for.
const MESSAGES: usize = 400;

/// To so many people.
const PEOPLE: usize = 40;

/// How long the platform takes for an answer. It, and not this machine, decides how fast a relay
/// delivers: a tenth of a second holds 40 messages, however busy the other tests are.
const ANSWER_TIME: Duration = Duration::from_millis(20);

/// The same in a long run, which compares rates: a relay's own part in them, which a busy machine
/// doubles, must be small.
const LONG_ANSWER_TIME: Duration = Duration::from_millis(80);

/// A stage, its backlog, and what is known of both without asking the relays.
pub struct Drain<'database> {
    pub stage: RelayStage<'database>,
    pub(super) people: Vec<Employee>,
    /// The rounds of assignments whose commit was confirmed; every person is told once in each.
    pub(super) committed: BTreeSet<usize>,
    rounds: usize,
}

impl<'database> Drain<'database> {
    /// With a backlog of the usual size: a few messages for every day, as many as `FAULT_MESSAGES`
    /// says for a long run.
    pub async fn on(database: &'database TestDatabase) -> Self {
        Self::of(RelayStage::on(database).await).await
    }

    /// In front of a platform that differs from the usual one.
    pub async fn before(database: &'database TestDatabase, platform: SandboxConfig) -> Self {
        Self::of(RelayStage::with_sandbox(database, platform).await).await
    }

    async fn of(stage: RelayStage<'database>) -> Self {
        stage.sandbox.set_latency(match long_run() {
            Some(_) => LONG_ANSWER_TIME,
            None => ANSWER_TIME,
        });
        let mut drain = Self {
            people: stage.employees(PEOPLE).await,
            stage,
            committed: BTreeSet::new(),
            rounds: 0,
        };
        drain.assign(backlog_size()).await;
        drain
    }

    /// Adds as many messages, rounded up to one for each person.
    pub async fn assign(&mut self, messages: usize) {
        for _ in 0..messages.div_ceil(self.people.len()) {
            assert!(self.try_to_assign().await, "an assignment failed");
        }
    }

    /// Tells everybody of one more assignment, in one transaction as the API does. False where the
    /// database did not confirm it; it may stand nevertheless.
    pub async fn try_to_assign(&mut self) -> bool {
        self.rounds += 1;
        let round = self.rounds;
        let mut data = assignment();
        // Every message different, so that the sandbox can tell a repeat.
        data.insert("customerName".to_owned(), json!(name_of_round(round)));
        let recipients: Vec<UserId> = self.people.iter().map(|one| one.id.clone()).collect();
        let notice = Notice {
            kind: Kind::CustomerAssigned,
            recipients,
            data,
            subject: None,
            reach: Reach::AllChannels,
            terms: Terms::default(),
            request_id: None,
        };
        // Due one after the other, as in life: what is taken back is older than what waits behind it.
        let now = SystemClock.now();
        let channels: ChannelSet = [Channel::WechatSubscribe].into_iter().collect();
        let write = self
            .stage
            .database
            .database()
            .write(move |transaction| notify(transaction, &notice, channels, now));
        let committed = write.await.is_ok();
        if committed {
            self.committed.insert(round);
        }
        committed
    }

    /// Starts a relay; `more` arguments come last and win.
    pub fn relay(&self, more: &[&str]) -> TestProcess {
        TestProcess::start("outbox-relay", &self.relay_arguments(more))
    }

    /// What a relay is started with.
    pub fn relay_arguments(&self, more: &[&str]) -> Vec<String> {
        let concurrency = CONCURRENCY.to_string();
        let few = ["--concurrency", &concurrency];
        // On a machine that is busy with other tests, a second is not long: an answer that is there
        // and was not looked at in time would count as an interrupted request.
        let patient = ["--request-timeout", "5s"];
        self.stage
            .relay_arguments(&[&few[..], &patient, more].concat())
    }

    /// Waits until the relays are well into the backlog, and not near its end.
    pub async fn until_under_way(&self) {
        self.until_more_are_accepted(self.committed.len() * self.people.len() / 5)
            .await;
    }

    /// Waits until the platform has accepted so many more than now.
    pub async fn until_more_are_accepted(&self, more: usize) {
        let wanted = self.stage.sandbox.stats().accepted + more as u64;
        eventually(&format!("{wanted} are accepted"), async || {
            self.stage.sandbox.stats().accepted >= wanted
        })
        .await;
    }

    /// Waits until so many requests are under way at once, none of them answered.
    pub async fn until_in_flight(&self, requests: usize) {
        eventually(&format!("{requests} requests are under way"), async || {
            self.stage.sandbox.stats().in_flight as usize == requests
        })
        .await;
    }

    /// Waits until every scripted fault has struck for the last time.
    pub async fn until_faults_have_struck(&self) {
        eventually("the fault has struck for the last time", async || {
            self.stage.sandbox.faults().is_empty()
        })
        .await;
    }

    /// From this moment on something is wrong.
    pub fn incident(&self, fault: &str) -> Incident {
        Incident::begin(fault, SystemClock.now())
    }
}

/// Stops relays, each of which must end well and have written down all it knew.
pub fn stop_well(relays: impl IntoIterator<Item = TestProcess>) {
    for relay in relays {
        let ended = relay.terminate();
        assert!(ended.status.success(), "{}", ended.said);
        assert!(
            !ended.said.contains("could not be settled"),
            "{}",
            ended.said
        );
        assert!(
            !ended.said.contains("could not be written"),
            "{}",
            ended.said
        );
    }
}

/// Lets real time pass while a fault lasts: it is what the processes measure.
pub async fn lasting(duration: Duration) {
    let nothing = std::future::pending::<()>();
    assert!(tokio::time::timeout(duration, nothing).await.is_err());
}

/// How many messages wait.
pub fn backlog_size() -> usize {
    long_run().unwrap_or(MESSAGES)
}

/// How many messages a long run has, if this is one.
pub fn long_run() -> Option<usize> {
    env::var("FAULT_MESSAGES")
        .ok()
        .map(|count| count.parse().expect("FAULT_MESSAGES is a number"))
}

/// The customer that a round is about.
pub(super) fn name_of_round(round: usize) -> String {
    format!("客户{round}")
}
