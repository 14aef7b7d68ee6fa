use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Timelike, Utc};
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in UTC, exact to the microsecond.
///
/// One of the databases keeps six digits after the second and the other as many as it is given:
/// cut to six here, a value reads back equal from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamp)]
pub struct UtcTimestamp(NaiveDateTime);

impl UtcTimestamp {
    /// The moment in UTC without a zone, as the databases store it.
    pub fn from_naive_utc(moment: NaiveDateTime) -> Self {
        let microseconds = moment.nanosecond() / 1_000 * 1_000;
        Self(moment.with_nanosecond(microseconds).unwrap_or(moment))
    }

    /// The same moment, for calendars and time zones.
    pub fn to_datetime(self) -> DateTime<Utc> {
        self.0.and_utc()
    }

    pub(crate) fn as_naive_utc(&self) -> &NaiveDateTime {
        &self.0
    }

    /// The moment that long after this one, or the last one there is.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let later = chrono::Duration::from_std(duration)
            .ok()
            .and_then(|d| self.0.checked_add_signed(d));
        later.map_or(Self(NaiveDateTime::MAX), Self::from_naive_utc)
    }

    /// The moment that long before this one, or the first one there is.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let earlier = chrono::Duration::from_std(duration)
            .ok()
            .and_then(|d| self.0.checked_sub_signed(d));
        earlier.map_or(Self(NaiveDateTime::MIN), Self::from_naive_utc)
    }

    /// When the day of this moment began, for those who live in `zone`.
    #[must_use]
    pub fn day_began_at<Z: TimeZone>(self, zone: &Z) -> Self {
        let day = self.to_datetime().with_timezone(zone).date_naive();
        let midnight = day.and_time(NaiveTime::MIN);
        // Where clocks are put forward at midnight, the day begins an hour later.
        let moments = [midnight, midnight + chrono::Duration::hours(1)];
        let began_at = moments
            .iter()
            .find_map(|moment| zone.from_local_datetime(moment).earliest());
        began_at.map_or(self, |moment| moment.to_utc().into())
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or(Duration::ZERO)
    }
}

impl From<DateTime<Utc>> for UtcTimestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::from_naive_utc(moment.naive_utc())
    }
}

impl fmt::Display for UtcTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(
            &self
                .to_datetime()
                .to_rfc3339_opts(SecondsFormat::Micros, true),
        )
    }
}

impl Serialize for UtcTimestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTimestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::<Utc>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTimestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    #[test]
    fn is_cut_to_microseconds() {
        assert_eq!(
            at("2026-01-02T03:04:05.123456789Z"),
            at("2026-01-02T03:04:05.123456Z")
        );
        assert_eq!(
            at("2026-01-02T03:04:05.123456789Z").to_string(),
            "2026-01-02T03:04:05.123456Z"
        );
    }

    #[test]
    fn arithmetic_stays_within_what_can_be_said() {
        let moment = at("2026-01-02T03:04:05Z");
        assert_eq!(
            moment.after(Duration::from_secs(60)).since(moment),
            Duration::from_secs(60)
        );
        assert_eq!(
            moment.since(moment.after(Duration::from_secs(60))),
            Duration::ZERO
        );
        assert_eq!(
            moment.before(Duration::from_secs(5)),
            at("2026-01-02T03:04:00Z")
        );
        assert!(moment.after(Duration::MAX) > moment);
    }
}
