use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;
use shared::domain::UtcTimestamp;

use crate::schedule::first_moment;

/// How long a time a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The day of the slot, as far as it has come then.
    Day,
    /// The seven days, Monday to Sunday, before the week of the slot.
    Week,
    /// The month before that of the slot.
    Month,
}

/// The time that a report is about, from its beginning until before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: UtcTimestamp,
    /// The first moment that does not belong to it.
    pub until: UtcTimestamp,
    /// As staff read it: `2026年11月25日（截至18:00）`.
    pub text: String,
}

impl Span {
    /// The period that a report of this slot is about: by the slot, not by when it is written.
    pub fn period(self, slot: UtcTimestamp, zone: Tz) -> Period {
        let local = slot.to_datetime().with_timezone(&zone);
        let today = local.date_naive();
        let between = |first: NaiveDate, after: NaiveDate, text: String| Period {
            from: midnight(first, zone),
            until: midnight(after, zone),
            text,
        };
        match self {
            Self::Day => Period {
                from: midnight(today, zone),
                until: slot,
                text: format!("{}（截至{}）", day_text(today), time_text(&local)),
            },
            Self::Week => {
                let monday = back(today, today.weekday().num_days_from_monday());
                let first = back(monday, 7);
                let text = format!("{}至{}", day_text(first), day_text(back(monday, 1)));
                between(first, monday, text)
            }
            Self::Month => {
                let after = first_of_month(today);
                let first = first_of_month(back(after, 1));
                let text = format!("{}年{:02}月", first.year(), first.month());
                between(first, after, text)
            }
        }
    }
}

fn midnight(day: NaiveDate, zone: Tz) -> UtcTimestamp {
    first_moment(day.and_time(NaiveTime::MIN), zone)
        .to_utc()
        .into()
}

fn back(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_sub_days(Days::new(days.into())).unwrap_or(day)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    back(day, day.day0())
}

fn day_text(day: NaiveDate) -> String {
    format!("{}年{:02}月{:02}日", day.year(), day.month(), day.day())
}

fn time_text(local: &DateTime<Tz>) -> String {
    format!("{:02}:{:02}", local.hour(), local.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTimestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    #[test]
    fn a_period_is_that_of_the_slot_in_the_time_of_the_zone() {
        let (shanghai, berlin) = (Tz::Asia__Shanghai, Tz::Europe__Berlin);
        for (span, zone, slot, from, until, text) in [
            (
                Span::Day,
                shanghai,
                "2026-11-25T10:00:00Z",
                "2026-11-24T16:00:00Z",
                "2026-11-25T10:00:00Z",
                "2026年11月25日（截至18:00）",
            ),
            // 2026-11-23 is a Monday.
            (
                Span::Week,
                shanghai,
                "2026-11-23T01:00:00Z",
                "2026-11-15T16:00:00Z",
                "2026-11-22T16:00:00Z",
                "2026年11月16日至2026年11月22日",
            ),
            (
                Span::Month,
                shanghai,
                "2026-03-01T01:00:00Z",
                "2026-01-31T16:00:00Z",
                "2026-02-28T16:00:00Z",
                "2026年02月",
            ),
            // Over the end of a year.
            (
                Span::Month,
                shanghai,
                "2027-01-01T01:00:00Z",
                "2026-11-30T16:00:00Z",
                "2026-12-31T16:00:00Z",
                "2026年12月",
            ),
            // A day of 23 hours: clocks go from 2:00 to 3:00.
            (
                Span::Day,
                berlin,
                "2026-03-29T16:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T16:00:00Z",
                "2026年03月29日（截至18:00）",
            ),
            // A week with a day of 25 hours in it.
            (
                Span::Week,
                berlin,
                "2026-10-26T08:00:00Z",
                "2026-10-18T22:00:00Z",
                "2026-10-25T23:00:00Z",
                "2026年10月19日至2026年10月25日",
            ),
            (
                Span::Month,
                berlin,
                "2026-04-01T07:00:00Z",
                "2026-02-28T23:00:00Z",
                "2026-03-31T22:00:00Z",
                "2026年03月",
            ),
        ] {
            let period = span.period(at(slot), zone);
            let expected = Period {
                from: at(from),
                until: at(until),
                text: text.to_owned(),
            };
            assert_eq!(period, expected, "{span:?} {slot}");
        }
    }

    #[test]
    fn periods_follow_each_other_without_a_gap() {
        use crate::schedule::{Timetable, time_of_day};
        use chrono::Weekday;

        let at_nine = time_of_day(9, 0);
        let weekly = Timetable::Weekly {
            weekday: Weekday::Mon,
            at: at_nine,
        };
        let monthly = Timetable::Monthly {
            day: 1,
            at: at_nine,
        };
        for zone in [
            Tz::Asia__Shanghai,
            Tz::Europe__Berlin,
            Tz::America__Santiago,
        ] {
            for (span, timetable) in [(Span::Week, weekly), (Span::Month, monthly)] {
                let mut slot = timetable.latest(at("2026-01-15T00:00:00Z"), zone);
                let mut before = span.period(slot, zone);
                for _ in 0..60 {
                    slot = timetable.next(slot, zone);
                    let period = span.period(slot, zone);
                    assert_eq!(period.from, before.until, "{zone} {span:?} {slot}");
                    assert!(period.until > period.from && period.until <= slot);
                    before = period;
                }
            }
        }
    }
}
