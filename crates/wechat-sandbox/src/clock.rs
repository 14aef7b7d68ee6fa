//! The sandbox's own time: the system clock plus what the tests have moved it forward.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant of sandbox time, in microseconds since the unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    #[cfg(test)]
    pub(crate) const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1_000_000)
    }

    pub(crate) const fn micros(self) -> u64 {
        self.0
    }

    pub(crate) const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    pub(crate) const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    pub(crate) const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole seconds from `self` until `later`, 0 when `later` has passed.
    pub(crate) const fn seconds_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0) / 1_000_000
    }

    /// Number of the calendar day in China (UTC+8 without daylight saving), by which the
    /// platform counts its daily quotas.
    pub(crate) const fn beijing_day(self) -> u64 {
        (self.seconds() + 8 * 3600) / 86_400
    }
}

/// Runs with the system clock and can be moved forward, never back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset: Duration,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let micros = (since_epoch + self.offset).as_micros();
        Timestamp(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.offset = self.offset.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_moves_now_by_that_much() {
        let mut clock = Clock::default();
        let before = clock.now();
        clock.advance(Duration::from_secs(7200));
        assert!(before.seconds_until(clock.now()) >= 7200);
    }

    #[test]
    fn the_day_changes_at_midnight_in_china() {
        // 2024-10-23 16:00:00 UTC is 2024-10-24 00:00:00 in China.
        let midnight = Timestamp::from_seconds(1_729_699_200);
        let just_before = Timestamp::from_seconds(1_729_699_199);
        assert_eq!(just_before.beijing_day() + 1, midnight.beijing_day());
    }
}
