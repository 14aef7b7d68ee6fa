use std::time::Duration;

use shared::domain::UtcTimestamp;

/// How many messages may go out now on a channel that may have a rate limit: a token bucket that holds
/// one second's worth, and at least one message. What goes out while there is no limit is not counted
/// against one that is set later.
///
/// Looking takes nothing, because a look is made before each claim and most claims find less than
/// they could take. The time is an argument.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter {
    is_limited: bool,
    allowance: f64,
    filled_at: UtcTimestamp,
}

const SECONDS_PER_MINUTE: f64 = 60.0;

impl RateLimiter {
    /// With one message's allowance: many relays that start at once do not send in a burst.
    pub(crate) fn starting_at(now: UtcTimestamp) -> Self {
        Self {
            is_limited: true,
            allowance: 1.0,
            filled_at: now,
        }
    }

    /// How many messages may go out now.
    pub(crate) fn available(&mut self, per_minute: Option<f64>, now: UtcTimestamp) -> usize {
        let Some(per_minute) = per_minute else {
            self.is_limited = false;
            return usize::MAX;
        };
        if !self.is_limited {
            *self = Self::starting_at(now);
        }
        let per_second = per_minute / SECONDS_PER_MINUTE;
        let filled = now.since(self.filled_at).as_secs_f64() * per_second;
        self.allowance = (self.allowance + filled).min(per_second.max(1.0));
        self.filled_at = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of messages, and an `as` conversion stops at the ends"
        )]
        let whole = self.allowance.max(0.0) as usize;
        whole
    }

    /// So many have gone out.
    pub(crate) fn take(&mut self, messages: usize) {
        if !self.is_limited {
            return;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "no claim has more than thousands"
        )]
        let taken = messages as f64;
        self.allowance -= taken;
    }

    /// How long until the next message may go out.
    pub(crate) fn next_in(&self, per_minute: f64) -> Duration {
        let missing = (1.0 - self.allowance).max(0.0);
        let seconds = missing * SECONDS_PER_MINUTE / per_minute;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> UtcTimestamp {
        "2026-11-21T12:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .into()
    }

    /// Sends whatever it may, looking every `look`; answers how many went out in `duration`.
    fn sent_in(duration: Duration, look: Duration, per_minute: f64) -> usize {
        let mut limiter = RateLimiter::starting_at(now());
        let mut passed = Duration::ZERO;
        let mut sent = 0;
        while passed < duration {
            let may = limiter.available(Some(per_minute), now().after(passed));
            limiter.take(may);
            sent += may;
            passed += look;
        }
        sent
    }

    #[test]
    fn a_minute_sees_no_more_than_its_rate_and_one_burst() {
        for per_minute in [1.0, 20.0, 600.0, 90_000.0] {
            for look in [1, 37, 1_000, 5_000] {
                let sent = sent_in(
                    Duration::from_secs(60),
                    Duration::from_millis(look),
                    per_minute,
                );
                let burst = (per_minute / 60.0_f64).max(1.0);
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let sent = sent as f64;
                assert!(
                    sent <= per_minute + burst,
                    "{sent} of {per_minute}, every {look} ms"
                );
                // Looks further apart than the bucket is deep lose what runs over.
                if look <= 1_000 {
                    assert!(
                        sent >= per_minute - burst - 1.0,
                        "{sent} of {per_minute}, every {look} ms"
                    );
                }
            }
        }
    }

    #[test]
    fn the_next_one_may_go_when_it_says() {
        let mut limiter = RateLimiter::starting_at(now());
        assert_eq!(limiter.available(Some(20.0), now()), 1);
        limiter.take(1);
        let pause = limiter.next_in(20.0);
        assert_eq!(pause, Duration::from_secs(3));
        let just_before = now().after(pause - Duration::from_millis(1));
        assert_eq!(limiter.available(Some(20.0), just_before), 0);
        assert_eq!(limiter.available(Some(20.0), now().after(pause)), 1);
    }

    #[test]
    fn what_goes_out_without_a_limit_is_not_counted_against_a_later_one() {
        let mut limiter = RateLimiter::starting_at(now());
        assert_eq!(limiter.available(None, now()), usize::MAX);
        limiter.take(100_000);
        assert_eq!(limiter.available(Some(20.0), now()), 1);
        limiter.take(1);
        assert_eq!(limiter.available(Some(20.0), now()), 0);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut limiter = RateLimiter::starting_at(now());
        limiter.take(1);
        assert_eq!(
            limiter.available(Some(20.0), now().before(Duration::from_secs(600))),
            0
        );
    }
}
