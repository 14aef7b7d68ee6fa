//! Numbers, and how people read them.

use std::time::Duration;

/// How long many things took, sorted.
#[derive(Debug, Clone, Default)]
pub struct Durations(Vec<Duration>);

impl Durations {
    /// Of measured ones in any order.
    pub fn new(mut measured: Vec<Duration>) -> Self {
        measured.sort_unstable();
        Self(measured)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The duration that this share of all does not exceed, by the nearest rank; zero if there are
    /// none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let at = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// So many in this time, per second; zero in no time.
pub fn per_second(count: usize, time: Duration) -> f64 {
    ratio(to_float(count), time.as_secs_f64())
}

/// One number in relation to another; zero in relation to nothing.
pub fn ratio(number: f64, to: f64) -> f64 {
    if to > 0.0 { number / to } else { 0.0 }
}

/// A count among measured numbers.
#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^53")]
pub fn to_float(count: usize) -> f64 {
    count as f64
}

/// `38,211/s`
pub fn show_rate(per_second: f64) -> String {
    if per_second < 10.0 {
        return format!("{per_second:.2}/s");
    }
    let digits = format!("{per_second:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}/s")
}

/// `0.73`
pub fn show_ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// `1.25 ms`
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1_000.0;
    if milliseconds < 1_000.0 {
        format!("{milliseconds:.2} ms")
    } else {
        format!("{:.2} s", milliseconds / 1_000.0)
    }
}

/// `31.4 MiB`
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub fn show_bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let milliseconds = |count: u64| Duration::from_millis(count);
        let hundred = Durations::new((1..=100).rev().map(milliseconds).collect());
        for (share, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)] {
            assert_eq!(hundred.percentile(share), milliseconds(expected), "{share}");
        }
        let one = Durations::new(vec![milliseconds(7)]);
        assert_eq!(one.percentile(0.5), milliseconds(7));
        assert_eq!(Durations::default().percentile(0.5), Duration::ZERO);
    }

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        assert_eq!(show_rate(38_211.4), "38,211/s");
        assert_eq!(show_rate(999.0), "999/s");
        assert_eq!(show_rate(1_234_567.0), "1,234,567/s");
        assert_eq!(show_rate(1.5), "1.50/s");
        assert_eq!(show_duration(Duration::from_micros(1_254)), "1.25 ms");
        assert_eq!(show_duration(Duration::from_millis(2_500)), "2.50 s");
        assert_eq!(show_bytes(32_925_286), "31.4 MiB");
        assert_eq!(per_second(10, Duration::ZERO), 0.0);
        assert_eq!(per_second(10, Duration::from_secs(4)), 2.5);
    }
}
