use serde::Serialize;

use super::Status;
use crate::domain::{OutboxMessageId, RelayName, UtcTimestamp};

/// Why a message is not sent: the closed list.
///
/// To add one, add a variant: the compiler then asks for its sentence, its moment and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "code",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub enum Cause {
    /// It is: the platform took it.
    Sent {
        /// When.
        at: UtcTimestamp,
    },
    /// Nobody said so, but an earlier attempt must have arrived.
    PresumedSent {
        /// When that was concluded.
        at: UtcTimestamp,
    },
    /// Its moment has not come.
    NotDue {
        /// When it comes.
        until: UtcTimestamp,
    },
    /// Its recipient does not want to be disturbed.
    DoNotDisturb {
        /// Until then.
        until: UtcTimestamp,
    },
    /// It was tried in vain and will be tried again.
    WaitsForRetry {
        /// When.
        until: UtcTimestamp,
        /// How many attempts were made.
        attempts: i32,
        /// How many there may be.
        attempts_max: i32,
        /// What went wrong last.
        error: Option<String>,
    },
    /// A relay has it in hand.
    Leased {
        /// Which one.
        relay: RelayName,
        /// When the lease ends at the latest.
        until: UtcTimestamp,
    },
    /// The relay that has it in hand does not answer; another one takes it back.
    RelaySilent {
        /// Which one.
        relay: RelayName,
        /// From when on it can be taken back.
        reclaimed_at: UtcTimestamp,
        /// How many relays are there to do so.
        live_relays: usize,
    },
    /// Nothing is sent on its channel for now.
    ChannelHeld {
        /// What is wrong and what to do.
        reason: String,
        /// The platform's code, if it was the platform that said so.
        errcode: Option<i64>,
        /// Who holds it.
        held_by: String,
        /// Since when.
        since: UtcTimestamp,
        /// When one message is tried; empty: not before somebody lifts the hold.
        probe_at: Option<UtcTimestamp>,
    },
    /// No relay is alive.
    NoLiveRelay,
    /// A recipient gets one message at a time on a channel, and another one is under way.
    BehindSameRecipient {
        /// Which one.
        message: OutboxMessageId,
    },
    /// The channel's rate limit lets it out later.
    RateLimited {
        /// Messages per minute, of all relays together.
        per_minute: i32,
        /// How many messages of its channel come first, counted up to [`AHEAD_MAX`].
        ahead: usize,
        /// When it may go out, about.
        about: UtcTimestamp,
    },
    /// Its recipient has had as many messages as the platform shows them; what is beyond it drops.
    RecipientLimited {
        /// In any minute.
        per_minute: u32,
        /// In any hour.
        per_hour: u32,
        /// When it may go out, about.
        about: UtcTimestamp,
    },
    /// It is due and waits its turn.
    InLine {
        /// How many messages of its channel come first, counted up to [`AHEAD_MAX`].
        ahead: usize,
        /// Since when it has been due.
        due_since: UtcTimestamp,
    },
    /// The recipient has no identity in the app.
    NoBinding,
    /// The recipient has no subscription to the template left.
    NoSubscription,
    /// The route was switched off or removed.
    RouteOff,
    /// There was nothing to do, for another reason.
    NothingToDo {
        /// Which.
        reason: Option<String>,
    },
    /// It waited with others until its recipient may be disturbed, and one message tells of all.
    InDigest {
        /// Which one.
        digest: OutboxMessageId,
        /// Where that stands.
        status: Status,
        /// When that is due, while it waits.
        due_at: Option<UtcTimestamp>,
    },
    /// It was to tell of several messages, which go out by themselves instead.
    Dissolved {
        /// Why.
        reason: Option<String>,
    },
    /// What it tells was no longer so before it could be sent.
    Superseded {
        /// When.
        at: Option<UtcTimestamp>,
        /// The message on the same channel that took its place; empty if there is nothing to tell.
        message: Option<OutboxMessageId>,
        /// What happened.
        reason: Option<String>,
    },
    /// An operator took it back.
    Cancelled {
        /// Who; empty if nobody wrote it down.
        by: Option<String>,
        /// When.
        at: Option<UtcTimestamp>,
        /// Why.
        reason: Option<String>,
    },
    /// It became pointless before it could be sent.
    Expired {
        /// When.
        at: Option<UtcTimestamp>,
    },
    /// The platform, or the message itself, does not let it be sent.
    Refused {
        /// The platform's code, if it gave one.
        errcode: Option<i64>,
        /// The rule that decided it.
        rule: Option<String>,
        /// What went wrong.
        error: Option<String>,
    },
    /// Every attempt was in vain.
    AttemptsUsedUp {
        /// How many were made.
        attempts: i32,
        /// The platform's code at the last one, if it gave one.
        errcode: Option<i64>,
        /// The rule that judged the last one.
        rule: Option<String>,
        /// What went wrong last.
        error: Option<String>,
    },
    /// It may have been delivered, and the channel leaves it to a person whether to send it again.
    LeftToAPerson {
        /// What is known.
        error: Option<String>,
    },
    /// Several relays in a row did not come back from it.
    CrashLoop {
        /// How many.
        rescues: i32,
    },
}

/// As many messages ahead are counted, and no more.
pub const AHEAD_MAX: usize = 1_000;

impl Cause {
    /// The cause as a sentence.
    pub fn sentence(&self) -> String {
        let because = |error: &Option<String>| match error {
            Some(error) => format!(": {error}"),
            None => String::new(),
        };
        let code = |errcode: &Option<i64>| match errcode {
            Some(errcode) => format!(" (errcode {errcode})"),
            None => String::new(),
        };
        match self {
            Self::Sent { at } => format!("it is sent: the platform accepted it at {at}"),
            Self::PresumedSent { at } => format!(
                "it is presumed sent since {at}: the platform gave no answer, and afterwards said that nothing more may be sent"
            ),
            Self::NotDue { until } => format!("it is not due until {until}"),
            Self::DoNotDisturb { until } => {
                format!("its recipient does not want to be disturbed until {until}")
            }
            Self::WaitsForRetry {
                until,
                attempts,
                attempts_max,
                error,
            } => format!(
                "attempt {attempts} of {attempts_max} did not work, the next is due at {until}{}",
                because(error)
            ),
            Self::Leased { relay, until } => {
                format!("relay {relay} is delivering it; the lease ends at {until}")
            }
            Self::RelaySilent {
                relay,
                reclaimed_at,
                ..
            } => format!(
                "relay {relay} has it and does not answer; it can be taken back from {reclaimed_at}"
            ),
            Self::ChannelHeld {
                reason,
                held_by,
                since,
                ..
            } => {
                format!("its channel is held by {held_by} since {since}: {reason}")
            }
            Self::NoLiveRelay => "no relay is alive".to_owned(),
            Self::BehindSameRecipient { message } => format!(
                "message {message} to the same recipient is under way, and a recipient gets one at a time"
            ),
            Self::InLine { ahead, due_since } => {
                let more = if *ahead >= AHEAD_MAX { " or more" } else { "" };
                format!(
                    "it is due since {due_since} and waits its turn behind {ahead}{more} on its channel"
                )
            }
            Self::NoBinding => "the recipient has no binding for the app".to_owned(),
            Self::NoSubscription => {
                "the recipient has no subscription to the template left".to_owned()
            }
            Self::RouteOff => "the route of its kind was switched off".to_owned(),
            Self::NothingToDo { reason } => format!("there was nothing to do{}", because(reason)),
            Self::InDigest {
                digest,
                status,
                due_at,
            } => {
                let due = due_at.map(|due_at| format!(", due at {due_at}"));
                format!(
                    "it is told in digest {digest}, which is {status}{}",
                    due.unwrap_or_default()
                )
            }
            Self::Dissolved { reason } => format!(
                "it was a digest, and what it was to tell goes out message by message{}",
                because(reason)
            ),
            Self::Superseded {
                message, reason, ..
            } => {
                let by = message.as_ref().map(|id| format!(" by {id}"));
                format!(
                    "it was superseded{}{}",
                    by.unwrap_or_default(),
                    because(reason)
                )
            }
            Self::Cancelled { by, at, reason } => {
                let by = by.as_deref().unwrap_or("somebody");
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                format!("{by} cancelled it{at}{}", because(reason))
            }
            Self::Expired { .. } => "it expired before it could be sent".to_owned(),
            Self::Refused { errcode, error, .. } => {
                format!("it was refused for good{}{}", code(errcode), because(error))
            }
            Self::AttemptsUsedUp {
                attempts,
                errcode,
                error,
                ..
            } => format!(
                "all {attempts} attempts were in vain{}{}",
                code(errcode),
                because(error)
            ),
            Self::RateLimited {
                per_minute, about, ..
            } => format!(
                "its channel is limited to {per_minute} messages a minute; its turn comes about {about}"
            ),
            Self::RecipientLimited {
                per_minute,
                per_hour,
                about,
            } => format!(
                "its recipient has had as many messages as the platform shows, {per_minute} a minute and {per_hour} an hour; its turn comes about {about}"
            ),
            Self::LeftToAPerson { error } => format!(
                "it may have been delivered, and the channel does not send such messages again by itself{}",
                because(error)
            ),
            Self::CrashLoop { rescues } => {
                format!("{rescues} relays in a row did not come back from it")
            }
        }
    }

    /// When something happens by itself, if that can be told.
    pub fn expected_at(&self) -> Option<UtcTimestamp> {
        match self {
            Self::NotDue { until }
            | Self::DoNotDisturb { until }
            | Self::WaitsForRetry { until, .. }
            | Self::Leased { until, .. } => Some(*until),
            Self::RelaySilent {
                reclaimed_at,
                live_relays,
                ..
            } => (*live_relays > 0).then_some(*reclaimed_at),
            Self::ChannelHeld { probe_at, .. } => *probe_at,
            Self::InDigest { due_at, .. } => *due_at,
            Self::RateLimited { about, .. } | Self::RecipientLimited { about, .. } => Some(*about),
            Self::Sent { .. }
            | Self::PresumedSent { .. }
            | Self::NoLiveRelay
            | Self::BehindSameRecipient { .. }
            | Self::InLine { .. }
            | Self::NoBinding
            | Self::NoSubscription
            | Self::RouteOff
            | Self::NothingToDo { .. }
            | Self::Dissolved { .. }
            | Self::Superseded { .. }
            | Self::Cancelled { .. }
            | Self::Expired { .. }
            | Self::Refused { .. }
            | Self::AttemptsUsedUp { .. }
            | Self::LeftToAPerson { .. }
            | Self::CrashLoop { .. } => None,
        }
    }

    /// What a person has to do; `None` where it goes on by itself or is done.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Sent { .. }
            | Self::NotDue { .. }
            | Self::DoNotDisturb { .. }
            | Self::WaitsForRetry { .. }
            | Self::Leased { .. }
            | Self::BehindSameRecipient { .. }
            | Self::RateLimited { .. }
            | Self::RecipientLimited { .. }
            | Self::Dissolved { .. }
            | Self::Superseded { .. } => None,
            Self::InDigest { status, .. } => match status {
                Status::Pending | Status::Sending | Status::Sent => None,
                Status::Failed | Status::Skipped | Status::Cancelled => Some(
                    "see what became of the digest (outbox explain), and requeue it: it tells of this one as well",
                ),
            },
            Self::LeftToAPerson { .. } => {
                Some("ask the recipient; requeue it if it did not arrive, else leave or cancel it")
            }
            Self::PresumedSent { .. } => {
                Some("ask the recipient; if it did not arrive, the event has to be told anew")
            }
            Self::RelaySilent { live_relays: 0, .. } | Self::NoLiveRelay => {
                Some("start a relay: outbox-relay")
            }
            Self::RelaySilent { .. } => None,
            Self::ChannelHeld { .. } => Some(
                "do what the reason says; the next probe ends the hold, or at once: outbox-relay lift <channel> --reason …",
            ),
            Self::InLine { .. } => Some(
                "if the line does not get shorter: does a living relay have this channel configured (its first log line names its channels), and is CONCURRENCY high enough?",
            ),
            Self::NoBinding => Some("bind the recipient's identity in the app, then requeue"),
            Self::NoSubscription => {
                Some("the recipient has to subscribe in the mini program once more, then requeue")
            }
            Self::RouteOff => Some("switch the route on, then requeue"),
            Self::NothingToDo { .. } => Some("mend what the reason says, then requeue"),
            Self::Cancelled { .. } | Self::Expired { .. } => {
                Some("requeue it if it is still wanted")
            }
            Self::Refused { .. } => Some(
                "mend what the error says (route, template, binding, or the payload with `outbox edit`), then requeue",
            ),
            Self::AttemptsUsedUp { .. } => {
                Some("mend what the attempts say (outbox show), then requeue")
            }
            Self::CrashLoop { .. } => Some(
                "look for the last log lines of these relays (outbox show names them) before requeueing it",
            ),
        }
    }
}
