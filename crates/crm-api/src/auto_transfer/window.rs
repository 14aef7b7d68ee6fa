use std::fmt;
use std::str::FromStr;

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::domain::UtcTimestamp;

/// A time of day, to the minute: `09:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

/// A text that is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of day (HH:MM)")]
pub struct InvalidTimeOfDay;

impl FromStr for TimeOfDay {
    type Err = InvalidTimeOfDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hour, minute) = text.split_once(':').ok_or(InvalidTimeOfDay)?;
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !two_digits(hour) || !two_digits(minute) {
            return Err(InvalidTimeOfDay);
        }
        let number = |part: &str| part.parse().map_err(|_| InvalidTimeOfDay);
        NaiveTime::from_hms_opt(number(hour)?, number(minute)?, 0)
            .map(Self)
            .ok_or(InvalidTimeOfDay)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.format("%H:%M").to_string())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// When a rule runs: from the start, up to the end and not at it. A window whose end comes first
/// goes on across midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Else it runs at any time.
    pub enabled: bool,
    /// From when.
    pub start: TimeOfDay,
    /// Until when. Never the same as the start.
    pub end: TimeOfDay,
}

impl Window {
    /// Whether the rule runs at this moment.
    pub fn is_open_at(self, moment: UtcTimestamp, zone: Tz) -> bool {
        let time = moment.to_datetime().with_timezone(&zone).time();
        let (start, end) = (self.start.0, self.end.0);
        if !self.enabled {
            true
        } else if start < end {
            start <= time && time < end
        } else {
            start <= time || time < end
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.enabled {
            write!(f, "{}–{}", self.start, self.end)
        } else {
            f.write_str("不限")
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn a_window_is_open_from_its_start_until_its_end_also_across_midnight() {
        for (start, end, open, shut) in [
            (
                "09:30",
                "18:30",
                &["09:30", "12:00", "18:29"][..],
                &["09:29", "18:30", "00:00", "23:59"][..],
            ),
            (
                "22:00",
                "06:00",
                &["22:00", "23:59", "00:00", "05:59"],
                &["06:00", "12:00", "21:59"],
            ),
            ("23:59", "00:00", &["23:59"], &["00:00", "23:58"]),
            ("00:00", "00:01", &["00:00"], &["00:01", "23:59"]),
            ("18:30", "18:29", &["18:30", "00:00", "18:28"], &["18:29"]),
        ] {
            let window = |enabled| Window {
                enabled,
                start: start.parse().unwrap(),
                end: end.parse().unwrap(),
            };
            let is_open = |enabled, time: &str| {
                // In the zone, which is eight hours ahead.
                let moment = format!("2026-11-25T{time}:00+08:00");
                let moment = DateTime::parse_from_rfc3339(&moment).unwrap();
                let moment: DateTime<Utc> = moment.to_utc();
                window(enabled).is_open_at(moment.into(), Tz::Asia__Shanghai)
            };
            for time in open {
                assert!(is_open(true, time), "{start}-{end} at {time}");
            }
            for time in shut {
                assert!(!is_open(true, time), "{start}-{end} at {time}");
                assert!(is_open(false, time), "without a window, at {time}");
            }
        }
    }

    #[test]
    fn a_time_of_day_has_hours_and_minutes() {
        for text in ["00:00", "09:30", "23:59"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in [
            "", "9:30", "24:00", "12:60", "12", "12:3", "+1:30", "12:30:00", "１2:00",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
