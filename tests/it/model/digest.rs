//! Whatever happens to digests and to what they tell of: nobody is told twice, and nobody is not told.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use shared::domain::{Channel, OutboxMessageId, RecipientId, UserId, UtcTimestamp};
use shared::outbox::{
    self, AfterQuiet, ClaimedMessage, DIGEST, DO_NOT_DISTURB, Message, NewMessage, PendingKinds,
    Status, Verdict, Wish,
};

use crate::harness::{
    TestDatabase, accepted, message, moment, refused, relay, retry, seconds, settlement,
};

#[test]
fn sqlite_tells_everything_once() {
    run_model(64, TestDatabase::sqlite);
}

#[test]
fn postgres_tells_everything_once() {
    run_model(32, TestDatabase::postgres);
}

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    /// Something happens to a subject, and somebody is told of it.
    Enqueue {
        recipient: usize,
        subject: usize,
        expires_in: Option<u64>,
    },
    /// A relay claims what there is, and this becomes of each.
    Deliver(Vec<Fate>),
    /// Relays look at what waited for the end of a window.
    EndQuiet(Choice),
    Supersede {
        subject: usize,
    },
    /// Somebody changes their settings.
    LookAgain {
        recipient: usize,
    },
    /// An operator does this to the latest digest.
    Repair(Repair),
    Advance {
        seconds: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Accepted,
    Quiet {
        until: u64,
    },
    Retry {
        after: u64,
    },
    Released,
    Refused,
    Pointless,
    /// The relay dies before it has sent anything.
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum Choice {
    Gathered,
    Alone,
    Waits { until: u64 },
}

#[derive(Debug, Clone, Copy)]
enum Repair {
    Requeue,
    Cancel,
    CancelAndUndo,
}

const RECIPIENTS: usize = 2;
const SUBJECTS: usize = 4;
const CHANNEL: Channel = Channel::WechatSubscribe;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 20..50)
}

fn step() -> impl Strategy<Value = Step> {
    let (recipient, subject) = (0..RECIPIENTS, 0..SUBJECTS);
    prop_oneof![
        6 => (recipient.clone(), subject.clone(), prop::option::weighted(0.2, 1..90_u64)).prop_map(
            |(recipient, subject, expires_in)| Step::Enqueue { recipient, subject, expires_in }
        ),
        8 => prop::collection::vec(fate(), RECIPIENTS).prop_map(Step::Deliver),
        5 => choice().prop_map(Step::EndQuiet),
        2 => subject.prop_map(|subject| Step::Supersede { subject }),
        1 => recipient.prop_map(|recipient| Step::LookAgain { recipient }),
        2 => repair().prop_map(Step::Repair),
        5 => (0..40_u64).prop_map(|seconds| Step::Advance { seconds }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Accepted),
        8 => (1..30_u64).prop_map(|until| Fate::Quiet { until }),
        2 => (0..10_u64).prop_map(|after| Fate::Retry { after }),
        1 => Just(Fate::Released),
        1 => Just(Fate::Refused),
        2 => Just(Fate::Pointless),
        1 => Just(Fate::Lost),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        8 => Just(Choice::Gathered),
        1 => Just(Choice::Alone),
        1 => (1..20_u64).prop_map(|until| Choice::Waits { until }),
    ]
}

fn repair() -> impl Strategy<Value = Repair> {
    prop_oneof![
        Just(Repair::Requeue),
        Just(Repair::Cancel),
        Just(Repair::CancelAndUndo),
    ]
}

fn run_model(cases: u32, make_database: impl AsyncFnOnce() -> TestDatabase) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let database = runtime.block_on(make_database());
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(20_260_102),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            runtime.block_on(run_sequence(&database, steps));
            Ok(())
        })
        .unwrap();
}

struct Run<'database> {
    database: &'database TestDatabase,
    now: UtcTimestamp,
    recipients: Vec<RecipientId>,
    /// How often the platform has taken a message, be it by itself or in a digest.
    told: BTreeMap<OutboxMessageId, usize>,
}

async fn run_sequence(database: &TestDatabase, steps: Vec<Step>) {
    database
        .connection()
        .batch_execute(
            "DELETE FROM outbox_messages; DELETE FROM operation_logs; DELETE FROM repairs;",
        )
        .unwrap();
    let mut run = Run {
        database,
        now: moment(),
        recipients: (0..RECIPIENTS)
            .map(|_| RecipientId::from(&UserId::generate()))
            .collect(),
        told: BTreeMap::new(),
    };
    for step in steps {
        run.take(step).await;
        run.check().await;
    }
    run.drain().await;
}

impl Run<'_> {
    async fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Enqueue {
                recipient,
                subject,
                expires_in,
            } => {
                let new = NewMessage {
                    recipient_id: self.recipients[recipient].clone(),
                    subject: Some(format!("customer:{subject}")),
                    due_at: now,
                    expires_at: expires_in.map(|after| now.after(seconds(after))),
                    attempts_max: 1_000,
                    ..message()
                };
                self.database.enqueue(new).await;
            }
            Step::Deliver(fates) => self.deliver(&fates).await,
            Step::EndQuiet(choice) => self.end_quiet(choice).await,
            Step::Supersede { subject } => {
                let subjects = [format!("customer:{subject}")];
                self.database
                    .write(move |transaction| {
                        let (kinds, reason) = (PendingKinds::Every, "superseded: on purpose");
                        outbox::supersede(transaction, &subjects, kinds, reason, now)
                    })
                    .await;
            }
            Step::LookAgain { recipient } => {
                let recipient = self.recipients[recipient].clone();
                self.database
                    .write(move |transaction| {
                        outbox::look_again_at_quiet(transaction, &recipient, now)
                    })
                    .await;
            }
            Step::Repair(repair) => self.repair(repair).await,
            Step::Advance { seconds: count } => {
                self.now = now.after(seconds(count));
                let now = self.now;
                self.database
                    .write(move |transaction| outbox::cancel_expired(transaction, now, 1_000))
                    .await;
            }
        }
    }

    async fn deliver(&mut self, fates: &[Fate]) {
        let (relay, now) = (relay("a"), self.now);
        self.database.register(&relay, now).await;
        let claimed = self.database.claim(&relay, RECIPIENTS, now).await;
        for (message, fate) in claimed.iter().zip(fates) {
            let tells = self.tells(message).await;
            let at = |after: u64| now.after(seconds(after));
            let mut settlement = settlement(message, Verdict::Refused, now);
            settlement.verdict = match fate {
                Fate::Accepted => accepted(),
                Fate::Quiet { until } => {
                    DO_NOT_DISTURB.clone_into(&mut settlement.report.rule);
                    Verdict::Postponed { due_at: at(*until) }
                }
                Fate::Retry { after } => retry(at(*after)),
                Fate::Released => Verdict::Released { hold: None },
                Fate::Refused => refused(),
                Fate::Pointless => Verdict::Pointless,
                Fate::Lost => continue,
            };
            if matches!(fate, Fate::Accepted) {
                for id in tells {
                    *self.told.entry(id).or_default() += 1;
                }
            }
            let settled = self
                .database
                .settle_all(&relay, vec![settlement], now)
                .await;
            assert_eq!(settled.leases_lost, []);
        }
        // Whatever it has not settled is taken back, or given up for a person.
        self.database
            .write(move |transaction| outbox::deregister_relay(transaction, &relay))
            .await;
        self.database.reclaim(now).await;
    }

    /// What a message tells of: itself, or the members that it has as it leaves.
    async fn tells(&self, message: &ClaimedMessage) -> Vec<OutboxMessageId> {
        if message.kind != DIGEST {
            return vec![message.id.clone()];
        }
        let (digest, now) = (message.clone(), self.now);
        let told = self
            .database
            .write(move |transaction| outbox::members_to_tell(transaction, &[&digest], 8, now))
            .await;
        let members = self.members(&message.id).await;
        assert_eq!(told[&message.id].count, members.len());
        members
    }

    async fn members(&self, digest: &OutboxMessageId) -> Vec<OutboxMessageId> {
        let messages = self.database.messages().await.into_iter();
        messages
            .filter(|row| row.digest_id.as_ref() == Some(digest))
            .map(|row| row.id)
            .collect()
    }

    async fn end_quiet(&mut self, choice: Choice) {
        let now = self.now;
        self.database
            .write(move |transaction| {
                let quiet = outbox::lock_quiet_over(transaction, CHANNEL, 100, now)?;
                let after = |message: &outbox::QuietMessage| match choice {
                    // As a relay does.
                    Choice::Gathered if message.kind == DIGEST || message.outcome_unknown => {
                        AfterQuiet::Alone
                    }
                    Choice::Gathered => AfterQuiet::Gathered,
                    Choice::Alone => AfterQuiet::Alone,
                    Choice::Waits { until } => AfterQuiet::Waits {
                        until: now.after(seconds(until)),
                    },
                };
                let ended = quiet
                    .into_iter()
                    .map(|message| {
                        let after = after(&message);
                        (message, after)
                    })
                    .collect();
                outbox::end_quiet(transaction, CHANNEL, ended, now)
            })
            .await;
    }

    async fn repair(&mut self, repair: Repair) {
        let messages = self.database.messages().await;
        let latest = messages.iter().rfind(|row| row.kind == DIGEST);
        let Some(digest) = latest.map(|row| row.id.clone()) else {
            return;
        };
        let wish = match repair {
            Repair::Requeue => Wish::Requeue { attempts: 100 },
            Repair::Cancel | Repair::CancelAndUndo => Wish::Cancel,
        };
        let answer = self.database.repair(&[digest], wish, self.now).await;
        if let (Repair::CancelAndUndo, Ok(done)) = (repair, answer) {
            self.database.undo(&done.repair, self.now).await.unwrap();
        }
    }

    /// What must always be so.
    async fn check(&self) {
        let messages = self.database.messages().await;
        let digests: BTreeMap<&OutboxMessageId, &Message> = messages
            .iter()
            .filter(|row| row.kind == DIGEST)
            .map(|row| (&row.id, row))
            .collect();
        for row in &messages {
            if let Some(digest) = &row.digest_id {
                assert_eq!(row.status, Status::Skipped);
                assert_ne!(row.kind, DIGEST, "a digest in a digest");
                let digest = digests[digest];
                assert_eq!(digest.recipient_id, row.recipient_id);
                let told = self.told.contains_key(&row.id);
                assert_eq!(told, digest.status == Status::Sent, "{row:?} in {digest:?}");
            }
        }
        assert!(
            self.told.values().all(|times| *times == 1),
            "{:?}",
            self.told
        );
    }

    /// In the end everything has been told that was not taken back or given up by itself.
    async fn drain(&mut self) {
        for _ in 0..200 {
            self.take(Step::Advance { seconds: 60 }).await;
            self.end_quiet(Choice::Gathered).await;
            self.deliver(&[Fate::Accepted; RECIPIENTS]).await;
            self.check().await;
            let messages = self.database.messages().await;
            let unfinished = messages.iter().filter(|row| !row.status.is_final());
            let given_up: Vec<OutboxMessageId> = messages
                .iter()
                .filter(|row| row.kind == DIGEST)
                .filter(|row| match row.status {
                    Status::Failed | Status::Cancelled => true,
                    // Not dissolved: it may have been delivered.
                    Status::Skipped => row.outcome_unknown,
                    Status::Pending | Status::Sending | Status::Sent => false,
                })
                .map(|row| row.id.clone())
                .collect();
            if unfinished.count() == 0 && given_up.is_empty() {
                break;
            }
            let requeue = Wish::Requeue { attempts: 100 };
            self.database
                .repair(&given_up, requeue, self.now)
                .await
                .unwrap();
        }
        for row in self.database.messages().await {
            if row.kind == DIGEST {
                continue;
            }
            let told = self.told.get(&row.id).copied().unwrap_or(0);
            let expected = match (row.status, &row.digest_id) {
                (Status::Sent, None) | (Status::Skipped, Some(_)) => 1,
                // Taken back, given up, or pointless by itself.
                (Status::Cancelled | Status::Failed | Status::Skipped, None) => 0,
                other => panic!("{other:?}: {row:?}"),
            };
            assert_eq!(told, expected, "{row:?}");
        }
    }
}
