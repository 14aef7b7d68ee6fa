//! Giving customers to people: every rule, text and row.

mod batch;
mod channels;
mod concurrency;
mod pool;
mod refusals;
mod rollback;
mod single;

use chrono::{DateTime, FixedOffset};
use serde_json::Value;

/// A moment of an answer, as it is written in messages: in Shanghai.
fn in_shanghai(moment: &Value) -> String {
    let moment = DateTime::parse_from_rfc3339(moment.as_str().unwrap()).unwrap();
    let shanghai = FixedOffset::east_opt(8 * 60 * 60).unwrap();
    moment
        .with_timezone(&shanghai)
        .format("%Y年%m月%d日 %H:%M")
        .to_string()
}
