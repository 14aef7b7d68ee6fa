//! The duplicate check: the same request of an app within its interval is shown once.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value};

use super::agent::AgentKey;
use crate::clock::Timestamp;

/// The interval when a request names none, in seconds.
pub(crate) const DEFAULT_INTERVAL: u64 = 1_800;
/// The longest interval, in seconds; what is longer counts as this.
pub(crate) const LONGEST_INTERVAL: u64 = 4 * 3_600;
/// Remembered requests beyond which those that are over are forgotten.
const SWEEP: usize = 10_000;

/// The requests that asked for the check and were accepted.
#[derive(Debug, Default)]
pub(crate) struct DuplicateCheck {
    until: HashMap<u64, Timestamp>,
}

impl DuplicateCheck {
    /// Notes a request; `true` when it repeats one whose interval is not over.
    ///
    /// Two requests are the same when their JSON is: blanks and the order of the fields do not
    /// count, every field does.
    pub(crate) fn repeats(
        &mut self,
        agent: &AgentKey,
        request: &Map<String, Value>,
        interval: u64,
        now: Timestamp,
    ) -> bool {
        let mut hasher = DefaultHasher::new();
        (agent, request).hash(&mut hasher);
        let identity = hasher.finish();
        if self.until.get(&identity).is_some_and(|until| now < *until) {
            return true;
        }
        if self.until.len() >= SWEEP {
            self.until.retain(|_, until| now < *until);
        }
        let interval = interval.min(LONGEST_INTERVAL);
        self.until.insert(identity, now.plus_seconds(interval));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_repeats_while_its_interval_lasts_and_no_longer_than_four_hours() {
        let start = Timestamp::from_seconds(1_729_650_000);
        let agent = AgentKey {
            corpid: "ww1".to_owned(),
            agentid: 1,
        };
        let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let mut check = DuplicateCheck::default();
        for (text, interval, after, repeats) in [
            (r#"{"a":1,"b":2}"#, 60, 0, false),
            (r#"{ "b": 2, "a": 1 }"#, 60, 59, true),
            (r#"{"a":1,"b":3}"#, 60, 59, false),
            (r#"{"a":1,"b":2}"#, 60, 60, false),
            (r#"{"c":1}"#, 99_999, 0, false),
            (r#"{"c":1}"#, 99_999, 14_399, true),
            (r#"{"c":1}"#, 99_999, 14_400, false),
        ] {
            let now = start.plus_seconds(after);
            assert_eq!(
                check.repeats(&agent, &read(text), interval, now),
                repeats,
                "{text} after {after} s"
            );
        }
    }
}
