use std::collections::HashSet;

use shared::domain::RecipientId;
use shared::outbox::RefusedRecipients;
use wechat::AppAcceptance;
use wechat::wecom::EVERYBODY;

use crate::verdict::SendOutcome;

/// A person reads no more user ids than this.
const NAMED_MAX: usize = 20;

/// The platform says "ok" although it left out some of those who were asked for, or all of them.
pub(super) fn accepted(touser: &str, acceptance: AppAcceptance) -> SendOutcome {
    let provider_message_id = acceptance.msgid;
    let invalid = asked_for(touser, acceptance.invalid_users);
    let unlicensed = asked_for(touser, acceptance.unlicensed_users);
    let Some(refused) = refused(&invalid, &unlicensed) else {
        return SendOutcome::Accepted {
            provider_message_id,
        };
    };
    let is_refused = |id: &str| {
        invalid
            .iter()
            .chain(&unlicensed)
            .any(|refused| refused == id)
    };
    if touser != EVERYBODY && touser.split('|').all(is_refused) {
        SendOutcome::AcceptedForNobody { refused }
    } else {
        SendOutcome::AcceptedForSome {
            provider_message_id,
            refused,
        }
    }
}

/// These ids as they were written: the platform answers in lower case. Of everybody, anybody was asked
/// for.
fn asked_for(touser: &str, answered: Vec<String>) -> Vec<String> {
    if touser == EVERYBODY {
        return answered;
    }
    let answered: HashSet<String> = answered.iter().map(|id| id.to_lowercase()).collect();
    let is_answered = |id: &&str| answered.contains(&id.to_lowercase());
    let asked_for = touser.split('|').filter(is_answered);
    asked_for.map(str::to_owned).collect()
}

/// User ids in a sentence.
pub(crate) fn named<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    match ids.split_at_checked(NAMED_MAX) {
        Some((first, others)) if !others.is_empty() => {
            format!("{} and {} more", first.join("|"), others.len())
        }
        _ => ids.join("|"),
    }
}

fn refused(invalid: &[String], unlicensed: &[String]) -> Option<RefusedRecipients> {
    let all: Vec<&str> = invalid
        .iter()
        .chain(unlicensed)
        .map(String::as_str)
        .filter(|id| id.parse::<RecipientId>().is_ok())
        .collect();
    let recipient_id = all.join("|").parse().ok()?;
    let mut reasons = Vec::new();
    if !invalid.is_empty() {
        reasons.push(format!(
            "invaliduser {}: no such member, or not in the application's visible range (可见范围)",
            named(invalid.iter().map(String::as_str))
        ));
    }
    if !unlicensed.is_empty() {
        let unlicensed = named(unlicensed.iter().map(String::as_str));
        reasons.push(format!("unlicenseduser {unlicensed}: no licence"));
    }
    Some(RefusedRecipients {
        recipient_id,
        error: format!("the platform refused {}", reasons.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(touser: &str, invalid: &str, unlicensed: &str) -> SendOutcome {
        let ids = |joined: &str| {
            let ids = joined.split('|').filter(|id| !id.is_empty());
            ids.map(str::to_owned).collect()
        };
        accepted(
            touser,
            AppAcceptance {
                msgid: Some("m".to_owned()),
                invalid_users: ids(invalid),
                unlicensed_users: ids(unlicensed),
            },
        )
    }

    /// Who was refused, and whether anybody was not.
    fn in_short(outcome: SendOutcome) -> (String, &'static str) {
        match outcome {
            SendOutcome::Accepted { .. } => (String::new(), "all"),
            SendOutcome::AcceptedForSome { refused, .. } => {
                (refused.recipient_id.to_string(), "some")
            }
            SendOutcome::AcceptedForNobody { refused } => {
                (refused.recipient_id.to_string(), "nobody")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_was_left_out_is_named_as_they_were_asked_for() {
        for (touser, invalid, unlicensed, refused, accepted_for) in [
            ("ZhangSan|lisi", "", "", "", "all"),
            ("ZhangSan|lisi", "zhangsan", "", "ZhangSan", "some"),
            (
                "ZhangSan|lisi|wu",
                "lisi",
                "zhangsan",
                "lisi|ZhangSan",
                "some",
            ),
            (
                "ZhangSan|lisi",
                "zhangsan",
                "lisi",
                "ZhangSan|lisi",
                "nobody",
            ),
            ("ZhangSan", "zhangsan", "", "ZhangSan", "nobody"),
            ("ZhangSan", "somebodyelse", "", "", "all"),
            ("@all", "zhangsan", "", "zhangsan", "some"),
        ] {
            assert_eq!(
                in_short(answer(touser, invalid, unlicensed)),
                (refused.to_owned(), accepted_for),
                "{touser} {invalid} {unlicensed}"
            );
        }
    }

    #[test]
    fn a_sentence_names_so_many_and_counts_the_rest() {
        assert_eq!(named(["a", "b"].into_iter()), "a|b");
        let all = vec!["a"; 1_000];
        let sentence = named(all.into_iter());
        assert!(sentence.starts_with("a|a|") && sentence.ends_with("a and 980 more"));
    }
}
