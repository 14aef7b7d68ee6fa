//! Why a message is not sent, in the words of those who read it in the CRM.

use chrono_tz::Tz;
use shared::domain::UtcTimestamp;
use shared::outbox::{AHEAD_MAX, Cause, Status};

/// A cause in words, and what to do about it.
pub(crate) struct CauseText {
    pub(crate) text: String,
    pub(crate) fix: Option<&'static str>,
}

/// Puts a cause into words; moments are rendered in this zone.
pub(crate) fn cause_text(cause: &Cause, zone: Tz) -> CauseText {
    CauseText {
        text: text(cause, zone),
        fix: fix(cause),
    }
}

fn text(cause: &Cause, zone: Tz) -> String {
    let time = |moment: &UtcTimestamp| {
        let local = moment.to_datetime().with_timezone(&zone);
        local.format("%Y-%m-%d %H:%M:%S").to_string()
    };
    let because = |error: &Option<String>| match error {
        Some(error) => format!("：{error}"),
        None => String::new(),
    };
    match cause {
        Cause::Sent { at } => format!("已于 {} 发送成功", time(at)),
        Cause::PresumedSent { at } => format!("平台未答复，推定已于 {} 送达", time(at)),
        Cause::NotDue { until } => format!("未到发送时间，将于 {} 发送", time(until)),
        Cause::DoNotDisturb { until } => format!("接收人免打扰，将于 {} 发送", time(until)),
        Cause::WaitsForRetry {
            until,
            attempts,
            attempts_max,
            error,
        } => format!(
            "第 {attempts} 次发送未成功（最多 {attempts_max} 次），将于 {} 重试{}",
            time(until),
            because(error)
        ),
        Cause::Leased { relay, until } => {
            format!("{relay} 正在发送，最迟 {} 结束", time(until))
        }
        Cause::RelaySilent {
            relay,
            reclaimed_at,
            ..
        } => format!(
            "发送程序 {relay} 已无响应，自 {} 起可由其他程序接手",
            time(reclaimed_at)
        ),
        Cause::ChannelHeld { reason, since, .. } => {
            format!("渠道自 {} 起暂停：{reason}", time(since))
        }
        Cause::NoLiveRelay => "没有正在运行的发送程序".to_owned(),
        Cause::BehindSameRecipient { message } => {
            format!("同一接收人的另一条消息正在发送：{message}")
        }
        Cause::InLine { ahead, due_since } => {
            let more = if *ahead >= AHEAD_MAX {
                " 条以上"
            } else {
                " 条"
            };
            format!("自 {} 起等待发送，前面还有 {ahead}{more}", time(due_since))
        }
        Cause::NoBinding => "接收人未绑定该应用".to_owned(),
        Cause::NoSubscription => "接收人的订阅次数已用完".to_owned(),
        Cause::RouteOff => "该类通知的渠道已关闭".to_owned(),
        Cause::NothingToDo { reason } => format!("无需发送{}", because(reason)),
        Cause::InDigest {
            digest,
            status,
            due_at,
        } => {
            let stands = match (status, due_at) {
                (Status::Pending, Some(due_at)) => format!("等待发送（{}）", time(due_at)),
                (Status::Pending, None) => "等待发送".to_owned(),
                (Status::Sending, _) => "正在发送".to_owned(),
                (Status::Sent, _) => "已发送".to_owned(),
                (Status::Failed, _) => "发送失败".to_owned(),
                (Status::Skipped, _) => "未发送".to_owned(),
                (Status::Cancelled, _) => "已取消".to_owned(),
            };
            format!("已并入免打扰汇总 {digest}，该汇总{stands}")
        }
        Cause::Dissolved { reason } => {
            format!("汇总未能发送，其中的消息改为逐条发送{}", because(reason))
        }
        Cause::Superseded {
            message, reason, ..
        } => {
            let by = message.as_ref().map(|id| format!(" {id} "));
            let by = by.unwrap_or_else(|| "后来的变更".to_owned());
            format!("发送前已被{by}取代{}", because(reason))
        }
        Cause::Cancelled { by, reason, .. } => format!(
            "已被 {} 取消{}",
            by.as_deref().unwrap_or("操作员"),
            because(reason)
        ),
        Cause::Expired { .. } => "发送前已过期".to_owned(),
        Cause::Refused { error, .. } => format!("平台拒绝发送{}", because(error)),
        Cause::AttemptsUsedUp {
            attempts, error, ..
        } => format!("{attempts} 次发送均未成功{}", because(error)),
        Cause::RateLimited {
            per_minute, about, ..
        } => format!(
            "渠道限速每分钟 {per_minute} 条，预计 {} 前后发送",
            time(about)
        ),
        Cause::RecipientLimited {
            per_minute,
            per_hour,
            about,
        } => format!(
            "接收人已达平台的接收上限（每分钟 {per_minute} 条、每小时 {per_hour} 条），预计 {} 前后发送",
            time(about)
        ),
        Cause::LeftToAPerson { error } => {
            format!("可能已送达，按渠道设置不自动重发{}", because(error))
        }
        Cause::CrashLoop { rescues } => {
            format!("连续 {rescues} 个发送程序在处理该消息时中断")
        }
    }
}

fn fix(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Sent { .. }
        | Cause::NotDue { .. }
        | Cause::DoNotDisturb { .. }
        | Cause::WaitsForRetry { .. }
        | Cause::Leased { .. }
        | Cause::BehindSameRecipient { .. }
        | Cause::RateLimited { .. }
        | Cause::RecipientLimited { .. }
        | Cause::Dissolved { .. }
        | Cause::Superseded { .. } => None,
        Cause::InDigest { status, .. } => match status {
            Status::Pending | Status::Sending | Status::Sent => None,
            Status::Failed | Status::Skipped | Status::Cancelled => {
                Some("请查看该汇总的原因并将其重新排队，其中包含本条消息")
            }
        },
        Cause::LeftToAPerson { .. } => Some("请向接收人确认；如未收到，请重新排队，否则保留或取消"),
        Cause::PresumedSent { .. } => Some("请向接收人确认；如未收到，请另行通知"),
        Cause::RelaySilent { live_relays: 0, .. } | Cause::NoLiveRelay => {
            Some("请启动发送程序 outbox-relay")
        }
        Cause::RelaySilent { .. } => None,
        Cause::ChannelHeld { .. } => Some("请按原因处理；下一次探测成功后自动恢复"),
        Cause::InLine { .. } => {
            Some("如果长时间没有进展，请检查发送程序是否配置了该渠道，以及并发数是否足够")
        }
        Cause::NoBinding => Some("请先绑定接收人，再重新排队"),
        Cause::NoSubscription => Some("请接收人在小程序中重新订阅，再重新排队"),
        Cause::RouteOff => Some("请先开启该类通知的渠道，再重新排队"),
        Cause::NothingToDo { .. } => Some("请先处理上述原因，再重新排队"),
        Cause::Cancelled { .. } | Cause::Expired { .. } => Some("如仍需发送，请重新排队"),
        Cause::Refused { .. } => {
            Some("请先修正错误所指的内容（渠道设置、模板、绑定或消息内容），再重新排队")
        }
        Cause::AttemptsUsedUp { .. } => Some("请先处理发送记录中的问题，再重新排队"),
        Cause::CrashLoop { .. } => Some("请先查看这些发送程序的最后日志，再重新排队"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn moments_are_told_in_the_offices_time() {
        let until = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z").unwrap();
        let cause = Cause::NotDue {
            until: until.to_utc().into(),
        };
        let told = cause_text(&cause, Tz::Asia__Shanghai);
        assert_eq!(told.text, "未到发送时间，将于 2026-01-02 11:04:05 发送");
        assert_eq!(told.fix, None);
    }

    #[test]
    fn whoever_must_do_something_is_told_what_in_both_languages() {
        for cause in [
            Cause::NoLiveRelay,
            Cause::NoBinding,
            Cause::NoSubscription,
            Cause::RouteOff,
            Cause::CrashLoop { rescues: 3 },
            Cause::Expired { at: None },
        ] {
            assert!(cause.fix().is_some() && fix(&cause).is_some(), "{cause:?}");
        }
    }
}
