//! Messages, relays and verdicts to test with.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::json;
use shared::domain::{Channel, RecipientId, RelayName, UserId, UtcTimestamp};
use shared::operation_log::Actor;
use shared::outbox::{
    AttemptReport, ClaimedMessage, NewMessage, Outcome, Priority, RepairOrder, Settlement, Verdict,
    Wish,
};

/// The moment at which tests begin. Its microseconds are not zero, so that cutting them off shows.
pub fn moment() -> UtcTimestamp {
    let moment = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
    UtcTimestamp::from_naive_utc(moment.and_hms_micro_opt(3, 4, 5, 678_901).unwrap())
}

/// Seconds.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A message that is due at [`moment`], each to somebody else: one recipient gets one message at a
/// time.
pub fn message() -> NewMessage {
    NewMessage {
        kind: "customer.assigned".to_owned(),
        channel: Channel::WechatSubscribe,
        recipient_id: RecipientId::from(&UserId::generate()),
        subject: None,
        dedup_key: None,
        payload: json!({ "customerName": "王女士" }),
        priority: Priority::Medium,
        attempts_max: 3,
        due_at: moment(),
        expires_at: None,
        request_id: None,
        fallbacks: None,
    }
}

/// The name of a relay.
pub fn relay(name: &str) -> RelayName {
    name.parse().unwrap()
}

/// How an attempt went that began at `started_at`.
pub fn report(started_at: UtcTimestamp) -> AttemptReport {
    AttemptReport {
        started_at,
        duration: Duration::from_millis(120),
        rule: "test/rule".to_owned(),
        http_status: Some(200),
        errcode: Some(45_009),
        error: Some("reach max api daily quota limit".to_owned()),
    }
}

/// What an operator orders at a command line.
pub fn repair_order(wish: Wish) -> RepairOrder {
    RepairOrder {
        wish,
        reason: "模板已修复".to_owned(),
        actor: Actor::Console("li".to_owned()),
        request_id: None,
    }
}

/// The platform took it.
pub fn accepted() -> Verdict {
    Verdict::Accepted {
        provider_message_id: Some("9007199254740993".to_owned()),
    }
}

/// It was not delivered; try again at that moment.
pub fn retry(due_at: UtcTimestamp) -> Verdict {
    Verdict::Retry {
        due_at,
        outcome: Outcome::NotDelivered,
    }
}

/// The platform will never take it.
pub fn refused() -> Verdict {
    Verdict::Refused
}

/// The end of a lease at `now`.
pub fn settlement(message: &ClaimedMessage, verdict: Verdict, now: UtcTimestamp) -> Settlement {
    Settlement {
        message: message.clone(),
        verdict,
        report: report(now),
        refused_recipients: None,
        falls_back: None,
    }
}
