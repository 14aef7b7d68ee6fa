use std::collections::HashSet;
use std::time::Duration;

use super::attempt::{self, Attempt};
use super::fallback::{Fallback, FallbackCause, fall_back};
use super::hold::{HoldOrder, hold_channel, lift_proven_wrong};
use super::refused_recipients::give_messages_of_their_own;
use super::{ClaimedMessage, RefusedRecipients, Status, digest};
use crate::db::dialect::{self, SettledRow};
use crate::db::{DbError, WriteTransaction};
use crate::domain::{AttemptId, Channel, OutboxMessageId, RelayName, UtcTimestamp};

/// What is to become of a message after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The platform took it.
    Accepted {
        /// Its id there, if it told one.
        provider_message_id: Option<String>,
    },
    /// Nobody said so, but this attempt or an earlier one counts as taken: settled as sent, and still
    /// marked `outcome_unknown`.
    PresumedAccepted,
    /// It may have been delivered, and whether to send it again is a person's decision: settled as
    /// failed, marked `outcome_unknown`.
    Undecided,
    /// Try again at that moment; becomes *failed* when no attempt is left.
    Retry {
        /// When.
        due_at: UtcTimestamp,
        /// Whether this attempt may have been delivered.
        outcome: Outcome,
    },
    /// Try again at that moment, and the attempt does not count: the platform asked for order, not
    /// for fewer messages.
    Postponed {
        /// When.
        due_at: UtcTimestamp,
    },
    /// The platform will never take it.
    Refused,
    /// There is nothing to do, for the reason given in the report.
    Pointless,
    /// Nothing was sent and nobody is to blame: the relay is stopping, or the channel is held.
    Released {
        /// Why the channel is to be held, if it is.
        hold: Option<HoldOrder>,
    },
}

/// What is known about an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not delivered.
    NotDelivered,
    /// Written to the platform without an answer: it may have been delivered.
    Unknown,
}

/// How an attempt went, for the attempts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    /// When it began.
    pub started_at: UtcTimestamp,
    /// How long it took.
    pub duration: Duration,
    /// The rule that made the verdict.
    pub rule: String,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// The platform's code, if it gave one.
    pub errcode: Option<i64>,
    /// What went wrong, in words, redacted.
    pub error: Option<String>,
}

/// The end of one lease.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The message as it was claimed.
    pub message: ClaimedMessage,
    /// What is to become of it.
    pub verdict: Verdict,
    /// How it went.
    pub report: AttemptReport,
    /// For whom of its recipients the platform did not take it, if it took it for others. Looked at
    /// with [`Verdict::Accepted`] alone.
    pub refused_recipients: Option<RefusedRecipients>,
    /// Why its recipient is to be told on the next channel, if that is why it ended. Looked at with
    /// [`Verdict::Refused`] and [`Verdict::Pointless`] alone.
    pub falls_back: Option<FallbackCause>,
}

impl AttemptReport {
    pub(super) fn duration_ms(&self) -> i64 {
        i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX)
    }
}

/// What [`settle`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Rows settled, by the status they now have.
    pub settled: Vec<(OutboxMessageId, Status)>,
    /// Messages whose lease had passed to somebody else: a normal outcome, nothing was written.
    pub leases_lost: Vec<OutboxMessageId>,
    /// Messages that took over from settled ones.
    pub fallbacks: Vec<Fallback>,
}

impl Verdict {
    /// The word for it in the attempts table and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::PresumedAccepted => "presumed",
            Self::Undecided => "undecided",
            Self::Retry {
                outcome: Outcome::NotDelivered,
                ..
            } => "retry",
            Self::Retry {
                outcome: Outcome::Unknown,
                ..
            } => "unknown",
            Self::Postponed { .. } => "postponed",
            Self::Refused => "refused",
            Self::Pointless => "pointless",
            Self::Released { hold: Some(_) } => "held",
            Self::Released { hold: None } => "released",
        }
    }
}

/// Ends leases, a whole batch at a time: writes the new status, records what did not simply
/// succeed, and holds or lifts channels accordingly. Recipients whom the platform left out get a failed
/// message of their own; those who cannot be reached on a channel are told on the next one of their
/// message; a digest that the platform does not take is dissolved.
///
/// Only rows that this relay still holds under the same fence are touched.
///
/// # Errors
/// What the database says; then nothing of the batch is settled.
pub fn settle(
    transaction: &mut WriteTransaction<'_>,
    relay: &RelayName,
    settlements: &[Settlement],
    now: UtcTimestamp,
) -> Result<Settled, DbError> {
    if settlements.is_empty() {
        return Ok(Settled::default());
    }
    // By lease, not by message: a batch may hold a late settlement of an earlier lease as well.
    let mut leases = HashSet::new();
    let rows: Vec<SettledRow> = settlements
        .iter()
        .filter(|s| leases.insert((&s.message.id, s.message.fence)))
        .map(|settlement| row(settlement, now))
        .collect();
    let mut held: HashSet<(OutboxMessageId, i64)> =
        dialect::settle_rows(transaction.connection(), relay, &rows)?
            .into_iter()
            .collect();

    let (in_time, late): (Vec<&Settlement>, Vec<&Settlement>) = settlements
        .iter()
        .partition(|s| held.remove(&(s.message.id.clone(), s.message.fence)));
    let attempts: Vec<Attempt> = in_time.iter().filter_map(|s| recorded(s, relay)).collect();
    attempt::record(transaction.connection(), &attempts)?;
    give_messages_of_their_own(transaction.connection(), relay, &in_time, now)?;
    let fallbacks = fall_back(transaction, &in_time, now)?;
    digest::remember_quiet(transaction.connection(), &in_time)?;
    digest::dissolve(transaction, &in_time, now)?;
    update_holds(transaction, &in_time, now)?;
    Ok(Settled {
        settled: in_time
            .iter()
            .map(|s| (s.message.id.clone(), status_after(s)))
            .collect(),
        leases_lost: late.iter().map(|s| s.message.id.clone()).collect(),
        fallbacks,
    })
}

/// An attempt is recorded unless it simply succeeded, for everybody, or was never begun.
fn recorded(settlement: &Settlement, relay: &RelayName) -> Option<Attempt> {
    match &settlement.verdict {
        Verdict::Accepted { .. } if settlement.refused_recipients.is_none() => None,
        Verdict::Released { hold: None } => None,
        verdict => Some(Attempt {
            id: AttemptId::generate(),
            message_id: settlement.message.id.clone(),
            attempt: settlement.message.attempt,
            fence: settlement.message.fence,
            relay: relay.clone(),
            started_at: settlement.report.started_at,
            duration_ms: settlement.report.duration_ms(),
            verdict: verdict.as_str().to_owned(),
            rule: settlement.report.rule.clone(),
            http_status: settlement.report.http_status.map(i32::from),
            errcode: settlement.report.errcode,
            errmsg: settlement.report.error.as_deref().map(storable),
        }),
    }
}

/// How long after the next probe a message comes whose own attempt held the channel.
const BEHIND_THE_PROBE: Duration = Duration::from_secs(1);

/// What came from outside, in a form that every database stores: one of them refuses NUL in a text,
/// and a settlement that cannot be written would stop all others.
pub(super) fn storable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn status_after(settlement: &Settlement) -> Status {
    let message = &settlement.message;
    match &settlement.verdict {
        Verdict::Accepted { .. } | Verdict::PresumedAccepted => Status::Sent,
        Verdict::Retry { .. } if message.attempt >= message.attempts_max => Status::Failed,
        Verdict::Retry { .. } | Verdict::Postponed { .. } | Verdict::Released { .. } => {
            Status::Pending
        }
        Verdict::Refused if digest::is_dissolved(settlement) => Status::Skipped,
        Verdict::Refused | Verdict::Undecided => Status::Failed,
        Verdict::Pointless => Status::Skipped,
    }
}

fn row(settlement: &Settlement, now: UtcTimestamp) -> SettledRow {
    let status = status_after(settlement);
    let report = &settlement.report;
    let mut row = SettledRow {
        id: settlement.message.id.clone(),
        fence: settlement.message.fence,
        status: status.as_str(),
        attempts_given_back: 0,
        due_at: None,
        outcome_unknown: None,
        errcode: report.errcode,
        error: report.error.as_deref().map(storable),
        provider_message_id: None,
        finished_at: status.is_final().then_some(now),
    };
    if digest::is_dissolved(settlement) {
        let reason = row.error.get_or_insert_default();
        reason.push_str(digest::DISSOLVED);
    }
    match &settlement.verdict {
        Verdict::Accepted {
            provider_message_id,
        } => {
            row.outcome_unknown = Some(false);
            row.errcode = None;
            row.error = None;
            row.provider_message_id = provider_message_id.as_deref().map(storable);
        }
        Verdict::Retry { due_at, outcome } => {
            row.due_at = Some(*due_at);
            // Once unknown, always unknown, until somebody knows.
            row.outcome_unknown = (*outcome == Outcome::Unknown).then_some(true);
        }
        Verdict::Postponed { due_at } => {
            row.due_at = Some(*due_at);
            row.attempts_given_back = 1;
        }
        Verdict::Undecided | Verdict::PresumedAccepted => row.outcome_unknown = Some(true),
        Verdict::Refused | Verdict::Pointless => {}
        Verdict::Released { hold } => {
            row.attempts_given_back = 1;
            // Behind the others when the channel is tried again: if this message alone is what the
            // platform objects to, the next probe takes another one.
            let next_probe = hold.as_ref().and_then(|order| order.probe_at);
            row.due_at = next_probe.map(|probe_at| probe_at.after(BEHIND_THE_PROBE));
        }
    }
    row
}

/// The platform took the message, or answered about this message alone: nothing is wrong with the
/// channel.
fn shows_that_the_channel_works(settlement: &Settlement) -> bool {
    match &settlement.verdict {
        Verdict::Accepted { .. } => true,
        Verdict::Refused | Verdict::Pointless | Verdict::Postponed { .. } => {
            settlement.report.errcode.is_some()
        }
        Verdict::PresumedAccepted
        | Verdict::Undecided
        | Verdict::Retry { .. }
        | Verdict::Released { .. } => false,
    }
}

/// What the batch says about each channel as a whole: that it works, or that it must be held.
fn update_holds(
    transaction: &mut WriteTransaction<'_>,
    settlements: &[&Settlement],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    for &channel in Channel::ALL {
        let on_channel = || {
            settlements
                .iter()
                .filter(move |s| s.message.channel == channel)
        };
        let last_success = on_channel()
            .filter(|s| s.message.is_probe && shows_that_the_channel_works(s))
            .map(|s| s.report.started_at)
            .max();
        let last_order = on_channel().rev().find_map(|s| match &s.verdict {
            Verdict::Released { hold } => hold.as_ref(),
            Verdict::Accepted { .. }
            | Verdict::PresumedAccepted
            | Verdict::Undecided
            | Verdict::Retry { .. }
            | Verdict::Postponed { .. }
            | Verdict::Refused
            | Verdict::Pointless => None,
        });
        if let Some(order) = last_order {
            hold_channel(transaction, order.clone(), now)?;
        } else if let Some(set_out_at) = last_success {
            lift_proven_wrong(transaction, channel, set_out_at)?;
        }
    }
    Ok(())
}
