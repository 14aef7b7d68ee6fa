use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// How long to wait before the next attempt, and how many there are.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub attempts_max: i32,
    /// The delay after the first attempt.
    pub first_delay: Duration,
    /// Each delay is this many times the one before.
    pub factor: f64,
    /// No delay is longer.
    pub delay_max: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts over about six hours, the second within two seconds of the first: a platform's
    /// short hiccup costs seconds, a whole morning's outage loses nothing.
    fn default() -> Self {
        Self {
            attempts_max: 10,
            first_delay: Duration::from_millis(1_500),
            factor: 3.15,
            delay_max: Duration::from_secs(4 * 60 * 60),
        }
    }
}

/// How far a delay may differ from the computed one, as a share of it: messages that failed
/// together should not come back together.
const JITTER: f64 = 0.2;

impl RetryPolicy {
    /// The delay after the attempt of this number (1 = first). `jitter` between 0 and 1 places it
    /// in the band around the computed delay; the caller draws it.
    pub fn delay_after(&self, attempt: i32, jitter: f64) -> Duration {
        let mut delays = ExponentialBackoff {
            current_interval: self.first_delay,
            initial_interval: self.first_delay,
            randomization_factor: 0.0,
            multiplier: self.factor,
            max_interval: self.delay_max,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut delay = self.first_delay;
        for _ in 0..attempt.clamp(1, 100) {
            delay = delays.next_backoff().unwrap_or(self.delay_max);
        }
        // Without randomness of its own the library still adds up to a nanosecond.
        let delay = Duration::from_micros(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
        let band = 1.0 + JITTER * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
        delay.min(self.delay_max).mul_f64(band)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_take_about_six_hours_and_the_second_comes_within_two_seconds() {
        let policy = RetryPolicy::default();
        assert!(policy.delay_after(1, 1.0) <= Duration::from_secs(2));
        let total: Duration = (1..policy.attempts_max)
            .map(|attempt| policy.delay_after(attempt, 0.5))
            .sum();
        let hours = total.as_secs_f64() / 3_600.0;
        assert!((5.5..6.5).contains(&hours), "{hours} hours");
    }

    #[test]
    fn delays_grow_up_to_the_cap_and_stay_in_their_band() {
        let policy = RetryPolicy::default();
        for attempt in 1..200 {
            let middle = policy.delay_after(attempt, 0.5);
            assert!(middle <= policy.delay_max);
            assert!(policy.delay_after(attempt + 1, 0.5) >= middle);
            for jitter in [-1.0, 0.0, 0.3, 1.0, 7.0] {
                let delay = policy.delay_after(attempt, jitter).as_secs_f64();
                let (low, high) = (
                    middle.as_secs_f64() * 0.8 - 1e-6,
                    middle.as_secs_f64() * 1.2 + 1e-6,
                );
                assert!(
                    (low..=high).contains(&delay),
                    "attempt {attempt}, jitter {jitter}: {delay}"
                );
            }
        }
    }
}
