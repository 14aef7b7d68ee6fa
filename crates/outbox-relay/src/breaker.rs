use std::time::Duration;

use shared::domain::UtcTimestamp;

use crate::verdict::Transport;

/// Notices when a platform cannot be reached any more, so that not every waiting message uses up an
/// attempt to find out.
///
/// It counts windows with failures, not failures: when a platform goes away, everything that is
/// under way fails together, and says one thing. What it decides becomes a hold of the channel,
/// which all relays share; one message at a time then probes the way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    failed_windows: u32,
    window_began_at: Option<UtcTimestamp>,
}

/// Failures within this time are one.
const WINDOW: Duration = Duration::from_secs(1);

/// Opens after so many failed windows in a row: with requests that time out, half a minute.
const FAILED_WINDOWS_MAX: u32 = 5;

/// The first probe follows after this, …
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// … and each further one after twice as long, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Breaker {
    /// Takes note of an attempt; answers for how long the channel is to be held, if it is.
    pub(crate) fn record(&mut self, transport: Transport, now: UtcTimestamp) -> Option<Duration> {
        match transport {
            Transport::NotTried => None,
            Transport::Works => {
                *self = Self::default();
                None
            }
            Transport::Failed => {
                let same_window = self
                    .window_began_at
                    .is_some_and(|began_at| now < began_at.after(WINDOW));
                if same_window {
                    return None;
                }
                self.window_began_at = Some(now);
                self.failed_windows = self.failed_windows.saturating_add(1);
                let beyond = self.failed_windows.checked_sub(FAILED_WINDOWS_MAX)?;
                let doubled = 2_u32.saturating_pow(beyond.min(16));
                Some(PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> UtcTimestamp {
        let start: UtcTimestamp = "2026-11-21T12:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .into();
        start.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_thousand_failures_at_one_moment_are_one() {
        let mut breaker = Breaker::default();
        for _ in 0..1_000 {
            assert_eq!(breaker.record(Transport::Failed, at(0)), None);
        }
    }

    #[test]
    fn it_opens_after_five_failed_seconds_and_probes_ever_more_rarely() {
        let mut breaker = Breaker::default();
        let pauses: Vec<u64> = (0..12)
            .filter_map(|second| breaker.record(Transport::Failed, at(second * 1_000)))
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60, 60]);
    }

    #[test]
    fn one_answer_closes_it_and_what_was_not_tried_says_nothing() {
        let mut breaker = Breaker::default();
        for second in 0..4 {
            breaker.record(Transport::Failed, at(second * 1_000));
        }
        assert_eq!(breaker.record(Transport::NotTried, at(5_000)), None);
        assert!(breaker.record(Transport::Failed, at(5_000)).is_some());
        breaker.record(Transport::Works, at(6_000));
        for second in 7..11 {
            assert_eq!(breaker.record(Transport::Failed, at(second * 1_000)), None);
        }
    }
}
