use std::str::FromStr;
use std::time::{Duration, Instant};

/// How many messages a second a repair changes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u32);

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number of messages a second from 1 to {RATE_MAX}, such as 500/s")]
pub struct InvalidRate;

/// Faster than any database takes it.
const RATE_MAX: u32 = 100_000;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        match number.parse() {
            Ok(rate @ 1..=RATE_MAX) => Ok(Self(rate)),
            _ => Err(InvalidRate),
        }
    }
}

impl Rate {
    /// How many messages fit into one batch: none takes longer than a second.
    pub(super) fn batch(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// How long to wait after so many messages since `begun`, so that they are not too many.
    pub(super) fn pause(self, begun: Instant, changed: usize) -> Duration {
        let earliest = changed as f64 / f64::from(self.0);
        Duration::from_secs_f64(earliest).saturating_sub(begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_second_within_bounds() {
        assert_eq!("500/s".parse(), Ok(Rate(500)));
        assert_eq!("1".parse(), Ok(Rate(1)));
        for text in ["", "0/s", "-1", "500/m", "1.5/s", "100001/s"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }

    #[test]
    fn whoever_is_too_fast_waits() {
        let pause = Rate(100).pause(Instant::now(), 500);
        assert!((4..=5).contains(&pause.as_secs()), "{pause:?}");
        assert_eq!(Rate(100).pause(Instant::now(), 0), Duration::ZERO);
    }
}
