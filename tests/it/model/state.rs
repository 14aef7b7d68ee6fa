//! The outbox as it should be, in plain maps.

use std::collections::{BTreeMap, BTreeSet};

use shared::domain::{OutboxMessageId, RecipientId, UtcTimestamp};
use shared::outbox::{
    ClaimedMessage, FallbackChannels, Message, Outcome, Priority, RESCUES_MAX, RetryPolicy,
    SILENCE_MAX, Status, UNDO_WINDOW, Verdict,
};

use super::step::RELAYS;
use crate::harness::{moment, seconds};

/// How long leases last here: longer than silence, so that either may end one.
pub const LEASE_SECONDS: u64 = 10;
/// How long after one probe of the held channel the next may follow.
pub const PROBE_INTERVAL_SECONDS: u64 = 15;

/// Everything that is known.
pub struct State {
    pub now: UtcTimestamp,
    pub rows: BTreeMap<OutboxMessageId, Row>,
    /// When each relay last said that it is alive.
    pub heartbeats: [Option<UtcTimestamp>; RELAYS],
    pub hold: Option<Hold>,
    /// In the order in which they were made.
    pub repairs: Vec<Repair>,
    fences_given: BTreeSet<(OutboxMessageId, i64)>,
}

/// What matters of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub status: Status,
    pub subject: Option<String>,
    pub priority: Priority,
    pub attempt: i32,
    pub attempts_max: i32,
    pub fence: i64,
    pub rescues: i32,
    pub due_at: UtcTimestamp,
    pub expires_at: Option<UtcTimestamp>,
    /// The number of the relay and the end of its lease.
    pub lease: Option<(usize, UtcTimestamp)>,
    pub outcome_unknown: bool,
    pub finished_at: Option<UtcTimestamp>,
    pub recipient: RecipientId,
    /// How many channels it may go on to.
    pub fallbacks: usize,
    pub fallback_of: Option<OutboxMessageId>,
    pub fell_back_to: Option<OutboxMessageId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub probe_at: Option<UtcTimestamp>,
    pub held_since: UtcTimestamp,
}

/// What an operator has done to one message, and how it was before.
#[derive(Debug, Clone)]
pub struct Repair {
    message: OutboxMessageId,
    at: UtcTimestamp,
    after: Row,
    before: Row,
    is_undone: bool,
}

/// What an order to undo is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoAnswer {
    PutBack,
    /// The message has moved since, and was left alone.
    Moved,
    AlreadyUndone,
    TooLate,
}

/// The name of a relay by its number.
pub fn relay_name(number: usize) -> String {
    format!("relay-{number}")
}

impl Row {
    /// The same facts, read from the table.
    pub fn of(message: &Message) -> Self {
        let relay = message.claimed_by.as_ref().map(|name| {
            (0..RELAYS)
                .find(|number| relay_name(*number) == name.as_str())
                .expect("a relay of the model")
        });
        Self {
            status: message.status,
            subject: message.subject.clone(),
            priority: message.priority,
            attempt: message.attempt,
            attempts_max: message.attempts_max,
            fence: message.fence,
            rescues: message.rescues,
            due_at: message.due_at,
            expires_at: message.expires_at,
            lease: relay.zip(message.lease_expires_at),
            outcome_unknown: message.outcome_unknown,
            finished_at: message.finished_at,
            recipient: message.recipient_id.clone(),
            fallbacks: message
                .fallbacks
                .iter()
                .flat_map(FallbackChannels::iter)
                .count(),
            fallback_of: message.fallback_of.clone(),
            fell_back_to: message.fell_back_to.clone(),
        }
    }

    /// By what a repair knows a row that has not moved since: the moment that it left there is its own.
    fn mark(&self) -> (Status, i64, Option<UtcTimestamp>) {
        let moment = self.finished_at.or(Some(self.due_at));
        (self.status, self.fence, moment)
    }

    fn finish(&mut self, status: Status, now: UtcTimestamp) {
        self.status = status;
        self.finished_at = status.is_final().then_some(now);
    }
}

impl State {
    pub fn new() -> Self {
        Self {
            now: moment(),
            rows: BTreeMap::new(),
            heartbeats: [Some(moment()); RELAYS],
            hold: None,
            repairs: Vec::new(),
            fences_given: BTreeSet::new(),
        }
    }

    /// What a claim may take, most urgent first: its size, and the urgency of each place in it.
    /// Which of several equally urgent messages it takes is its own affair.
    pub fn claimable(&mut self, limit: usize) -> Vec<(Priority, UtcTimestamp)> {
        let mut due: Vec<(Priority, UtcTimestamp)> = self
            .rows
            .values()
            .filter(|row| row.status == Status::Pending && row.due_at <= self.now)
            .filter(|row| row.expires_at.is_none_or(|end| end > self.now))
            .map(|row| (row.priority, row.due_at))
            .collect();
        due.sort_unstable();
        let limit = match &mut self.hold {
            None => limit,
            Some(Hold {
                probe_at: Some(probe_at),
                ..
            }) if *probe_at <= self.now => {
                let probes = limit.min(due.len()).min(1);
                if probes == 1 {
                    *probe_at = self.now.after(seconds(PROBE_INTERVAL_SECONDS));
                }
                probes
            }
            Some(_) => 0,
        };
        due.truncate(limit);
        due
    }

    /// A relay was given this message.
    pub fn claimed(&mut self, relay: usize, message: &ClaimedMessage) {
        let row = self
            .rows
            .get_mut(&message.id)
            .expect("a message of the model");
        assert_eq!(
            (row.status, row.lease),
            (Status::Pending, None),
            "leased twice"
        );
        assert!(
            self.fences_given
                .insert((message.id.clone(), message.fence)),
            "fence {} was given before",
            message.fence
        );
        row.status = Status::Sending;
        row.attempt += 1;
        row.fence += 1;
        row.lease = Some((relay, self.now.after(seconds(LEASE_SECONDS))));
        assert!(
            row.attempt <= row.attempts_max,
            "more attempts than allowed"
        );
    }

    /// What a settlement does: the new status, or none if the lease is lost.
    pub fn settled(
        &mut self,
        relay: usize,
        message: &ClaimedMessage,
        verdict: &Verdict,
    ) -> Option<Status> {
        let now = self.now;
        let row = self
            .rows
            .get_mut(&message.id)
            .expect("a message of the model");
        let holder = row.lease.map(|(holder, _)| holder);
        if row.status != Status::Sending || holder != Some(relay) || row.fence != message.fence {
            return None;
        }
        row.lease = None;
        row.rescues = 0;
        match verdict {
            Verdict::Accepted { .. } => {
                row.outcome_unknown = false;
                row.finish(Status::Sent, now);
                self.lift_proven_wrong(message);
            }
            Verdict::Retry { due_at, outcome } => {
                row.due_at = *due_at;
                row.outcome_unknown |= *outcome == Outcome::Unknown;
                let left = row.attempt < row.attempts_max;
                row.finish(
                    if left {
                        Status::Pending
                    } else {
                        Status::Failed
                    },
                    now,
                );
            }
            Verdict::Postponed { due_at } => {
                row.due_at = *due_at;
                row.attempt -= 1;
                row.finish(Status::Pending, now);
                self.lift_proven_wrong(message);
            }
            Verdict::PresumedAccepted => {
                row.outcome_unknown = true;
                row.finish(Status::Sent, now);
            }
            Verdict::Undecided => {
                row.outcome_unknown = true;
                row.finish(Status::Failed, now);
            }
            Verdict::Refused => {
                row.finish(Status::Failed, now);
                self.lift_proven_wrong(message);
            }
            Verdict::Pointless => {
                row.finish(Status::Skipped, now);
                self.lift_proven_wrong(message);
            }
            Verdict::Released { hold } => {
                row.attempt -= 1;
                row.finish(Status::Pending, now);
                if let Some(order) = hold {
                    // Behind the others when the channel is probed.
                    if let Some(probe_at) = order.probe_at {
                        row.due_at = probe_at.after(seconds(1));
                    }
                    self.hold(order.probe_at);
                }
            }
        }
        Some(self.rows[&message.id].status)
    }

    /// Whether a message whose recipient is out of reach goes on.
    pub fn may_go_on(&self, id: &OutboxMessageId) -> bool {
        let row = &self.rows[id];
        row.fallbacks > 0 && row.fell_back_to.is_none()
    }

    /// It went on as this message.
    pub fn went_on(&mut self, id: &OutboxMessageId, next: &OutboxMessageId) {
        let now = self.now;
        let row = self.rows.get_mut(id).expect("a message of the model");
        row.fell_back_to = Some(next.clone());
        let taken_over = Row {
            status: Status::Pending,
            attempt: 0,
            attempts_max: RetryPolicy::default().attempts_max,
            fence: 0,
            rescues: 0,
            due_at: now,
            lease: None,
            outcome_unknown: false,
            finished_at: None,
            fallbacks: row.fallbacks - 1,
            fallback_of: Some(id.clone()),
            fell_back_to: None,
            ..row.clone()
        };
        let before = self.rows.insert(next.clone(), taken_over);
        assert!(before.is_none(), "a new message");
    }

    /// Whether another message to the same recipient waits or is under way. A claim takes one of them at
    /// a time, in an order that is its own affair; the model keeps out of it.
    pub fn recipient_is_busy(&self, id: &OutboxMessageId) -> bool {
        let recipient = &self.rows[id].recipient;
        self.rows.iter().any(|(other, row)| {
            other != id && row.recipient == *recipient && !row.status.is_final()
        })
    }

    /// The message of a repair.
    pub fn repaired(&self, number: usize) -> &OutboxMessageId {
        &self.repairs[number].message
    }

    /// The platform answered about a probe alone: the channel works, unless only a person may say so.
    fn lift_proven_wrong(&mut self, message: &ClaimedMessage) {
        let now = self.now;
        let proven = |hold: Hold| hold.probe_at.is_some() && hold.held_since <= now;
        if message.is_probe && self.hold.is_some_and(proven) {
            self.hold = None;
        }
    }

    pub fn hold(&mut self, probe_at: Option<UtcTimestamp>) {
        let held_since = self.hold.map_or(self.now, |hold| hold.held_since);
        self.hold = Some(Hold {
            probe_at,
            held_since,
        });
    }

    /// Takes back what is over: which messages wait again, which are given up.
    pub fn reclaim(&mut self) -> (BTreeSet<OutboxMessageId>, BTreeSet<OutboxMessageId>) {
        let now = self.now;
        let silent = self
            .heartbeats
            .map(|beat| beat.is_none_or(|beat| now.since(beat) >= SILENCE_MAX));
        let mut rescued = BTreeSet::new();
        let mut failed = BTreeSet::new();
        for (id, row) in &mut self.rows {
            let over = row
                .lease
                .is_some_and(|(relay, end)| silent[relay] || end <= now);
            if !over {
                continue;
            }
            row.lease = None;
            row.rescues += 1;
            row.outcome_unknown = true;
            if row.rescues >= RESCUES_MAX || row.attempt >= row.attempts_max {
                row.finish(Status::Failed, now);
                failed.insert(id.clone());
            } else {
                row.finish(Status::Pending, now);
                rescued.insert(id.clone());
            }
        }
        (rescued, failed)
    }

    /// Cancels what expired while it waited: how many.
    pub fn cancel_expired(&mut self) -> usize {
        let now = self.now;
        let expired = self.rows.values_mut().filter(|row| {
            row.status == Status::Pending && row.expires_at.is_some_and(|end| end <= now)
        });
        expired
            .map(|row| row.finish(Status::Cancelled, now))
            .count()
    }

    /// Cancels what waits about this subject and has certainly not been delivered: which messages. What
    /// is under way stays where it is.
    pub fn supersede(&mut self, subject: &str) -> BTreeSet<OutboxMessageId> {
        let now = self.now;
        let mut superseded = BTreeSet::new();
        for (id, row) in &mut self.rows {
            let about = row.subject.as_deref() == Some(subject);
            if about && row.status == Status::Sending {
                row.fallbacks = 0;
            }
            if about && row.status == Status::Pending && !row.outcome_unknown {
                row.finish(Status::Cancelled, now);
                superseded.insert(id.clone());
            }
        }
        superseded
    }

    /// Whether an operator may put it back, and what becomes of it then.
    pub fn requeue(&mut self, id: &OutboxMessageId, attempts: i32) -> bool {
        let now = self.now;
        let row = self.rows.get_mut(id).expect("a message of the model");
        let allowed = [Status::Failed, Status::Skipped, Status::Cancelled].contains(&row.status);
        if allowed {
            let before = row.clone();
            row.finish(Status::Pending, now);
            row.attempts_max = row.attempt + attempts.max(1);
            row.rescues = 0;
            row.due_at = now;
            row.expires_at = None;
            self.repairs.push(Repair::of(id, before, row, now));
        }
        allowed
    }

    /// Whether an operator may take it back, and what becomes of it then.
    pub fn cancel(&mut self, id: &OutboxMessageId) -> bool {
        let now = self.now;
        let row = self.rows.get_mut(id).expect("a message of the model");
        let allowed = [Status::Pending, Status::Failed].contains(&row.status);
        if allowed {
            let before = row.clone();
            row.finish(Status::Cancelled, now);
            self.repairs.push(Repair::of(id, before, row, now));
        }
        allowed
    }

    /// Puts the message of a repair back as it was, if it is still as the repair had left it.
    pub fn undo(&mut self, number: usize) -> UndoAnswer {
        let repair = &mut self.repairs[number];
        if repair.is_undone {
            return UndoAnswer::AlreadyUndone;
        }
        if self.now.since(repair.at) > UNDO_WINDOW {
            return UndoAnswer::TooLate;
        }
        repair.is_undone = true;
        let row = self
            .rows
            .get_mut(&repair.message)
            .expect("a message of the model");
        if row.mark() != repair.after.mark() {
            return UndoAnswer::Moved;
        }
        *row = repair.before.clone();
        UndoAnswer::PutBack
    }
}

impl Repair {
    fn of(message: &OutboxMessageId, before: Row, after: &Row, at: UtcTimestamp) -> Self {
        Self {
            message: message.clone(),
            at,
            after: after.clone(),
            before,
            is_undone: false,
        }
    }
}

/// The arrows of the diagram in the outbox's documentation.
pub fn arrows_of_diagram() -> BTreeSet<(Status, Status)> {
    use Status::{Cancelled, Failed, Pending, Sending, Sent, Skipped};
    BTreeSet::from([
        (Pending, Sending),
        (Pending, Cancelled),
        (Sending, Pending),
        (Sending, Sent),
        (Sending, Failed),
        (Sending, Skipped),
        (Failed, Pending),
        (Failed, Cancelled),
        (Skipped, Pending),
        (Cancelled, Pending),
    ])
}

/// The ways that only the undoing of a repair goes.
pub fn arrows_of_undoing() -> BTreeSet<(Status, Status)> {
    use Status::{Cancelled, Failed, Pending, Skipped};
    BTreeSet::from([(Pending, Failed), (Pending, Skipped), (Cancelled, Failed)])
}
