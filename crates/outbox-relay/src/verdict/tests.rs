use chrono::{DateTime, Utc};
use shared::domain::Channel;
use wechat::errcode::known_rules;

use super::*;

mod wecom;

fn now() -> UtcTimestamp {
    // 20:00 in Beijing: four hours to midnight.
    "2026-11-21T12:00:00Z"
        .parse::<DateTime<Utc>>()
        .unwrap()
        .into()
}

fn message(attempt: i32) -> ClaimedMessage {
    ClaimedMessage {
        id: shared::domain::OutboxMessageId::generate(),
        kind: "customer.assigned".to_owned(),
        channel: Channel::WechatSubscribe,
        recipient_id: "somebody".parse().unwrap(),
        payload: "{}".to_owned(),
        priority: shared::outbox::Priority::High,
        attempt,
        attempts_max: 10,
        fence: i64::from(attempt),
        outcome_unknown: false,
        lease_expires_at: Some(now().after(Duration::from_secs(60))),
        due_at: now(),
        created_at: now(),
        request_id: None,
        is_probe: false,
    }
}

fn judged(outcome: &SendOutcome) -> Judgement {
    let policy = RetryPolicy::default();
    let message = message(1);
    judge(
        outcome,
        &Circumstances {
            message: &message,
            recipients: None,
            hold: None,
            policy: &policy,
            unknown_outcome: UnknownOutcomePolicy::Resend,
            rules: &Rules::default(),
            probe_interval: Duration::from_secs(60),
            relay: "relay-1",
            jitter: 0.5,
            now: now(),
        },
    )
}

fn refused(api: Api, errcode: i64) -> Judgement {
    let error = CallError::Refused {
        errcode,
        errmsg: "words".to_owned(),
        http_status: 200,
    };
    judged(&SendOutcome::Failed { api, error })
}

/// The verdict in one word, with the seconds until the message or the channel is tried again.
fn in_short(judgement: &Judgement) -> String {
    let seconds = |due: UtcTimestamp| due.since(now()).as_secs();
    match &judgement.verdict {
        Verdict::Accepted { .. } => "accepted".to_owned(),
        Verdict::Retry {
            due_at,
            outcome: Outcome::NotDelivered,
        } => format!("retry {}", seconds(*due_at)),
        Verdict::Retry {
            due_at,
            outcome: Outcome::Unknown,
        } => format!("unknown {}", seconds(*due_at)),
        Verdict::PresumedAccepted => "presumed".to_owned(),
        Verdict::Undecided => "undecided".to_owned(),
        Verdict::Postponed { due_at } => format!("postponed {}", seconds(*due_at)),
        Verdict::Refused => "refused".to_owned(),
        Verdict::Pointless => "pointless".to_owned(),
        Verdict::Released { hold: None } => "released".to_owned(),
        Verdict::Released { hold: Some(hold) } => {
            format!("held {}", seconds(hold.probe_at.unwrap_or(now())))
        }
    }
}

#[test]
fn every_code_of_a_send_has_its_verdict() {
    const MIDNIGHT: &str = "held 14400";
    for (errcode, expected) in [
        (-1, "unknown 1"),
        (20001, "unknown 1"),
        (40001, "retry 90"),
        (40014, "retry 90"),
        (42001, "retry 90"),
        (40003, "refused"),
        (40037, "refused"),
        (41030, "refused"),
        (43101, "pointless"),
        (43107, "held 60"),
        (43108, "postponed 1"),
        (45009, MIDNIGHT),
        (45011, "held 60"),
        (45168, "refused"),
        (47001, "refused"),
        (47003, "refused"),
        (48001, "held 60"),
        (48004, "held 60"),
        (50002, "held 60"),
        (999_999, "retry 90"),
    ] {
        assert_eq!(
            in_short(&refused(Api::SubscribeSend, errcode)),
            expected,
            "{errcode}"
        );
    }
}

#[test]
fn every_code_of_a_cloud_function_has_its_verdict() {
    for (errcode, expected) in [
        (-1, "unknown 1"),
        (40101, "refused"),
        (85088, "held 60"),
        (-501_000, "held 60"),
        (-501_001, "retry 1"),
        (-501_002, "unknown 1"),
        (-501_003, "held 3600"),
        (-501_004, "retry 90"),
        (-501_005, "held 60"),
        (-501_007, "refused"),
        (-504_001, "retry 1"),
        (-504_002, "refused"),
        (-504_003, "unknown 1"),
        (-604_101, "held 60"),
    ] {
        assert_eq!(
            in_short(&refused(Api::CloudFunction, errcode)),
            expected,
            "{errcode}"
        );
    }
}

#[test]
fn a_configuration_fault_found_at_the_token_holds_the_channel_and_says_what_to_do() {
    for errcode in [40001, 40013, 40125, 40164, 40243, 50007, 89503] {
        let error = TokenError::Rejected {
            api: Api::Token,
            errcode,
            errmsg: "invalid ip 1.2.3.4".to_owned(),
        };
        let judgement = judged(&SendOutcome::NoToken(error));
        let Verdict::Released { hold: Some(hold) } = &judgement.verdict else {
            panic!("{errcode}: {judgement:?}")
        };
        assert_eq!(hold.channel, Channel::WechatSubscribe);
        assert_eq!(hold.errcode, Some(errcode));
        assert!(
            hold.reason.contains("1.2.3.4") && hold.reason.contains("; "),
            "{}",
            hold.reason
        );
        assert_eq!(judgement.rule, format!("token/{errcode}"));
    }
}

#[test]
fn no_code_is_without_a_rule_and_only_known_doubts_are_doubts() {
    for &api in Api::ALL {
        for rule in known_rules(api) {
            let judgement = refused(api, rule.errcode);
            let doubt = matches!(
                judgement.verdict,
                Verdict::Retry {
                    outcome: Outcome::Unknown,
                    ..
                }
            );
            if doubt {
                assert_eq!(
                    rule.outcome,
                    errcode::Outcome::Ambiguous,
                    "{}",
                    rule.errcode
                );
            }
            assert_eq!(judgement.errcode, Some(rule.errcode));
            assert_eq!(judgement.origin, RuleOrigin::Table);
        }
        assert_eq!(refused(api, 123_456_789).origin, RuleOrigin::UnknownCode);
    }
}

#[test]
fn without_an_answer_it_depends_on_what_was_written() {
    let failed = |error| {
        in_short(&judged(&SendOutcome::Failed {
            api: Api::SubscribeSend,
            error,
        }))
    };
    assert_eq!(
        failed(CallError::NotSent {
            reason: "refused".to_owned()
        }),
        "retry 1"
    );
    assert_eq!(
        failed(CallError::NoAnswer {
            reason: "time-out".to_owned(),
            http_status: None
        }),
        "unknown 1"
    );
    assert_eq!(
        failed(CallError::NoAnswer {
            reason: "gateway".to_owned(),
            http_status: Some(502)
        }),
        "unknown 1"
    );
    let no_token = TokenError::Unreachable {
        reason: "time-out".to_owned(),
        http_status: None,
    };
    assert_eq!(
        in_short(&judged(&SendOutcome::NoToken(no_token))),
        "retry 1"
    );
    // A doubtful code while fetching a token leaves no doubt about the message: it never left.
    let no_token = TokenError::Rejected {
        api: Api::Token,
        errcode: -1,
        errmsg: "system error".to_owned(),
    };
    assert_eq!(
        in_short(&judged(&SendOutcome::NoToken(no_token))),
        "retry 1"
    );
}

#[test]
fn what_a_cloud_function_says_is_judged_by_what_it_says() {
    let answered = |answer| in_short(&judged(&SendOutcome::FunctionAnswered(answer)));
    let refusal = |message: &str, errcode| {
        answered(CloudFunctionAnswer::FunctionRefused {
            message: message.to_owned(),
            errcode,
        })
    };
    assert_eq!(answered(CloudFunctionAnswer::Succeeded), "accepted");
    assert_eq!(refusal("未找到用户", None), "pointless");
    assert_eq!(refusal("用户未绑定微信", None), "pointless");
    assert_eq!(refusal("db down", None), "retry 1");
    assert_eq!(refusal("user refuse", Some(43101)), "pointless");
    assert_eq!(
        answered(CloudFunctionAnswer::Unclear {
            reason: "returned nothing"
        }),
        "unknown 1"
    );
}

#[test]
fn what_was_not_tried_is_given_back_and_what_cannot_be_is_final() {
    assert_eq!(
        in_short(&judged(&SendOutcome::NotTried("stopping"))),
        "released"
    );
    assert_eq!(
        in_short(&judged(&SendOutcome::NoRecipient(NoRecipient::NoBinding))),
        "pointless"
    );
    let judgement = judged(&SendOutcome::Unpreparable("payload: not JSON".to_owned()));
    assert_eq!(in_short(&judgement), "refused");
    assert_eq!(judgement.error.as_deref(), Some("payload: not JSON"));
}

#[test]
fn only_an_outdated_token_asks_for_a_new_one() {
    let asks = |errcode| {
        let error = CallError::Refused {
            errcode,
            errmsg: String::new(),
            http_status: 200,
        };
        let outcome = SendOutcome::Failed {
            api: Api::SubscribeSend,
            error,
        };
        asks_for_a_new_token(&outcome, &Rules::default())
    };
    assert!(asks(40001) && asks(40014) && asks(42001));
    assert!(!asks(43101) && !asks(-1) && !asks(48001));
}

fn judged_with(
    outcome: &SendOutcome,
    unknown_outcome: UnknownOutcomePolicy,
    rules: &Rules,
) -> Judgement {
    let policy = RetryPolicy::default();
    let message = message(1);
    judge(
        outcome,
        &Circumstances {
            message: &message,
            recipients: None,
            hold: None,
            policy: &policy,
            unknown_outcome,
            rules,
            probe_interval: Duration::from_secs(60),
            relay: "relay-1",
            jitter: 0.5,
            now: now(),
        },
    )
}

#[test]
fn the_channel_decides_what_becomes_of_an_unknown_outcome_and_of_nothing_else() {
    let failed = |error| SendOutcome::Failed {
        api: Api::SubscribeSend,
        error,
    };
    let no_answer = failed(CallError::NoAnswer {
        reason: "timed out".to_owned(),
        http_status: None,
    });
    let busy = failed(CallError::Refused {
        errcode: -1,
        errmsg: String::new(),
        http_status: 200,
    });
    let not_sent = failed(CallError::NotSent {
        reason: "refused".to_owned(),
    });
    for (policy, unknown, known) in [
        (UnknownOutcomePolicy::Resend, "unknown 1", "retry 1"),
        (
            UnknownOutcomePolicy::HoldForOperator,
            "undecided",
            "retry 1",
        ),
        (UnknownOutcomePolicy::AssumeSent, "presumed", "retry 1"),
    ] {
        let of = |outcome| in_short(&judged_with(outcome, policy, &Rules::default()));
        assert_eq!(of(&no_answer), unknown, "{policy}");
        assert_eq!(of(&busy), unknown, "{policy}");
        assert_eq!(of(&not_sent), known, "{policy}");
    }
}

#[test]
fn a_class_that_was_set_here_decides_and_is_named() {
    let rules = Rules::with_overrides([(Api::SubscribeSend, 47_003, Class::Halt)]);
    let outcome = SendOutcome::Failed {
        api: Api::SubscribeSend,
        error: CallError::Refused {
            errcode: 47_003,
            errmsg: "argument invalid!".to_owned(),
            http_status: 200,
        },
    };
    let judgement = judged_with(&outcome, UnknownOutcomePolicy::Resend, &rules);
    assert_eq!(in_short(&judgement), "held 60");
    assert_eq!(judgement.rule, "subscribe_send/47003 (halt, set here)");
}

#[test]
fn a_recipient_who_is_not_reached_is_told_on_the_next_channel_and_nobody_else() {
    use FallbackCause::{ChannelMuted, NoBinding, NoSubscription, RecipientRefused, RouteOff};

    let refused_by = |api, errcode| refused(api, errcode).falls_back;
    for (errcode, cause) in [
        (43101, Some(NoSubscription)),
        (40003, Some(RecipientRefused)),
        // The message's own fault, the template's, a passing trouble, the account's, an unknown code.
        (47003, None),
        (40037, None),
        (-1, None),
        (43108, None),
        (45009, None),
        (43107, None),
        (99_999, None),
    ] {
        let said = refused_by(Api::SubscribeSend, errcode);
        assert_eq!(said, cause, "{errcode}");
    }
    for (errcode, cause) in [
        (81013, Some(RecipientRefused)),
        (60111, Some(RecipientRefused)),
        (44004, None),
        (60020, None),
    ] {
        assert_eq!(refused_by(Api::WecomSend, errcode), cause, "{errcode}");
    }
    let nobody = RefusedRecipients {
        recipient_id: "li".parse().unwrap(),
        error: "invaliduser li".to_owned(),
    };
    let answered = |message: &str, errcode| {
        SendOutcome::FunctionAnswered(CloudFunctionAnswer::FunctionRefused {
            message: message.to_owned(),
            errcode,
        })
    };
    for (outcome, cause) in [
        (
            SendOutcome::AcceptedForNobody {
                refused: nobody.clone(),
            },
            Some(RecipientRefused),
        ),
        // Those who are left out have a message of their own, to names that no other channel knows.
        (
            SendOutcome::AcceptedForSome {
                provider_message_id: None,
                refused: nobody,
            },
            None,
        ),
        (answered("未找到用户", None), Some(NoBinding)),
        (answered("refused", Some(43101)), Some(NoSubscription)),
        (answered("db down", None), None),
        (
            SendOutcome::NoRecipient(NoRecipient::NoBinding),
            Some(NoBinding),
        ),
        (
            SendOutcome::NoRecipient(NoRecipient::ChannelMuted),
            Some(ChannelMuted),
        ),
        (
            SendOutcome::NoRecipient(NoRecipient::RouteOff),
            Some(RouteOff),
        ),
        (SendOutcome::NoRecipient(NoRecipient::KindMuted), None),
        (SendOutcome::NobodyIsBound, None),
        (SendOutcome::DoNotDisturb { until: now() }, None),
        (SendOutcome::Unpreparable("payload".to_owned()), None),
        (SendOutcome::NotTried("stopping"), None),
    ] {
        assert_eq!(judged(&outcome).falls_back, cause, "{outcome:?}");
    }
}
