use shared::domain::{Channel, UtcTimestamp};
use shared::outbox::{Attempt, Cause, Message, Status};
use wechat::errcode::{AlsoBroken, Api, Class, rule};

use super::step::{Step, StepName};

/// A cause in words, and what to do about it.
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) fix: Option<&'static str>,
}

/// The steps of a test so far, from what is recorded of its message: where it stands, why, and in which
/// words; `time_text` renders moments.
pub(crate) fn progress(
    message: &Message,
    cause: &Cause,
    words: Words,
    attempts: &[Attempt],
    time_text: impl Fn(UtcTimestamp) -> String,
) -> Vec<Step> {
    if message.status == Status::Sent {
        return passed(message, words, time_text);
    }
    let last = attempts.last();
    let failed_at = match (message.status, cause, last) {
        (Status::Pending | Status::Sending, Cause::NoLiveRelay, _) => Some(StepName::Config),
        // Whoever held the channel may have done it for another message.
        (Status::Pending, Cause::ChannelHeld { .. }, None) => Some(StepName::Config),
        (Status::Pending, Cause::ChannelHeld { .. }, Some(last)) => Some(blamed(last)),
        (Status::Pending | Status::Sending | Status::Sent, _, _) => None,
        (Status::Skipped | Status::Failed, _, Some(last)) => Some(blamed(last)),
        (Status::Skipped | Status::Failed | Status::Cancelled, _, _) => Some(StepName::Send),
    };
    let here = failed_at.unwrap_or(StepName::Token);
    StepName::ALL
        .into_iter()
        .map(|step| match failed_at {
            Some(_) if step == StepName::Token && step < here && last.is_some_and(is_unsent) => {
                Step::not_reached(step)
            }
            _ if step < here => Step::ok(step, found(step, message.channel)),
            Some(_) if step == here => {
                let advice = advice(step, message.channel);
                let fix = advice.or_else(|| words.fix.map(str::to_owned));
                Step::failed(step, words.text.clone(), fix)
            }
            Some(_) => Step::not_reached(step),
            // These two were checked before it was enqueued.
            None if matches!(step, StepName::Template | StepName::Recipient) => {
                Step::ok(step, found(step, message.channel))
            }
            None => Step::waiting(step, words.text.clone()),
        })
        .collect()
}

fn passed(
    message: &Message,
    words: Words,
    time_text: impl Fn(UtcTimestamp) -> String,
) -> Vec<Step> {
    let mut sent = words.text;
    if let Some(at) = message.delivered_at {
        sent.push_str(&format!("；平台确认已于 {} 送达", time_text(at)));
    }
    if let Some(error) = &message.delivery_error {
        let step = Step::failed(
            StepName::Send,
            format!("平台接受后未能送达：{error}"),
            "请接收人检查是否仍接收该应用的消息".to_owned(),
        );
        let earlier = StepName::ALL
            .into_iter()
            .filter(|step| *step != StepName::Send);
        return earlier
            .map(|step| Step::ok(step, found(step, message.channel)))
            .chain([step])
            .collect();
    }
    let text = |step| match step {
        StepName::Send => sent.clone(),
        StepName::Config | StepName::Token | StepName::Template | StepName::Recipient => {
            found(step, message.channel).to_owned()
        }
    };
    StepName::ALL
        .into_iter()
        .map(|step| Step::ok(step, text(step)))
        .collect()
}

fn found(step: StepName, channel: Channel) -> &'static str {
    match step {
        StepName::Config => "渠道已配置",
        StepName::Token if channel == Channel::WecomRobot => "机器人不需要凭证",
        StepName::Token => "平台已发放凭证",
        StepName::Template => "模板可以发送",
        StepName::Recipient => "接收人已绑定",
        StepName::Send => "平台已接受",
    }
}

/// Whether an attempt ended before the platform was asked for anything.
fn is_unsent(attempt: &Attempt) -> bool {
    let rule = attempt.rule.as_str();
    rule.starts_with("recipient/") || matches!(rule, "message/unpreparable" | "relay/not_tried")
}

/// At which step an attempt ended, by the rule that judged it.
fn blamed(attempt: &Attempt) -> StepName {
    let rule_name = attempt.rule.as_str();
    let (api, _) = rule_name.split_once('/').unwrap_or((rule_name, ""));
    match rule_name {
        "transport/no_token" => return StepName::Token,
        "message/unpreparable" => return StepName::Template,
        "cloud_function/no_recipient" | "wecom_send/refused_recipients" => {
            return StepName::Recipient;
        }
        _ if api == "recipient" => return StepName::Recipient,
        _ => {}
    }
    match (api.parse::<Api>(), attempt.errcode) {
        (Ok(Api::Token | Api::WecomToken), _) => StepName::Token,
        (Ok(api), Some(errcode)) => by_errcode(api, errcode),
        (Ok(_), None) | (Err(_), _) => StepName::Send,
    }
}

fn by_errcode(api: Api, errcode: i64) -> StepName {
    /// A field of the template does not fit.
    const FIELD_REFUSED: i64 = 47_003;
    let rule = rule(api, errcode);
    match (rule.also_broken, rule.class) {
        (AlsoBroken::Binding, _) | (_, Class::Resubscribe) => StepName::Recipient,
        (AlsoBroken::Template | AlsoBroken::Page, _) => StepName::Template,
        (AlsoBroken::Nothing, Class::Token) => StepName::Token,
        (AlsoBroken::Nothing, Class::Halt) => StepName::Config,
        (AlsoBroken::Nothing, _) if errcode == FIELD_REFUSED => StepName::Template,
        (AlsoBroken::Nothing, _) => StepName::Send,
    }
}

/// What to look at where a step has failed; none where the cause says it better.
fn advice(step: StepName, channel: Channel) -> Option<String> {
    let is_wecom = matches!(channel, Channel::WecomApp | Channel::WecomRobot);
    let advice = match step {
        StepName::Token if is_wecom => {
            "请检查 outbox-relay 的 WECOM_CORPID、WECOM_SECRET，企业可信 IP，以及到企业微信的网络"
        }
        StepName::Token => {
            "请检查 outbox-relay 的 WECHAT_APPID、WECHAT_SECRET，公众平台的 IP 白名单，以及到微信的网络"
        }
        StepName::Template => "请对照平台上的模板检查渠道设置的模板编号、字段和页面",
        StepName::Recipient if is_wecom => "请检查该用户的企业微信账号和应用的可见范围",
        StepName::Recipient => "请检查该用户的绑定；订阅消息需要接收人在小程序中再次订阅",
        StepName::Config | StepName::Send => return None,
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_named_by_the_rule_and_the_code() {
        for (rule, errcode, step) in [
            ("token/40013", Some(40_013), StepName::Token),
            (
                "wecom_token/40001 (halt, set here)",
                Some(40_001),
                StepName::Token,
            ),
            ("transport/no_token", None, StepName::Token),
            ("subscribe_send/40001", Some(40_001), StepName::Token),
            ("message/unpreparable", None, StepName::Template),
            ("subscribe_send/40037", Some(40_037), StepName::Template),
            ("subscribe_send/41030", Some(41_030), StepName::Template),
            ("subscribe_send/47003", Some(47_003), StepName::Template),
            ("subscribe_send/43101", Some(43_101), StepName::Recipient),
            ("subscribe_send/40003", Some(40_003), StepName::Recipient),
            ("recipient/none", None, StepName::Recipient),
            (
                "wecom_send/refused_recipients",
                Some(0),
                StepName::Recipient,
            ),
            ("cloud_function/no_recipient", None, StepName::Recipient),
            ("transport/no_answer", None, StepName::Send),
            ("subscribe_send/45168", Some(45_168), StepName::Send),
            ("relay/not_tried", None, StepName::Send),
        ] {
            let now: UtcTimestamp = chrono::Utc::now().into();
            let attempt = Attempt {
                id: shared::domain::AttemptId::generate(),
                message_id: shared::domain::OutboxMessageId::generate(),
                attempt: 1,
                fence: 1,
                relay: "relay-1".parse().unwrap(),
                started_at: now,
                duration_ms: 1,
                verdict: "refused".to_owned(),
                rule: rule.to_owned(),
                http_status: None,
                errcode,
                errmsg: None,
            };
            assert_eq!(blamed(&attempt), step, "{rule}");
        }
    }
}
