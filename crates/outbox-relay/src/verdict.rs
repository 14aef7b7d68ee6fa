//! What an answer means: pure, without I/O, clock or randomness of its own.

mod outcome;

use std::time::Duration;

use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{
    ClaimedMessage, DO_NOT_DISTURB, FallbackCause, Hold, HoldCause, HoldOrder, Outcome,
    RefusedRecipients, RetryPolicy, UnknownOutcomePolicy, Verdict,
};
use wechat::errcode::{self, AlsoBroken, Api, Class, RetryPace, Rule, RuleOrigin, Rules, WaitFor};
use wechat::{CallError, CloudFunctionAnswer, TokenError};

pub use outcome::{NoRecipient, SendOutcome, Transport, asks_for_a_new_token};

/// What the judge knows besides the outcome.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// The message, as claimed.
    pub message: &'a ClaimedMessage,
    /// The recipients as the platform knows them, where that may be shown to a person.
    pub recipients: Option<&'a str>,
    /// The hold on the channel that the message was to probe.
    pub hold: Option<&'a Hold>,
    /// How often and how soon to repeat.
    pub policy: &'a RetryPolicy,
    /// What becomes of a message that may have been delivered.
    pub unknown_outcome: UnknownOutcomePolicy,
    /// What the platform's codes mean.
    pub rules: &'a Rules,
    /// How long after a hold began one message is tried.
    pub probe_interval: Duration,
    /// Who holds a channel, if it comes to that.
    pub relay: &'a str,
    /// A number between 0 and 1, drawn by the caller.
    pub jitter: f64,
    /// The present moment.
    pub now: UtcTimestamp,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is to become of the message.
    pub verdict: Verdict,
    /// The rule that says so: `subscribe_send/43101`, `transport/no_answer`.
    pub rule: String,
    /// The platform's code, if it gave one.
    pub errcode: Option<i64>,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// Whether the code is one that no rule was written for.
    pub origin: RuleOrigin,
    /// For whom of its recipients an accepted message was not accepted.
    pub refused_recipients: Option<RefusedRecipients>,
    /// Why its recipient is to be told on the message's next channel, if that is why it ends.
    pub falls_back: Option<FallbackCause>,
}

/// A repeat that would not help soon waits at least this long.
const SLOW_RETRY_MIN: Duration = Duration::from_secs(60);

/// "Please try again" about a second later, plus up to one more.
const SOON: Duration = Duration::from_millis(1_000);

/// The words with which the cloud function says that the recipient cannot be reached.
const FUNCTION_KNOWS_NO_RECIPIENT: [&str; 2] = ["未找到用户", "用户未绑定微信"];

/// The rule for recipients who are left out of what is accepted.
const REFUSED_RECIPIENTS: &str = "wecom_send/refused_recipients";

/// Judges an attempt.
pub fn judge(outcome: &SendOutcome, circumstances: &Circumstances<'_>) -> Judgement {
    let mut judgement = judge_outcome(outcome, circumstances);
    if let Verdict::Retry {
        outcome: Outcome::Unknown,
        ..
    } = judgement.verdict
    {
        match circumstances.unknown_outcome {
            UnknownOutcomePolicy::Resend => {}
            UnknownOutcomePolicy::HoldForOperator => judgement.verdict = Verdict::Undecided,
            UnknownOutcomePolicy::AssumeSent => judgement.verdict = Verdict::PresumedAccepted,
        }
    }
    judgement
}

fn judge_outcome(outcome: &SendOutcome, circumstances: &Circumstances<'_>) -> Judgement {
    match outcome {
        SendOutcome::Accepted {
            provider_message_id,
        } => accepted(provider_message_id.clone()),
        SendOutcome::AcceptedForSome {
            provider_message_id,
            refused,
        } => Judgement {
            rule: REFUSED_RECIPIENTS.to_owned(),
            errcode: Some(0),
            error: Some(refused.error.clone()),
            refused_recipients: Some(refused.clone()),
            ..accepted(provider_message_id.clone())
        },
        SendOutcome::AcceptedForNobody { refused } => Judgement {
            errcode: Some(0),
            falls_back: Some(FallbackCause::RecipientRefused),
            ..plain(Verdict::Refused, REFUSED_RECIPIENTS, &refused.error)
        },
        SendOutcome::Failed {
            api,
            error:
                CallError::Refused {
                    errcode,
                    errmsg,
                    http_status,
                },
        } => {
            let mut judgement = by_rule(*api, *errcode, errmsg, circumstances);
            judgement.http_status = Some(*http_status);
            judgement
        }
        SendOutcome::Failed {
            error: CallError::NotSent { reason },
            ..
        } => retry(
            circumstances,
            Outcome::NotDelivered,
            "transport/not_sent",
            reason,
            None,
        ),
        SendOutcome::Failed {
            error:
                CallError::NoAnswer {
                    reason,
                    http_status,
                },
            ..
        } => retry(
            circumstances,
            Outcome::Unknown,
            "transport/no_answer",
            reason,
            *http_status,
        ),
        SendOutcome::NoToken(TokenError::Rejected {
            api,
            errcode,
            errmsg,
        }) => {
            // Whatever happened, no message left: the outcome is known.
            without_doubt(by_rule(*api, *errcode, errmsg, circumstances))
        }
        SendOutcome::NoToken(TokenError::Unreachable {
            reason,
            http_status,
        }) => {
            let reason = format!("no access token: {reason}");
            retry(
                circumstances,
                Outcome::NotDelivered,
                "transport/no_token",
                &reason,
                *http_status,
            )
        }
        SendOutcome::FunctionAnswered(answer) => function_answered(answer, circumstances),
        SendOutcome::NoRecipient(why) => Judgement {
            falls_back: why.falls_back(),
            ..plain(Verdict::Pointless, "recipient/none", why.reason())
        },
        SendOutcome::DoNotDisturb { until } => plain(
            Verdict::Postponed { due_at: *until },
            DO_NOT_DISTURB,
            "the recipient does not want to be disturbed now",
        ),
        SendOutcome::NobodyIsBound => nobody_is_bound(circumstances),
        SendOutcome::Unpreparable(reason) => {
            plain(Verdict::Refused, "message/unpreparable", reason)
        }
        SendOutcome::NotTried(reason) => {
            plain(Verdict::Released { hold: None }, "relay/not_tried", reason)
        }
    }
}

fn nobody_is_bound(circumstances: &Circumstances<'_>) -> Judgement {
    const RULE: &str = "recipient/nobody_is_bound";
    let channel = circumstances.message.channel;
    let probe_at = circumstances.now.after(circumstances.probe_interval);
    let because = |variable| {
        format!("no user has a binding for this app; check {variable}, or bind the users")
    };
    match channel {
        // Others on this channel need no binding, and must not wait for one.
        Channel::WecomApp | Channel::WecomRobot => plain(
            Verdict::Postponed { due_at: probe_at },
            RULE,
            &because("WECOM_CORPID"),
        ),
        Channel::WechatSubscribe | Channel::WechatCloud => {
            let reason = because("WECHAT_APPID");
            let hold = HoldOrder {
                channel,
                cause: HoldCause::Platform,
                reason: reason.clone(),
                errcode: None,
                probe_at: Some(probe_at),
                held_by: circumstances.relay.to_owned(),
            };
            plain(Verdict::Released { hold: Some(hold) }, RULE, &reason)
        }
    }
}

fn accepted(provider_message_id: Option<String>) -> Judgement {
    Judgement {
        verdict: Verdict::Accepted {
            provider_message_id,
        },
        rule: "accepted".to_owned(),
        errcode: None,
        http_status: None,
        error: None,
        origin: RuleOrigin::Table,
        refused_recipients: None,
        falls_back: None,
    }
}

fn plain(verdict: Verdict, rule: &str, reason: &str) -> Judgement {
    Judgement {
        verdict,
        rule: rule.to_owned(),
        errcode: None,
        http_status: None,
        error: Some(reason.to_owned()),
        origin: RuleOrigin::Table,
        refused_recipients: None,
        falls_back: None,
    }
}

fn retry(
    circumstances: &Circumstances<'_>,
    outcome: Outcome,
    rule: &str,
    reason: &str,
    http_status: Option<u16>,
) -> Judgement {
    let due_at = circumstances.now.after(usual_delay(circumstances));
    Judgement {
        http_status,
        ..plain(Verdict::Retry { due_at, outcome }, rule, reason)
    }
}

fn usual_delay(circumstances: &Circumstances<'_>) -> Duration {
    circumstances
        .policy
        .delay_after(circumstances.message.attempt, circumstances.jitter)
}

fn function_answered(answer: &CloudFunctionAnswer, circumstances: &Circumstances<'_>) -> Judgement {
    match answer {
        CloudFunctionAnswer::Succeeded => accepted(None),
        CloudFunctionAnswer::FunctionRefused {
            errcode: Some(errcode),
            message,
        } => by_rule(Api::SubscribeSend, *errcode, message, circumstances),
        CloudFunctionAnswer::FunctionRefused {
            errcode: None,
            message,
        } => {
            if FUNCTION_KNOWS_NO_RECIPIENT
                .iter()
                .any(|words| message.contains(words))
            {
                Judgement {
                    falls_back: Some(FallbackCause::NoBinding),
                    ..plain(Verdict::Pointless, "cloud_function/no_recipient", message)
                }
            } else {
                retry(
                    circumstances,
                    Outcome::NotDelivered,
                    "cloud_function/refused",
                    message,
                    None,
                )
            }
        }
        CloudFunctionAnswer::Unclear { reason } => {
            let reason =
                format!("the cloud function {reason}; it must return {{\"success\": true}}");
            retry(
                circumstances,
                Outcome::Unknown,
                "cloud_function/unclear",
                &reason,
                None,
            )
        }
    }
}

fn by_rule(api: Api, errcode: i64, errmsg: &str, circumstances: &Circumstances<'_>) -> Judgement {
    let rule = circumstances.rules.rule(api, errcode);
    let mut error = explained(&rule, errmsg);
    if let (AlsoBroken::Binding, Some(recipients)) = (rule.also_broken, circumstances.recipients) {
        error.push_str(&format!(": {recipients}"));
    }
    let verdict = verdict_of(&rule, errmsg, circumstances);
    Judgement {
        falls_back: falls_back(&rule, &verdict),
        verdict,
        rule: match rule.origin {
            RuleOrigin::Override => format!("{api}/{errcode} ({}, set here)", rule.class),
            RuleOrigin::Table | RuleOrigin::UnknownCode => format!("{api}/{errcode}"),
        },
        errcode: Some(errcode),
        http_status: None,
        error: Some(error),
        origin: rule.origin,
        refused_recipients: None,
    }
}

/// A code that blames the recipient, and neither the message nor the installation.
fn falls_back(rule: &Rule, verdict: &Verdict) -> Option<FallbackCause> {
    match verdict {
        Verdict::Pointless => Some(FallbackCause::NoSubscription),
        Verdict::Refused if rule.also_broken == AlsoBroken::Binding => {
            Some(FallbackCause::RecipientRefused)
        }
        Verdict::Refused
        | Verdict::Accepted { .. }
        | Verdict::PresumedAccepted
        | Verdict::Undecided
        | Verdict::Retry { .. }
        | Verdict::Postponed { .. }
        | Verdict::Released { .. } => None,
    }
}

fn verdict_of(rule: &Rule, errmsg: &str, circumstances: &Circumstances<'_>) -> Verdict {
    let now = circumstances.now;
    let outcome = match rule.outcome {
        errcode::Outcome::Known => Outcome::NotDelivered,
        errcode::Outcome::Ambiguous => Outcome::Unknown,
    };
    let slow = || {
        usual_delay(circumstances)
            .max(SLOW_RETRY_MIN.mul_f64(1.0 + circumstances.jitter.clamp(0.0, 1.0)))
    };
    match rule.class {
        Class::Ok => Verdict::Accepted {
            provider_message_id: None,
        },
        Class::Retry(RetryPace::Normal) => Verdict::Retry {
            due_at: now.after(usual_delay(circumstances)),
            outcome,
        },
        // A token refused a second time is not the message's fault, and a loop would burn the quota.
        Class::Retry(RetryPace::Slow) | Class::Token => Verdict::Retry {
            due_at: now.after(slow()),
            outcome,
        },
        Class::Retry(RetryPace::Soon) => Verdict::Postponed {
            due_at: now.after(SOON.mul_f64(1.0 + circumstances.jitter.clamp(0.0, 1.0))),
        },
        Class::Wait(wait) => {
            let probe_at = end_of(wait, rule.errcode, errmsg, circumstances);
            held(rule, errmsg, circumstances, probe_at)
        }
        Class::Halt => held(
            rule,
            errmsg,
            circumstances,
            now.after(circumstances.probe_interval),
        ),
        Class::Dead => Verdict::Refused,
        // The attempt before may have used up the last subscription: then it has arrived.
        Class::Resubscribe if circumstances.message.outcome_unknown => Verdict::PresumedAccepted,
        Class::Resubscribe => Verdict::Pointless,
    }
}

/// When to try again after a limit was reached; later each time, where nobody knows which limit.
fn end_of(
    wait: WaitFor,
    errcode: i64,
    errmsg: &str,
    circumstances: &Circumstances<'_>,
) -> UtcTimestamp {
    let now = circumstances.now;
    let lasted = circumstances
        .hold
        .filter(|hold| hold.errcode == Some(errcode))
        .map_or(Duration::ZERO, |hold| now.since(hold.held_since));
    let unix_seconds = now.to_datetime().timestamp();
    now.after(wait.after(errmsg, lasted).pause_from(unix_seconds))
}

fn held(
    rule: &Rule,
    errmsg: &str,
    circumstances: &Circumstances<'_>,
    probe_at: UtcTimestamp,
) -> Verdict {
    Verdict::Released {
        hold: Some(HoldOrder {
            channel: circumstances.message.channel,
            cause: HoldCause::Platform,
            reason: explained(rule, errmsg),
            errcode: Some(rule.errcode),
            probe_at: Some(probe_at),
            held_by: circumstances.relay.to_owned(),
        }),
    }
}

/// The platform's words, ours, and what to do.
pub(crate) fn explained(rule: &Rule, errmsg: &str) -> String {
    let mut text = format!("errcode {}: {errmsg} ({})", rule.errcode, rule.meaning);
    if !rule.advice.is_empty() {
        text.push_str("; ");
        text.push_str(&rule.advice_on(errmsg));
    }
    text
}

/// Turns "perhaps delivered" into "not delivered".
fn without_doubt(mut judgement: Judgement) -> Judgement {
    if let Verdict::Retry { outcome, .. } = &mut judgement.verdict {
        *outcome = Outcome::NotDelivered;
    }
    judgement
}

#[cfg(test)]
mod tests;
