use std::time::Duration;

use diesel::prelude::*;
use serde::Serialize;

use super::{
    Cause, DIGEST, DO_NOT_DISTURB, Facts, Hold, Life, Message, RESCUES_MAX, RecipientLimit,
    SILENCE_MAX, Status, UnknownOutcomePolicy, digest, find,
};
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, DbError};
use crate::domain::{Channel, OutboxMessageId, UtcTimestamp};

/// Why a message is not sent, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which message.
    pub id: OutboxMessageId,
    /// Where it stands.
    pub status: Status,
    /// Why.
    pub cause: Cause,
    /// The cause as a sentence.
    pub text: String,
    /// When something happens by itself, if that can be told.
    pub expected_at: Option<UtcTimestamp>,
    /// What a person has to do, if anything.
    pub fix: Option<&'static str>,
    /// The message that took over from it, on another channel.
    pub fell_back_to: Option<LinkedMessage>,
    /// The message that it took over from.
    pub fallback_of: Option<LinkedMessage>,
}

/// Another message that has to do with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedMessage {
    /// Which one.
    pub id: OutboxMessageId,
    /// How it goes out; empty if it was deleted since.
    pub channel: Option<Channel>,
    /// Where it stands; empty if it was deleted since.
    pub status: Option<Status>,
}

impl LinkedMessage {
    /// The channel in words.
    fn place(&self) -> String {
        self.channel
            .map(|channel| format!(" on {channel}"))
            .unwrap_or_default()
    }
}

/// Says why a message is not sent: one answer, the same for the same facts. `None` if there is no
/// such message.
///
/// # Errors
/// What the database says.
pub fn explain(
    connection: &mut DbConnection,
    id: &OutboxMessageId,
    now: UtcTimestamp,
) -> Result<Option<Explanation>, DbError> {
    let Some(message) = find(connection, id)? else {
        return Ok(None);
    };
    let fell_back_to = linked(connection, message.fell_back_to.as_ref())?;
    let fallback_of = linked(connection, message.fallback_of.as_ref())?;
    let facts = Facts::gather(connection, message, now)?;
    let cause = decide(&facts, now);
    let mut text = cause.sentence();
    if let Some(other) = &fallback_of {
        text.push_str(&format!(
            "; it took over from {}{}",
            other.id,
            other.place()
        ));
    }
    if let Some(other) = &fell_back_to {
        text.push_str(&format!("; it went on as {}{}", other.id, other.place()));
    }
    let status = facts.message.status;
    // What went on needs nothing done: requeued, it would tell the recipient twice.
    let is_told_otherwise = fell_back_to.is_some() && status.can_be_requeued();
    Ok(Some(Explanation {
        id: facts.message.id,
        status,
        text,
        expected_at: cause.expected_at(),
        fix: cause.fix().filter(|_| !is_told_otherwise),
        cause,
        fell_back_to,
        fallback_of,
    }))
}

fn linked(
    connection: &mut DbConnection,
    id: Option<&OutboxMessageId>,
) -> Result<Option<LinkedMessage>, DbError> {
    let Some(id) = id else {
        return Ok(None);
    };
    let found: Option<(Channel, Status)> = outbox_messages::table
        .find(id)
        .select((outbox_messages::channel, outbox_messages::status))
        .first(connection)
        .optional()?;
    let (channel, status) = found.unzip();
    Ok(Some(LinkedMessage {
        id: id.clone(),
        channel,
        status,
    }))
}

/// The answer from the facts: pure.
pub fn decide(facts: &Facts, now: UtcTimestamp) -> Cause {
    match facts.message.status {
        Status::Pending => pending(facts, now),
        Status::Sending => sending(facts, now),
        Status::Sent => sent(&facts.message),
        Status::Failed => failed(facts),
        Status::Skipped => skipped(facts),
        Status::Cancelled => cancelled(facts),
    }
}

fn pending(facts: &Facts, now: UtcTimestamp) -> Cause {
    let message = &facts.message;
    if let Some(expires_at) = message.expires_at
        && expires_at <= now
    {
        return Cause::Expired {
            at: Some(expires_at),
        };
    }
    if message.due_at > now && !waits_for_the_probe(facts) {
        return not_due(facts);
    }
    if let Some(cause) = channel_at_rest(facts.hold.as_ref(), facts.live_relays) {
        return cause;
    }
    match &facts.under_way {
        Some(other) => Cause::BehindSameRecipient {
            message: other.clone(),
        },
        None => recipient_limited(facts, now).unwrap_or_else(|| in_line(facts, now)),
    }
}

fn recipient_limited(facts: &Facts, now: UtcTimestamp) -> Option<Cause> {
    let limit = RecipientLimit::of(facts.message.channel)?;
    let about = limit.next_after(&facts.sent_lately, now)?;
    Some(Cause::RecipientLimited {
        per_minute: limit.per_minute,
        per_hour: limit.per_hour,
        about,
    })
}

fn in_line(facts: &Facts, now: UtcTimestamp) -> Cause {
    const MINUTE: Duration = Duration::from_secs(60);
    let ahead = facts.ahead;
    match facts.settings.rate_per_minute {
        Some(per_minute) => {
            let turns = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
            Cause::RateLimited {
                per_minute,
                ahead,
                about: now.after(MINUTE.saturating_mul(turns) / per_minute.unsigned_abs().max(1)),
            }
        }
        None => Cause::InLine {
            ahead,
            due_since: facts.message.due_at,
        },
    }
}

/// Whether the hold, and not its due time, is what a message waits for: it caused the hold and was
/// put behind the next probe, or the hold lasts longer.
fn waits_for_the_probe(facts: &Facts) -> bool {
    facts.hold.as_ref().is_some_and(|hold| {
        hold.probe_at
            .is_none_or(|probe_at| probe_at >= facts.message.due_at)
            || facts.message.last_error.as_deref() == Some(hold.reason.as_str())
    })
}

fn not_due(facts: &Facts) -> Cause {
    let message = &facts.message;
    let last_rule = facts.last_attempt.as_ref().map(|last| last.rule.as_str());
    if message.quiet_until.is_some() || last_rule == Some(DO_NOT_DISTURB) {
        Cause::DoNotDisturb {
            until: message.due_at,
        }
    } else if message.attempt > 0 {
        Cause::WaitsForRetry {
            until: message.due_at,
            attempts: message.attempt,
            attempts_max: message.attempts_max,
            error: message.last_error.clone(),
        }
    } else {
        Cause::NotDue {
            until: message.due_at,
        }
    }
}

/// Why nothing at all moves on a channel.
pub(super) fn channel_at_rest(hold: Option<&Hold>, live_relays: usize) -> Option<Cause> {
    if live_relays == 0 {
        return Some(Cause::NoLiveRelay);
    }
    hold.map(|hold| Cause::ChannelHeld {
        reason: hold.reason.clone(),
        errcode: hold.errcode,
        held_by: hold.held_by.clone(),
        since: hold.held_since,
        probe_at: hold.probe_at,
    })
}

fn sending(facts: &Facts, now: UtcTimestamp) -> Cause {
    let message = &facts.message;
    let (Some(relay), Some(until)) = (message.claimed_by.clone(), message.lease_expires_at) else {
        // The table's constraints leave no such row.
        return Cause::NoLiveRelay;
    };
    let alive = facts
        .claimer
        .as_ref()
        .is_some_and(|relay| relay.life(now) == Life::Alive);
    if alive && until > now {
        return Cause::Leased { relay, until };
    }
    let silent_at = facts
        .claimer
        .as_ref()
        .map_or(now, |relay| relay.heartbeat_at.after(SILENCE_MAX));
    Cause::RelaySilent {
        relay,
        reclaimed_at: silent_at.min(until),
        live_relays: facts.live_relays,
    }
}

fn sent(message: &Message) -> Cause {
    let at = message.sent_at.unwrap_or(message.created_at);
    if message.outcome_unknown {
        Cause::PresumedSent { at }
    } else {
        Cause::Sent { at }
    }
}

fn failed(facts: &Facts) -> Cause {
    let message = &facts.message;
    if message.rescues >= RESCUES_MAX {
        return Cause::CrashLoop {
            rescues: message.rescues,
        };
    }
    let last = facts.last_attempt.as_ref();
    let rule = last.map(|attempt| attempt.rule.clone());
    let resends = facts.settings.unknown_outcome == UnknownOutcomePolicy::Resend;
    let unknown = last.is_some_and(|attempt| match attempt.verdict.as_str() {
        "undecided" => true,
        // Left to a person although attempts were left.
        "rescued" => !resends && message.attempt < message.attempts_max,
        _ => false,
    });
    if unknown {
        return Cause::LeftToAPerson {
            error: message.last_error.clone(),
        };
    }
    if last.is_some_and(|attempt| attempt.verdict == "refused") {
        Cause::Refused {
            errcode: message.last_errcode,
            rule,
            error: message.last_error.clone(),
        }
    } else {
        Cause::AttemptsUsedUp {
            attempts: message.attempt,
            errcode: message.last_errcode,
            rule,
            error: message.last_error.clone(),
        }
    }
}

/// "No subscription left", in the platform's words.
const NO_SUBSCRIPTION: i64 = 43_101;

fn skipped(facts: &Facts) -> Cause {
    let message = &facts.message;
    if let Some(digest) = &message.digest_id {
        return in_digest(digest, facts.digest);
    }
    if message.kind == DIGEST && !message.outcome_unknown {
        let reason = message.last_error.as_deref();
        let reason = reason.map(|text| text.strip_suffix(digest::DISSOLVED).unwrap_or(text));
        return Cause::Dissolved {
            reason: reason.map(str::to_owned),
        };
    }
    let reason = message.last_error.as_deref().unwrap_or_default();
    let rule = facts.last_attempt.as_ref().map(|last| last.rule.as_str());
    if message.last_errcode == Some(NO_SUBSCRIPTION) {
        Cause::NoSubscription
    } else if rule == Some("cloud_function/no_recipient") || reason.contains("no binding") {
        Cause::NoBinding
    } else if reason.contains("the route is") {
        Cause::RouteOff
    } else {
        Cause::NothingToDo {
            reason: message.last_error.clone(),
        }
    }
}

/// A digest is deleted with what it tells of, so it is there.
fn in_digest(digest: &OutboxMessageId, stands: Option<(Status, UtcTimestamp)>) -> Cause {
    let (status, due_at) = stands.map_or((Status::Sent, None), |(status, due_at)| {
        (status, (status == Status::Pending).then_some(due_at))
    });
    Cause::InDigest {
        digest: digest.clone(),
        status,
        due_at,
    }
}

fn cancelled(facts: &Facts) -> Cause {
    let message = &facts.message;
    let at = message.finished_at;
    let reason = message.last_error.as_deref().unwrap_or_default();
    match &facts.cancelled {
        // Of several acts the one that made the row what it is.
        Some(act) if Some(act.at) == at => Cause::Cancelled {
            by: Some(act.actor.clone()),
            at,
            reason: act.detail["reason"].as_str().map(str::to_owned),
        },
        _ if reason.starts_with("superseded") => Cause::Superseded {
            at,
            message: message.superseded_by.clone(),
            reason: reason.strip_prefix("superseded: ").map(str::to_owned),
        },
        _ if reason.starts_with("expired") => Cause::Expired { at },
        _ => Cause::Cancelled {
            by: None,
            at,
            reason: None,
        },
    }
}
