use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

const RETRY: Class = Class::Retry(RetryPace::Normal);

const fn wait(seconds: u64) -> Class {
    Class::Wait(WaitFor::Duration(Duration::from_secs(seconds)))
}

#[test]
fn each_code_has_exactly_one_rule_per_api() {
    for &api in Api::ALL {
        let mut seen = BTreeSet::new();
        for rule in known_rules(api) {
            assert!(
                seen.insert(rule.errcode),
                "{api:?} has two rules for {}",
                rule.errcode
            );
            assert_eq!(super::rule(api, rule.errcode), *rule);
        }
    }
}

/// The codes that the platform documents for each call.
#[test]
fn every_documented_code_is_known() {
    let account = [
        0, -1, 40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 43002, 44002, 45009, 45011,
        47001, 48001, 48004, 50002, 50004, 50007, 61004, 89503, 89506, 89507,
    ];
    let of_api: [(Api, &[i64]); 4] = [
        (Api::Token, &[]),
        (
            Api::SubscribeSend,
            &[
                20001, 40003, 40014, 40037, 41001, 41030, 42001, 42007, 43101, 43107, 43108, 45168,
                47003,
            ],
        ),
        (
            Api::CloudFunction,
            &[
                -1000, 40014, 40101, 41001, 42001, 42007, 85088, -501000, -501001, -501002,
                -501003, -501004, -501005, -501007, -501009, -501015, -501016, -501018, -501019,
                -501020, -504001, -504002, -504003, -601001, -601003, -604101, -604102,
            ],
        ),
        (Api::CodeToSession, &[40029, 40163, 40226, 41008]),
    ];
    for (api, own) in of_api {
        for errcode in account.iter().chain(own) {
            assert_eq!(
                rule(api, *errcode).origin,
                RuleOrigin::Table,
                "{api:?} {errcode}"
            );
        }
        assert_eq!(
            known_rules(api).count(),
            account.len() + own.len(),
            "{api:?}"
        );
    }
}

#[test]
fn every_documented_code_of_wecom_is_known() {
    let any = [0, -1, 6000, 45009, 45033, 60020];
    let with_token = [
        40001, 40014, 40056, 41011, 42001, 48002, 48004, 50003, 301_002,
    ];
    let send = [
        40003, 40008, 40031, 40032, 40035, 40058, 40063, 41001, 41016, 41033, 44004, 45002, 46004,
        60011, 60111, 81013, 82001, 82002, 82003,
    ];
    let of_api: [(Api, &[i64]); 4] = [
        (Api::WecomToken, &[40001, 40013, 40091, 41002, 41004]),
        (Api::WecomSend, &[&with_token[..], &send].concat()),
        (Api::WecomAgent, &[&with_token[..], &[60011]].concat()),
        (
            Api::WecomRobot,
            &[40008, 40035, 40058, 44004, 93000, 93004, 93008],
        ),
    ];
    for (api, own) in of_api {
        for errcode in any.iter().chain(own) {
            assert_eq!(
                rule(api, *errcode).origin,
                RuleOrigin::Table,
                "{api:?} {errcode}"
            );
        }
        assert_eq!(known_rules(api).count(), any.len() + own.len(), "{api:?}");
    }
}

#[test]
fn codes_have_the_class_that_protects_the_message_and_the_account() {
    use Api::{
        CloudFunction, CodeToSession, SubscribeSend, Token, WecomAgent, WecomRobot, WecomSend,
        WecomToken,
    };
    const WINDOW: Class = Class::Wait(WaitFor::BreachedWindow);
    let cases = [
        (SubscribeSend, 0, Class::Ok),
        (Token, 40001, Class::Halt),
        (CodeToSession, 40001, Class::Halt),
        (SubscribeSend, 40001, Class::Token),
        (CloudFunction, 40001, Class::Token),
        (SubscribeSend, 40014, Class::Token),
        (SubscribeSend, 42001, Class::Token),
        (SubscribeSend, -1, RETRY),
        (SubscribeSend, 43108, Class::Retry(RetryPace::Soon)),
        (SubscribeSend, 43101, Class::Resubscribe),
        (SubscribeSend, 40003, Class::Dead),
        (SubscribeSend, 40037, Class::Dead),
        (SubscribeSend, 47003, Class::Dead),
        (SubscribeSend, 45168, Class::Dead),
        (SubscribeSend, 41030, Class::Dead),
        (SubscribeSend, 43107, Class::Halt),
        (
            SubscribeSend,
            45009,
            Class::Wait(WaitFor::NextBeijingMidnight),
        ),
        (Token, 45011, wait(60)),
        (Token, 40125, Class::Halt),
        (Token, 40164, Class::Halt),
        (Token, 89503, wait(600)),
        (Token, 89506, wait(86_400)),
        (Token, 89507, wait(3_600)),
        (CloudFunction, -501000, Class::Halt),
        (CloudFunction, -501004, Class::Retry(RetryPace::Slow)),
        (CloudFunction, -501003, wait(3_600)),
        (CloudFunction, -504002, Class::Dead),
        (CloudFunction, -504003, RETRY),
        (CodeToSession, 40029, Class::Dead),
        (CodeToSession, 45011, wait(60)),
        (CodeToSession, 40164, Class::Halt),
        (WecomToken, 40001, Class::Halt),
        (WecomToken, 45009, WINDOW),
        (WecomToken, 60020, Class::Halt),
        (WecomSend, -1, RETRY),
        (WecomSend, 6000, RETRY),
        (WecomSend, 40001, Class::Halt),
        (WecomSend, 40014, Class::Token),
        (WecomSend, 42001, Class::Token),
        (WecomSend, 44004, Class::Dead),
        (WecomSend, 45009, WINDOW),
        (WecomSend, 45033, RETRY),
        (WecomSend, 50003, Class::Halt),
        (WecomSend, 60020, Class::Halt),
        (WecomSend, 81013, Class::Dead),
        (WecomSend, 301_002, Class::Halt),
        (WecomAgent, 60011, Class::Halt),
        (WecomRobot, 40058, Class::Dead),
        (WecomRobot, 45009, WINDOW),
        (WecomRobot, 93000, Class::Halt),
    ];
    for (api, errcode, class) in cases {
        assert_eq!(rule(api, errcode).class, class, "{api:?} {errcode}");
    }
}

#[test]
fn only_codes_that_leave_the_delivery_open_are_ambiguous() {
    let ambiguous = |api| -> Vec<i64> {
        known_rules(api)
            .filter(|rule| rule.outcome == Outcome::Ambiguous)
            .map(|rule| rule.errcode)
            .collect()
    };
    assert_eq!(ambiguous(Api::SubscribeSend), [-1, 20001]);
    assert_eq!(
        ambiguous(Api::CloudFunction),
        [-1, -1000, -501002, -504003, -604102]
    );
    assert_eq!(ambiguous(Api::WecomSend), [-1]);
    assert_eq!(ambiguous(Api::WecomRobot), [-1]);
    assert!(ambiguous(Api::Token).is_empty());
    assert!(ambiguous(Api::WecomToken).is_empty());
    assert!(ambiguous(Api::CodeToSession).is_empty());
}

#[test]
fn broken_bindings_templates_and_pages_are_named() {
    for (errcode, broken) in [
        (40003, AlsoBroken::Binding),
        (40037, AlsoBroken::Template),
        (43107, AlsoBroken::Template),
        (41030, AlsoBroken::Page),
        (43101, AlsoBroken::Nothing),
    ] {
        assert_eq!(
            rule(Api::SubscribeSend, errcode).also_broken,
            broken,
            "{errcode}"
        );
    }
}

#[test]
fn a_token_failure_never_kills_a_message() {
    for rule in known_rules(Api::Token).chain(known_rules(Api::WecomToken)) {
        let blames_the_message = matches!(rule.class, Class::Dead | Class::Resubscribe);
        assert!(!blames_the_message, "{}", rule.errcode);
    }
}

#[test]
fn what_stops_a_message_or_a_channel_comes_with_advice() {
    for &api in Api::ALL {
        for rule in known_rules(api) {
            assert!(!rule.meaning.is_empty(), "{}", rule.errcode);
            let needs_a_person = !matches!(rule.class, Class::Ok | Class::Retry(_) | Class::Token);
            assert!(
                !needs_a_person || !rule.advice.is_empty(),
                "{api:?} {}",
                rule.errcode
            );
        }
    }
}

#[test]
fn an_unknown_code_is_retried_slowly_and_marked() {
    for errcode in [1, 99999, -999_999, i64::MIN, i64::MAX] {
        let rule = rule(Api::SubscribeSend, errcode);
        assert_eq!(rule.class, Class::Retry(RetryPace::Slow));
        assert_eq!(rule.origin, RuleOrigin::UnknownCode);
        assert_eq!(rule.errcode, errcode);
    }
}

#[test]
fn a_class_survives_its_text_form() {
    for &api in Api::ALL {
        for rule in known_rules(api) {
            assert_eq!(rule.class.to_string().parse(), Ok(rule.class));
        }
    }
    for text in [
        "",
        "HALT",
        "wait",
        "wait:",
        "wait:-1",
        "wait:1h",
        "retry soon",
    ] {
        assert!(text.parse::<Class>().is_err(), "{text}");
    }
}

#[test]
fn daily_quotas_wait_for_midnight_in_beijing() {
    let midnight = 1_795_276_800; // 2026-11-21T16:00:00Z
    for (now, seconds) in [
        (midnight - 1, 1),
        (midnight, 86_400),
        (midnight + 1, 86_399),
    ] {
        let pause = WaitFor::NextBeijingMidnight.pause_from(now);
        assert_eq!(pause, Duration::from_secs(seconds));
    }
}

#[test]
fn the_address_to_be_allowed_is_named() {
    let rule = rule(Api::WecomSend, 60020);
    let text = |address: &str| {
        format!(
            "not allow to access from your ip, hint: [1653710540075724015410106], from ip: {address}, more info at https://open.work.weixin.qq.com/devtool/query?e=60020"
        )
    };
    for address in ["120.79.1.2", "2001:db8::1"] {
        let advice = rule.advice_on(&text(address));
        assert!(advice.starts_with(&format!("add {address} to the application's trusted")));
    }
    for errmsg in ["", "from ip: ", &text("nowhere")] {
        let advice = rule.advice_on(errmsg);
        assert!(advice.starts_with("add the address named in the error text to"));
    }
    for &api in Api::ALL {
        for rule in known_rules(api) {
            assert!(
                !rule.advice_on("").contains('{'),
                "{api:?} {}",
                rule.errcode
            );
        }
    }
}

#[test]
fn a_breached_window_is_waited_for_as_long_as_it_lasts() {
    let usual = "api freq out of limit, hint: [1653710540075724015410106], from ip: 1.2.3.4, more info at https://open.work.weixin.qq.com/devtool/query?e=45009";
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (lasted, wait) in [(0, 1), (1, 1), (2, 2), (64, 60), (600, 60)] {
        let after = WaitFor::BreachedWindow.after(usual, minutes(lasted));
        assert_eq!(after, WaitFor::Duration(minutes(wait)), "{lasted}");
    }
    for (errmsg, wait) in [
        (
            "api minute-quota reach limit",
            WaitFor::Duration(minutes(1)),
        ),
        (
            "api hour freq out of limit, hint: [1 day]",
            WaitFor::Duration(minutes(60)),
        ),
        (
            "reach max api daily quota limit",
            WaitFor::NextBeijingMidnight,
        ),
        ("api month freq out of limit", WaitFor::NextBeijingMidnight),
    ] {
        let after = WaitFor::BreachedWindow.after(errmsg, minutes(7));
        assert_eq!(after, wait, "{errmsg}");
    }
    let other = WaitFor::Duration(minutes(10));
    assert_eq!(other.after("daily", minutes(7)), other);
    assert_eq!(WaitFor::BreachedWindow.pause_from(0), minutes(1));
}
