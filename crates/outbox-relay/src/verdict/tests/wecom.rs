//! Messages of WeCom applications and robots.

use super::*;

#[test]
fn every_code_of_a_wecom_send_has_its_verdict() {
    for (errcode, expected) in [
        (-1, "unknown 1"),
        (6000, "retry 1"),
        (40001, "held 60"),
        (40014, "retry 90"),
        (42001, "retry 90"),
        (40003, "refused"),
        (40035, "refused"),
        (44004, "refused"),
        (45009, "held 60"),
        (45033, "retry 1"),
        (50003, "held 60"),
        (60011, "refused"),
        (60020, "held 60"),
        (81013, "refused"),
        (301_002, "held 60"),
        (999_999, "retry 90"),
    ] {
        assert_eq!(
            in_short(&refused(Api::WecomSend, errcode)),
            expected,
            "{errcode}"
        );
    }
    for (errcode, expected) in [
        (-1, "unknown 1"),
        (40058, "refused"),
        (44004, "refused"),
        (45009, "held 60"),
        (93000, "held 60"),
        (93004, "held 60"),
        (93008, "held 60"),
    ] {
        let judgement = refused(Api::WecomRobot, errcode);
        assert_eq!(in_short(&judgement), expected, "{errcode}");
        assert_eq!(judgement.rule, format!("wecom_robot/{errcode}"));
    }
}

#[test]
fn whom_the_platform_left_out_is_refused_although_the_message_is_accepted() {
    let left_out = || RefusedRecipients {
        recipient_id: "zhangsan".parse().unwrap(),
        error: "the platform refused invaliduser zhangsan".to_owned(),
    };
    let for_some = judged(&SendOutcome::AcceptedForSome {
        provider_message_id: Some("m".to_owned()),
        refused: left_out(),
    });
    assert_eq!(in_short(&for_some), "accepted");
    assert_eq!(for_some.refused_recipients, Some(left_out()));
    let for_nobody = judged(&SendOutcome::AcceptedForNobody {
        refused: left_out(),
    });
    assert_eq!(in_short(&for_nobody), "refused");
    assert_eq!(for_nobody.refused_recipients, None);
    for judgement in [for_some, for_nobody] {
        assert_eq!(judgement.rule, "wecom_send/refused_recipients");
        assert_eq!(judgement.errcode, Some(0));
        assert!(judgement.error.unwrap().contains("zhangsan"));
    }
}

/// Judges a message of a WeCom application to `zhangsan`, as a probe of this hold.
fn judged_on_wecom(outcome: &SendOutcome, hold: Option<&Hold>) -> Judgement {
    let policy = RetryPolicy::default();
    let message = ClaimedMessage {
        channel: Channel::WecomApp,
        ..message(1)
    };
    judge(
        outcome,
        &Circumstances {
            message: &message,
            recipients: Some("zhangsan"),
            hold,
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

fn refused_on_wecom(errcode: i64, errmsg: &str, hold: Option<&Hold>) -> Judgement {
    let error = CallError::Refused {
        errcode,
        errmsg: errmsg.to_owned(),
        http_status: 200,
    };
    let api = Api::WecomSend;
    judged_on_wecom(&SendOutcome::Failed { api, error }, hold)
}

#[test]
fn a_limit_that_nobody_names_is_waited_for_longer_each_time() {
    let wait = |lasted: u64, errcode| {
        let hold = Hold {
            channel: Channel::WecomApp,
            cause: HoldCause::Platform,
            reason: "a limit".to_owned(),
            errcode: Some(errcode),
            probe_at: Some(now()),
            held_by: "relay-1".to_owned(),
            held_since: now().before(Duration::from_secs(lasted)),
        };
        in_short(&refused_on_wecom(
            45009,
            "api freq out of limit",
            Some(&hold),
        ))
    };
    assert_eq!(wait(0, 45009), "held 60");
    assert_eq!(wait(60, 45009), "held 60");
    assert_eq!(wait(120, 45009), "held 120");
    assert_eq!(wait(900, 45009), "held 900");
    assert_eq!(wait(90_000, 45009), "held 3600");
    assert_eq!(wait(900, 60020), "held 60", "that was another trouble");
    let daily = refused_on_wecom(45009, "reach max api daily quota limit", None);
    assert_eq!(in_short(&daily), "held 14400");
}

#[test]
fn the_reason_names_the_address_to_allow_and_the_recipients_who_do_not_exist() {
    let errmsg = "not allow to access from your ip, hint: [1], from ip: 120.79.1.2, more info at x";
    let judgement = refused_on_wecom(60020, errmsg, None);
    let Verdict::Released { hold: Some(hold) } = &judgement.verdict else {
        panic!("{judgement:?}")
    };
    assert!(hold.reason.contains("add 120.79.1.2 to"), "{}", hold.reason);
    let judgement = refused_on_wecom(81013, "user & party & tag all invalid", None);
    assert!(judgement.error.unwrap().ends_with(": zhangsan"));
    let judgement = refused_on_wecom(44004, "empty content", None);
    assert!(!judgement.error.unwrap().contains("zhangsan"));
}

#[test]
fn a_wecom_message_that_waits_for_a_binding_does_not_hold_those_that_need_none() {
    let judgement = judged_on_wecom(&SendOutcome::NobodyIsBound, None);
    assert_eq!(in_short(&judgement), "postponed 60");
    assert!(judgement.error.unwrap().contains("WECOM_CORPID"));
    let judgement = judged(&SendOutcome::NobodyIsBound);
    assert_eq!(in_short(&judgement), "held 60");
    assert!(judgement.error.unwrap().contains("WECHAT_APPID"));
}
