use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use shared::domain::UtcTimestamp;

use crate::schedule::{Turn, first_moment};

/// Since when nothing may have been done with a customer that is brought up at a slot: an interval of
/// days, or twice, three times as many. Days are those of calendars in the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    today: NaiveDate,
    /// In days, at least 1.
    interval: u32,
    /// How many days are made up for, with today; no more than an interval.
    days: u32,
    zone: Tz,
}

impl Waits {
    /// What is due at the slot of this turn, and was at those missed before.
    pub fn at(turn: &Turn, interval: u32, zone: Tz) -> Self {
        Self::between(turn.previous, turn.slot, interval, zone)
    }

    fn between(previous: UtcTimestamp, slot: UtcTimestamp, interval: u32, zone: Tz) -> Self {
        let day_of = |moment: UtcTimestamp| moment.to_datetime().with_timezone(&zone).date_naive();
        let today = day_of(slot);
        let missed = (today - day_of(previous)).num_days();
        let interval = interval.max(1);
        let days = u32::try_from(missed.max(0)).map_or(interval, |missed| missed.min(interval));
        Self {
            today,
            interval,
            days,
            zone,
        }
    }

    /// How many whole days ago, by the calendar, a moment was.
    pub(super) fn days_since(self, moment: UtcTimestamp) -> i64 {
        let day = moment.to_datetime().with_timezone(&self.zone).date_naive();
        (self.today - day).num_days()
    }

    /// The ranges, each from its first moment until before its second, newest first, in which the last
    /// activity of what is due lies; none that ends before `oldest`.
    pub(super) fn ranges(
        self,
        oldest: UtcTimestamp,
    ) -> impl Iterator<Item = (UtcTimestamp, UtcTimestamp)> {
        (1_u32..)
            .map_while(move |times| {
                let last = self.back(self.interval.checked_mul(times)?)?;
                let until = self.midnight(last.succ_opt()?);
                // If every day of the interval is made up for, the ranges leave no gap: they are one.
                let all_before = self.days == self.interval;
                let from = match last.checked_sub_days(Days::new(self.days.into())) {
                    Some(before) if !all_before => self.midnight(before.succ_opt()?),
                    Some(_) | None => oldest,
                };
                (times == 1 || !all_before).then_some((from, until))
            })
            .take_while(move |(_, until)| *until > oldest)
            .filter(|(from, until)| from < until)
    }

    fn back(self, days: u32) -> Option<NaiveDate> {
        self.today.checked_sub_days(Days::new(days.into()))
    }

    fn midnight(self, day: NaiveDate) -> UtcTimestamp {
        first_moment(day.and_time(NaiveTime::MIN), self.zone)
            .to_utc()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> UtcTimestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    /// Half past nine in Shanghai, that many days after 2026-11-01.
    fn slot(days: u64) -> UtcTimestamp {
        at("2026-11-01T01:30:00Z").after(Duration::from_secs(days * 86_400))
    }

    fn is_due(waits: Waits, activity: UtcTimestamp, oldest: UtcTimestamp) -> bool {
        let found = waits
            .ranges(oldest)
            .filter(|(from, until)| *from <= activity && activity < *until);
        let found = found.count();
        assert!(found <= 1, "{waits:?} {activity}: in {found} ranges");
        found == 1
    }

    #[test]
    fn it_is_brought_up_on_the_last_day_of_every_interval() {
        let zone = Tz::Asia__Shanghai;
        // Late on 2026-10-31 there, which is a day before slot 0.
        let activity = at("2026-10-31T15:59:59Z");
        for interval in [1, 2, 7, 30] {
            let due: Vec<u64> = (0..70)
                .filter(|day| {
                    let before = slot(*day).before(Duration::from_secs(86_400));
                    let waits = Waits::between(before, slot(*day), interval, zone);
                    assert_eq!(waits.days_since(activity), i64::try_from(*day).unwrap() + 1);
                    is_due(waits, activity, activity)
                })
                .map(|day| day + 1)
                .collect();
            let expected: Vec<u64> = (1..=70)
                .filter(|day| day % u64::from(interval) == 0)
                .collect();
            assert_eq!(due, expected, "every {interval} days");
        }
    }

    #[test]
    fn what_fell_on_days_that_were_missed_is_made_up_for_once() {
        let zone = Tz::Europe__Berlin;
        let oldest = at("2026-08-01T00:00:00Z");
        // The clocks go back in between, on 2026-10-25.
        let slots: Vec<UtcTimestamp> = [0_u64, 1, 2, 5, 6, 13, 20, 41, 42]
            .iter()
            .map(|day| at("2026-10-20T07:30:00Z").after(Duration::from_secs(day * 86_400)))
            .collect();
        for interval in [1_i64, 3, 7] {
            for hours in 0..60 * 24 {
                let activity = oldest.after(Duration::from_secs(hours * 3_600));
                for pair in slots.windows(2) {
                    let waits =
                        Waits::between(pair[0], pair[1], interval.try_into().unwrap(), zone);
                    let before = Waits::between(pair[0], pair[0], 1, zone);
                    let crossed = waits.days_since(activity) / interval
                        > before.days_since(activity).max(0) / interval;
                    assert_eq!(
                        is_due(waits, activity, oldest),
                        crossed,
                        "{pair:?} {activity}"
                    );
                }
            }
        }
    }
}
