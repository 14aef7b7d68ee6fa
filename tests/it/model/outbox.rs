use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use diesel::connection::SimpleConnection;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use shared::db::DbError;
use shared::domain::{Channel, OutboxMessageId, RepairId, UtcTimestamp};
use shared::notification::{Kind, Route, RouteSettings, put_route};
use shared::outbox::{
    self, ClaimOrder, ClaimedMessage, FallbackCause, FallbackChannels, HoldCause, HoldOrder,
    NewMessage, Outcome, PendingKinds, RepairError, Settlement, Status, Verdict,
};

use super::state::{
    LEASE_SECONDS, PROBE_INTERVAL_SECONDS, Row, State, UndoAnswer, arrows_of_diagram,
    arrows_of_undoing, relay_name,
};
use super::step::{RELAYS, Settler, Step, Wish, steps};
use crate::harness::{TestDatabase, message, moment, relay, seconds, settlement};

#[test]
fn sqlite_does_what_the_model_does() {
    run_model(128, TestDatabase::sqlite);
}

#[test]
fn postgres_does_what_the_model_does() {
    run_model(64, TestDatabase::postgres);
}

fn name_of_subject(number: usize) -> String {
    format!("customer:{number}")
}

/// How many leases back a settlement may reach.
const LEASES_REMEMBERED: usize = 6;

/// How many repairs back an order to undo may reach.
const REPAIRS_REMEMBERED: usize = 3;

/// The same sequences in every run: a failure found once can be looked into.
fn run_model(cases: u32, make_database: impl AsyncFnOnce() -> TestDatabase) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let database = runtime.block_on(make_database());
    database.leases_may_remain();
    runtime.block_on(switch_on_route(&database));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(20_260_102),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let arrows = Mutex::new(BTreeSet::new());
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let taken = runtime.block_on(run_sequence(&database, steps));
            arrows.lock().unwrap().extend(taken);
            Ok(())
        })
        .unwrap();
    // Sequences that never get there would prove nothing about it.
    let arrows = arrows.into_inner().unwrap();
    assert!(arrows.is_superset(&arrows_of_diagram()), "{arrows:?}");
    assert!(!arrows.is_disjoint(&arrows_of_undoing()), "{arrows:?}");
}

/// What goes on here goes on to the channel that it was on: so it takes part in everything again.
const CHANNEL: Channel = Channel::WechatSubscribe;

async fn switch_on_route(database: &TestDatabase) {
    let route = Route {
        kind: Kind::CustomerAssigned,
        channel: CHANNEL,
        settings: RouteSettings {
            enabled: true,
            ..RouteSettings::default()
        },
    };
    database
        .write(move |transaction| put_route(transaction, &route, moment()))
        .await;
}

/// One sequence, on the database and on the model at once.
struct Run<'database> {
    database: &'database TestDatabase,
    state: State,
    /// Every lease there ever was.
    leases: Vec<(usize, ClaimedMessage)>,
    /// Every repair there ever was, in the order of the model's.
    repairs: Vec<RepairId>,
    /// Every change of status there ever was.
    arrows: BTreeSet<(Status, Status)>,
}

/// Answers which changes of status occurred.
async fn run_sequence(database: &TestDatabase, steps: Vec<Step>) -> BTreeSet<(Status, Status)> {
    database
        .connection()
        .batch_execute(
            "DELETE FROM outbox_messages; DELETE FROM operation_logs; DELETE FROM channel_holds; \
             DELETE FROM relays; DELETE FROM repairs;",
        )
        .unwrap();
    let mut run = Run {
        database,
        state: State::new(),
        leases: Vec::new(),
        repairs: Vec::new(),
        arrows: BTreeSet::new(),
    };
    for number in 0..RELAYS {
        database
            .register(&relay(&relay_name(number)), run.state.now)
            .await;
    }
    for step in steps {
        let before = run.statuses();
        run.take(step).await;
        run.compare(&before).await;
    }
    run.arrows
}

impl Run<'_> {
    async fn take(&mut self, step: Step) {
        let now = self.state.now;
        match step {
            Step::Enqueue {
                priority,
                due_in,
                expires_in,
                attempts_max,
                subject,
                fallbacks,
            } => {
                self.enqueue(NewMessage {
                    priority,
                    attempts_max,
                    subject: Some(name_of_subject(subject)),
                    fallbacks: FallbackChannels::in_order(&vec![CHANNEL; fallbacks]),
                    due_at: now.after(seconds(due_in)),
                    expires_at: expires_in.map(|after| now.after(seconds(after))),
                    ..message()
                })
                .await;
            }
            Step::Claim { relay, limit } => self.claim(relay, limit).await,
            Step::Settle { lease, by, verdict } => self.settle(lease, by, verdict).await,
            Step::Heartbeat { relay } => self.heartbeat(relay).await,
            Step::Deregister { relay } => self.deregister(relay).await,
            Step::Advance { seconds: count } => self.state.now = now.after(seconds(count)),
            Step::Reclaim => self.reclaim().await,
            Step::CancelExpired => {
                let cancelled = self
                    .database
                    .write(move |transaction| outbox::cancel_expired(transaction, now, 1_000))
                    .await;
                assert_eq!(cancelled, self.state.cancel_expired());
            }
            Step::Supersede { subject } => {
                let subjects = [name_of_subject(subject)];
                let expected = self.state.supersede(&subjects[0]);
                let superseded = self
                    .database
                    .write(move |transaction| {
                        let (kinds, reason) = (PendingKinds::Every, "superseded: on purpose");
                        outbox::supersede(transaction, &subjects, kinds, reason, now)
                    })
                    .await;
                let superseded: BTreeSet<_> = superseded.into_iter().map(|m| m.id).collect();
                assert_eq!(superseded, expected);
            }
            Step::Requeue { message, attempts } => self.requeue(message, attempts).await,
            Step::Cancel { message } => self.cancel(message).await,
            Step::Undo { repair } => self.undo(repair).await,
            Step::Hold { probe_in } => {
                let order = hold_order(probe_in.map(|after| now.after(seconds(after))));
                self.state.hold(order.probe_at);
                self.database
                    .write(move |transaction| outbox::hold_channel(transaction, order, now))
                    .await;
            }
            Step::Lift => {
                let lifted = self
                    .database
                    .write(move |transaction| {
                        outbox::lift_hold(transaction, Channel::WechatSubscribe, now)
                    })
                    .await;
                assert_eq!(lifted, self.state.hold.take().is_some());
            }
        }
    }

    async fn enqueue(&mut self, new: NewMessage) {
        let id = self.database.enqueue(new.clone()).await;
        let row = Row {
            status: Status::Pending,
            subject: new.subject.clone(),
            priority: new.priority,
            attempt: 0,
            attempts_max: new.attempts_max,
            fence: 0,
            rescues: 0,
            due_at: new.due_at,
            expires_at: new.expires_at,
            lease: None,
            outcome_unknown: false,
            finished_at: None,
            recipient: new.recipient_id.clone(),
            fallbacks: new
                .fallbacks
                .iter()
                .flat_map(FallbackChannels::iter)
                .count(),
            fallback_of: None,
            fell_back_to: None,
        };
        assert!(self.state.rows.insert(id, row).is_none());
    }

    async fn claim(&mut self, number: usize, limit: usize) {
        let now = self.state.now;
        let order = ClaimOrder {
            relay: relay(&relay_name(number)),
            channel: Channel::WechatSubscribe,
            limit,
            limit_below_high: limit,
            lease: seconds(LEASE_SECONDS),
            busy_recipients: Vec::new(),
            probe_interval: seconds(PROBE_INTERVAL_SECONDS),
            round: 0,
        };
        let claimed = self
            .database
            .write(move |transaction| outbox::claim_due(transaction, &order, now))
            .await;
        let expected = self.state.claimable(limit);
        let urgencies: Vec<_> = claimed
            .iter()
            .map(|message| (self.state.rows[&message.id].priority, message.due_at))
            .collect();
        assert_eq!(urgencies, expected);
        for message in claimed {
            self.state.claimed(number, &message);
            self.leases.push((number, message));
        }
    }

    async fn settle(&mut self, lease: Index, by: Settler, wish: Wish) {
        if self.leases.is_empty() {
            return;
        }
        let latest = self.leases.len().saturating_sub(LEASES_REMEMBERED);
        let (holder, message) = lease.get(&self.leases[latest..]).clone();
        let number = match by {
            Settler::Holder => holder,
            Settler::Stranger => (holder + 1) % RELAYS,
        };
        let now = self.state.now;
        let verdict = verdict(wish, now);
        let expected = self.state.settled(number, &message, &verdict);
        let falls_back = matches!(wish, Wish::Unreachable).then_some(FallbackCause::NoBinding);
        let settlement = Settlement {
            falls_back,
            ..settlement(&message, verdict, now)
        };
        let name = relay(&relay_name(number));
        let settled = self.database.settle_all(&name, vec![settlement], now).await;
        let id = message.id;
        let goes_on = expected.is_some() && falls_back.is_some() && self.state.may_go_on(&id);
        assert_eq!(settled.fallbacks.len(), usize::from(goes_on));
        for fallback in &settled.fallbacks {
            assert_eq!(fallback.of, id);
            self.state.went_on(&id, &fallback.id);
        }
        match expected {
            Some(status) => {
                assert_eq!(
                    (settled.settled, settled.leases_lost),
                    (vec![(id, status)], vec![])
                );
            }
            None => assert_eq!((settled.settled, settled.leases_lost), (vec![], vec![id])),
        }
    }

    async fn heartbeat(&mut self, number: usize) {
        let (name, now) = (relay(&relay_name(number)), self.state.now);
        let known = self
            .database
            .write({
                let name = name.clone();
                move |transaction| outbox::heartbeat(transaction, &name, 0, now)
            })
            .await;
        assert_eq!(known, self.state.heartbeats[number].is_some());
        if !known {
            self.database.register(&name, now).await;
        }
        self.state.heartbeats[number] = Some(now);
    }

    async fn deregister(&mut self, number: usize) {
        let name = relay(&relay_name(number));
        self.database
            .write(move |transaction| outbox::deregister_relay(transaction, &name))
            .await;
        self.state.heartbeats[number] = None;
    }

    async fn reclaim(&mut self) {
        let reclaimed = self.database.reclaim(self.state.now).await;
        let (rescued, failed) = self.state.reclaim();
        let set = |ids: Vec<OutboxMessageId>| ids.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(
            (set(reclaimed.rescued), set(reclaimed.failed)),
            (rescued, failed)
        );
    }

    async fn requeue(&mut self, message: Index, attempts: i32) {
        let Some(id) = self.any_message(message) else {
            return;
        };
        if self.state.recipient_is_busy(&id) {
            return;
        }
        let expected = self.state.requeue(&id, attempts);
        let now = self.state.now;
        let answer = self
            .database
            .repair(&[id], outbox::Wish::Requeue { attempts }, now)
            .await;
        self.remember(answer, expected);
    }

    async fn cancel(&mut self, message: Index) {
        let Some(id) = self.any_message(message) else {
            return;
        };
        let expected = self.state.cancel(&id);
        let now = self.state.now;
        let answer = self.database.repair(&[id], outbox::Wish::Cancel, now).await;
        self.remember(answer, expected);
    }

    async fn undo(&mut self, repair: Index) {
        if self.repairs.is_empty() {
            return;
        }
        let latest = self.repairs.len().saturating_sub(REPAIRS_REMEMBERED);
        let number = latest + repair.index(self.repairs.len() - latest);
        if self.state.recipient_is_busy(self.state.repaired(number)) {
            return;
        }
        let expected = self.state.undo(number);
        let answer = self
            .database
            .undo(&self.repairs[number], self.state.now)
            .await;
        let answer = match answer {
            Ok(done) if (done.undone, done.moved) == (1, 0) => UndoAnswer::PutBack,
            Ok(done) if (done.undone, done.moved) == (0, 1) => UndoAnswer::Moved,
            Err(RepairError::AlreadyUndone(_)) => UndoAnswer::AlreadyUndone,
            Err(RepairError::TooLate { .. }) => UndoAnswer::TooLate,
            other => panic!("{other:?}"),
        };
        assert_eq!(answer, expected);
    }

    /// A repair that was made can be undone later.
    fn remember(&mut self, answer: Result<outbox::Repaired, RepairError>, expected: bool) {
        match answer {
            Ok(repaired) => {
                assert!(expected, "was allowed");
                self.repairs.push(repaired.repair);
            }
            Err(RepairError::WrongStatus { .. }) => assert!(!expected, "was refused"),
            Err(error) => panic!("{error}"),
        }
    }

    fn any_message(&self, message: Index) -> Option<OutboxMessageId> {
        let ids: Vec<&OutboxMessageId> = self.state.rows.keys().collect();
        (!ids.is_empty()).then(|| (*message.get(&ids)).clone())
    }

    fn statuses(&self) -> BTreeMap<OutboxMessageId, Status> {
        let rows = self.state.rows.iter();
        rows.map(|(id, row)| (id.clone(), row.status)).collect()
    }

    /// The table equals the model, and nothing went a way that the diagram does not show.
    async fn compare(&mut self, before: &BTreeMap<OutboxMessageId, Status>) {
        let (messages, held) = self
            .database
            .read(|connection| {
                let all = outbox::list(connection, &outbox::ListFilter::default(), 100_000)?;
                Ok::<_, DbError>((all, outbox::holds(connection)?))
            })
            .await;
        let rows: BTreeMap<OutboxMessageId, Row> = messages
            .iter()
            .map(|message| (message.id.clone(), Row::of(message)))
            .collect();
        assert_eq!(rows, self.state.rows);
        for (id, row) in &rows {
            assert!(row.attempt <= row.attempts_max);
            let from = before.get(id).copied().unwrap_or(row.status);
            if from != row.status {
                self.arrows.insert((from, row.status));
            }
        }
        let ways = &arrows_of_diagram() | &arrows_of_undoing();
        assert!(self.arrows.is_subset(&ways), "{:?}", self.arrows);
        let held: Vec<_> = held
            .iter()
            .map(|hold| (hold.probe_at, hold.held_since))
            .collect();
        let expected: Vec<_> = self
            .state
            .hold
            .iter()
            .map(|hold| (hold.probe_at, hold.held_since))
            .collect();
        assert_eq!(held, expected);
    }
}

fn verdict(wish: Wish, now: UtcTimestamp) -> Verdict {
    let at = |after| now.after(seconds(after));
    match wish {
        Wish::Accepted => Verdict::Accepted {
            provider_message_id: None,
        },
        Wish::Retry { after } => Verdict::Retry {
            due_at: at(after),
            outcome: Outcome::NotDelivered,
        },
        Wish::Unknown { after } => Verdict::Retry {
            due_at: at(after),
            outcome: Outcome::Unknown,
        },
        Wish::Postponed { after } => Verdict::Postponed { due_at: at(after) },
        Wish::Refused => Verdict::Refused,
        Wish::Pointless | Wish::Unreachable => Verdict::Pointless,
        Wish::Presumed => Verdict::PresumedAccepted,
        Wish::Undecided => Verdict::Undecided,
        Wish::Released => Verdict::Released { hold: None },
        Wish::Held { probe_in } => Verdict::Released {
            hold: Some(hold_order(Some(at(probe_in)))),
        },
    }
}

fn hold_order(probe_at: Option<UtcTimestamp>) -> HoldOrder {
    HoldOrder {
        channel: Channel::WechatSubscribe,
        cause: HoldCause::Platform,
        reason: "on purpose".to_owned(),
        errcode: None,
        probe_at,
        held_by: "model".to_owned(),
    }
}
