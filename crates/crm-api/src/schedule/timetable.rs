use std::fmt;
use std::time::Duration;

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike,
    Weekday,
};
use chrono_tz::Tz;
use shared::domain::UtcTimestamp;

/// The longest that clocks are put forward by at once, in minutes; an island skipped a whole day.
const GAP_MINUTES_MAX: u32 = 26 * 60;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// When something is done, in the time of a zone.
///
/// A time of day that does not exist, because clocks were put forward, is the first moment after it;
/// of one that comes twice the first counts. An hourly slot comes every real hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timetable {
    /// Every hour, so many minutes past it: `0 * * * *`.
    Hourly {
        /// 0 to 59.
        minute: u32,
    },
    /// Every day: `0 18 * * *`.
    Daily {
        /// At which time.
        at: NaiveTime,
    },
    /// Every week: `0 9 * * 1`.
    Weekly {
        /// On which day.
        weekday: Weekday,
        /// At which time.
        at: NaiveTime,
    },
    /// Every month: `0 9 1 * *`.
    Monthly {
        /// On which day, 1 to 31; the last one where a month is shorter.
        day: u32,
        /// At which time.
        at: NaiveTime,
    },
}

impl Timetable {
    /// The last slot that is not after `now`.
    pub fn latest(self, now: UtcTimestamp, zone: Tz) -> UtcTimestamp {
        let local = now.to_datetime().with_timezone(&zone);
        match self {
            Self::Hourly { minute } => {
                let past = (local.minute() + 60 - minute % 60) % 60 * 60 + local.second();
                let whole = now.before(Duration::from_secs(past.into()));
                // Slots have no fractions of a second.
                whole.before(Duration::from_nanos(local.nanosecond().into()))
            }
            Self::Daily { .. } | Self::Weekly { .. } | Self::Monthly { .. } => {
                last_of(local, zone, |day| self.slot_on(day))
            }
        }
    }

    /// The first slot that is after `now`.
    pub fn next(self, now: UtcTimestamp, zone: Tz) -> UtcTimestamp {
        match self {
            Self::Hourly { .. } => self.latest(now, zone).after(HOUR),
            Self::Daily { .. } | Self::Weekly { .. } | Self::Monthly { .. } => {
                let local = now.to_datetime().with_timezone(&zone);
                next_of(local, zone, |day| self.slot_on(day))
            }
        }
    }

    /// What clocks show at the slot of a day; nothing if it has none, or one every hour.
    fn slot_on(self, day: NaiveDate) -> Option<NaiveDateTime> {
        match self {
            Self::Hourly { .. } => None,
            Self::Daily { at } => Some(day.and_time(at)),
            Self::Weekly { weekday, at } => (day.weekday() == weekday).then(|| day.and_time(at)),
            Self::Monthly { day: wanted, at } => {
                let is_last = day
                    .checked_add_days(Days::new(1))
                    .is_none_or(|next| next.day() == 1);
                let fits = day.day() == wanted || (is_last && day.day() < wanted);
                fits.then(|| day.and_time(at))
            }
        }
    }
}

/// As people say it: `每周一 09:00`.
impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: NaiveTime| at.format("%H:%M");
        match self {
            Self::Hourly { minute } => write!(f, "每小时第 {minute} 分"),
            Self::Daily { at } => write!(f, "每天 {}", time(*at)),
            Self::Weekly { weekday, at } => {
                let day = match weekday {
                    Weekday::Mon => "一",
                    Weekday::Tue => "二",
                    Weekday::Wed => "三",
                    Weekday::Thu => "四",
                    Weekday::Fri => "五",
                    Weekday::Sat => "六",
                    Weekday::Sun => "日",
                };
                write!(f, "每周{day} {}", time(*at))
            }
            Self::Monthly { day, at } => write!(f, "每月 {day} 日 {}", time(*at)),
        }
    }
}

/// A time of day, to the minute; midnight if there is none like that.
pub(crate) const fn time_of_day(hour: u32, minute: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, minute, 0) {
        Some(time) => time,
        None => NaiveTime::MIN,
    }
}

/// Goes back day by day until there is a slot that has come. The day after is looked at too: a slot
/// in a gap may have been moved there, but never before its own day.
fn last_of(
    local: DateTime<Tz>,
    zone: Tz,
    slot_on: impl Fn(NaiveDate) -> Option<NaiveDateTime>,
) -> UtcTimestamp {
    let mut day = local.date_naive();
    loop {
        if let Some(slot) = slot_on(day) {
            let slot = first_moment(slot, zone);
            if slot <= local {
                return slot.to_utc().into();
            }
        }
        match day.pred_opt() {
            Some(before) => day = before,
            // There was no earlier day.
            None => return local.to_utc().into(),
        }
    }
}

/// Goes on day by day until there is a slot that has not come. The day before is looked at too: its
/// slot may have been moved by a gap.
fn next_of(
    local: DateTime<Tz>,
    zone: Tz,
    slot_on: impl Fn(NaiveDate) -> Option<NaiveDateTime>,
) -> UtcTimestamp {
    let today = local.date_naive();
    let mut day = today.pred_opt().unwrap_or(today);
    loop {
        if let Some(slot) = slot_on(day) {
            let slot = first_moment(slot, zone);
            if slot > local {
                return slot.to_utc().into();
            }
        }
        match day.succ_opt() {
            Some(after) => day = after,
            // There is no later day.
            None => return local.to_utc().into(),
        }
    }
}

/// The moment at which clocks show this, or the first one after it.
pub(crate) fn first_moment(shown: NaiveDateTime, zone: Tz) -> DateTime<Tz> {
    let mut wanted = shown;
    for _ in 0..=GAP_MINUTES_MAX {
        match zone.from_local_datetime(&wanted) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => return moment,
            LocalResult::None => wanted += chrono::Duration::minutes(1),
        }
    }
    zone.from_utc_datetime(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTimestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    fn time(hour: u32, minute: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, minute, 0).unwrap()
    }

    #[test]
    fn the_last_slot_is_found_in_local_time() {
        let hourly = Timetable::Hourly { minute: 0 };
        let evening = Timetable::Daily { at: time(18, 0) };
        let monday = Timetable::Weekly {
            weekday: Weekday::Mon,
            at: time(9, 0),
        };
        let first = Timetable::Monthly {
            day: 1,
            at: time(9, 0),
        };
        let end = Timetable::Monthly {
            day: 31,
            at: time(9, 0),
        };
        for (timetable, zone, now, slot) in [
            (
                hourly,
                Tz::Asia__Shanghai,
                "2026-11-25T03:00:00Z",
                "2026-11-25T03:00:00Z",
            ),
            (
                hourly,
                Tz::Asia__Shanghai,
                "2026-11-25T03:59:59.999999Z",
                "2026-11-25T03:00:00Z",
            ),
            // Their hours begin at half past those of the world.
            (
                hourly,
                Tz::Asia__Kolkata,
                "2026-11-25T03:29:00Z",
                "2026-11-25T02:30:00Z",
            ),
            (
                Timetable::Hourly { minute: 45 },
                Tz::UTC,
                "2026-11-25T00:10:00Z",
                "2026-11-24T23:45:00Z",
            ),
            (
                evening,
                Tz::Asia__Shanghai,
                "2026-11-25T09:59:59Z",
                "2026-11-24T10:00:00Z",
            ),
            (
                evening,
                Tz::Asia__Shanghai,
                "2026-11-25T10:00:00Z",
                "2026-11-25T10:00:00Z",
            ),
            // 2026-11-23 is a Monday.
            (
                monday,
                Tz::Asia__Shanghai,
                "2026-11-25T00:00:00Z",
                "2026-11-23T01:00:00Z",
            ),
            (
                monday,
                Tz::Asia__Shanghai,
                "2026-11-23T00:59:00Z",
                "2026-11-16T01:00:00Z",
            ),
            (
                first,
                Tz::Asia__Shanghai,
                "2026-03-01T00:59:59Z",
                "2026-02-01T01:00:00Z",
            ),
            (
                first,
                Tz::Asia__Shanghai,
                "2026-03-01T01:00:00Z",
                "2026-03-01T01:00:00Z",
            ),
            (
                end,
                Tz::Asia__Shanghai,
                "2026-03-05T00:00:00Z",
                "2026-02-28T01:00:00Z",
            ),
        ] {
            assert_eq!(
                timetable.latest(at(now), zone),
                at(slot),
                "{timetable:?} {now}"
            );
        }
    }

    #[test]
    fn a_time_that_is_skipped_comes_at_the_first_moment_after_and_one_that_is_repeated_once() {
        let night = Timetable::Daily { at: time(2, 30) };
        let zone = Tz::Europe__Berlin;
        // Clocks go from 2:00 to 3:00, at 1:00 in UTC.
        for (now, slot) in [
            ("2026-03-29T00:59:00Z", "2026-03-28T01:30:00Z"),
            ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
            // They go from 3:00 back to 2:00, at 1:00 in UTC: 2:30 is at 0:30 and at 1:30.
            ("2026-10-25T00:29:00Z", "2026-10-24T00:30:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(night.latest(at(now), zone), at(slot), "{now}");
        }
    }

    #[test]
    fn an_hourly_slot_comes_every_real_hour_also_when_clocks_change() {
        let hourly = Timetable::Hourly { minute: 0 };
        for (zone, from) in [
            (Tz::Europe__Berlin, "2026-03-28T22:00:00Z"),
            (Tz::Europe__Berlin, "2026-10-24T22:00:00Z"),
            (Tz::America__New_York, "2026-11-01T03:00:00Z"),
        ] {
            let mut slots: Vec<UtcTimestamp> = (0..8 * 60)
                .map(|minute| at(from).after(Duration::from_secs(minute * 60)))
                .map(|now| hourly.latest(now, zone))
                .collect();
            assert!(slots.is_sorted());
            slots.dedup();
            assert_eq!(slots.len(), 8, "{zone} {slots:?}");
        }
    }

    #[test]
    fn a_slot_is_never_ahead_and_never_goes_back() {
        let tables = [
            Timetable::Hourly { minute: 30 },
            Timetable::Daily { at: time(2, 15) },
            Timetable::Weekly {
                weekday: Weekday::Sun,
                at: time(2, 15),
            },
            Timetable::Monthly {
                day: 29,
                at: time(2, 15),
            },
        ];
        for timetable in tables {
            for zone in [
                Tz::Asia__Shanghai,
                Tz::Europe__London,
                Tz::America__Sao_Paulo,
            ] {
                let mut before =
                    at("2026-01-01T00:00:00Z").before(Duration::from_secs(40 * 86_400));
                for step in 0..1_500 {
                    let now =
                        at("2026-01-01T00:00:00Z").after(Duration::from_secs(step * 6 * 3_661));
                    let slot = timetable.latest(now, zone);
                    assert!(slot <= now && slot >= before, "{timetable:?} {zone} {now}");
                    before = slot;
                    let next = timetable.next(now, zone);
                    assert!(next > now, "{timetable:?} {zone} {now}");
                    assert_eq!(timetable.latest(next, zone), next, "{timetable:?} {zone}");
                    let shortly_before = next.before(Duration::from_secs(1));
                    assert_eq!(
                        timetable.latest(shortly_before, zone),
                        slot,
                        "{timetable:?} {zone}: nothing between {now} and {next}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_timetable_reads_as_people_say_it() {
        let at = time(9, 0);
        let weekday = Weekday::Mon;
        for (timetable, said) in [
            (Timetable::Hourly { minute: 0 }, "每小时第 0 分"),
            (Timetable::Daily { at }, "每天 09:00"),
            (Timetable::Weekly { weekday, at }, "每周一 09:00"),
            (Timetable::Monthly { day: 1, at }, "每月 1 日 09:00"),
        ] {
            assert_eq!(timetable.to_string(), said);
        }
    }
}
