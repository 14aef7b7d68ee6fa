use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};
use serde::{Deserialize, Serialize};

use crate::domain::UtcTimestamp;

/// A time of certain days in which somebody does not want to be disturbed, in the zone of the
/// installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuietWindow {
    /// The days on which it begins, Monday = 1 to Sunday = 7.
    pub days: BTreeSet<u8>,
    /// When it begins.
    #[serde(with = "clock_time")]
    pub start: NaiveTime,
    /// When it ends: on the next day, if that is earlier than the beginning.
    #[serde(with = "clock_time")]
    pub end: NaiveTime,
}

/// Two of these windows that share some time. Their days exist.
pub(super) fn overlap(windows: &[QuietWindow]) -> Option<(usize, usize)> {
    let mut spans: Vec<(i64, i64, usize)> = windows
        .iter()
        .enumerate()
        .flat_map(|(window, quiet)| spans(quiet).map(move |(from, to)| (from, to, window)))
        .collect();
    spans.sort_unstable();
    let overlap = spans.windows(2).find(|pair| pair[0].1 > pair[1].0);
    if let Some(pair) = overlap {
        return Some((pair[0].2, pair[1].2));
    }
    // The week is a ring: what runs over its end is also at its beginning.
    let (first_start, _, first) = *spans.first()?;
    let over_the_end = spans.iter().find(|(_, end, _)| *end > first_start + WEEK);
    over_the_end.map(|(_, _, window)| (first, *window))
}

/// The end of the windows that a moment, which is given in the zone of the installation, is in, one
/// after the other.
pub(super) fn quiet_until<Tz: TimeZone>(
    windows: &[QuietWindow],
    moment: &DateTime<Tz>,
) -> Option<UtcTimestamp> {
    let until = local_end(windows, moment.naive_local())?;
    Some(moment_of(&moment.timezone(), until))
}

fn local_end(windows: &[QuietWindow], moment: NaiveDateTime) -> Option<NaiveDateTime> {
    let mut until = None;
    let mut at = moment;
    // Windows do not overlap: a week of them, one after the other, is quiet for ever.
    while let Some(end) = windows.iter().find_map(|one| one.end_at(at)) {
        until = Some(end);
        at = end;
        if at - moment > chrono::Duration::days(7) {
            break;
        }
    }
    until
}

impl QuietWindow {
    /// When it ends, if this moment is in it.
    fn end_at(&self, moment: NaiveDateTime) -> Option<NaiveDateTime> {
        let today = moment.date();
        let begun_on = [Some(today), today.pred_opt()];
        begun_on.into_iter().flatten().find_map(|day| {
            if !self.days.contains(&number_of(day.weekday())) {
                return None;
            }
            let (start, end) = (day.and_time(self.start), self.end_of(day)?);
            (start <= moment && moment < end).then_some(end)
        })
    }

    /// When it ends that begins on this day.
    fn end_of(&self, day: NaiveDate) -> Option<NaiveDateTime> {
        let last_day = if self.end > self.start {
            Some(day)
        } else {
            day.checked_add_days(Days::new(1))
        };
        last_day.map(|day| day.and_time(self.end))
    }
}

fn number_of(day: Weekday) -> u8 {
    u8::try_from(day.number_from_monday()).unwrap_or(u8::MAX)
}

/// Minutes of a day, and of a week.
const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;

/// From when to when a window lasts, in minutes since the beginning of the week.
fn spans(window: &QuietWindow) -> impl Iterator<Item = (i64, i64)> {
    let start = minutes(window.start);
    let end = minutes(window.end);
    let length = if end > start {
        end - start
    } else {
        end + DAY - start
    };
    window.days.iter().map(move |day| {
        let from = i64::from(day - 1) * DAY + start;
        (from, from + length)
    })
}

fn minutes(time: NaiveTime) -> i64 {
    (time - NaiveTime::MIN).num_minutes()
}

/// A local time as a moment. One that a change of clocks leaves out comes an hour later, and of one
/// that comes twice the first is meant.
fn moment_of<Tz: TimeZone>(zone: &Tz, local: NaiveDateTime) -> UtcTimestamp {
    let found = zone.from_local_datetime(&local).earliest();
    let moment = found.or_else(|| {
        let later = local + chrono::Duration::hours(1);
        zone.from_local_datetime(&later).earliest()
    });
    moment.map_or_else(|| local.and_utc().into(), |moment| moment.to_utc().into())
}

/// A time of day as `22:30`.
mod clock_time {
    use chrono::NaiveTime;
    use serde::{Deserialize, Deserializer, Serializer};

    const FORM: &str = "%H:%M";

    pub(super) fn serialize<S: Serializer>(
        time: &NaiveTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.format(FORM))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveTime::parse_from_str(&text, FORM)
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is no time such as 22:30")))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::notification) fn window(days: &[u8], start: &str, end: &str) -> QuietWindow {
        let time = |text| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        QuietWindow {
            days: days.iter().copied().collect(),
            start: time(start),
            end: time(end),
        }
    }

    pub(in crate::notification) const EVERY_DAY: &[u8] = &[1, 2, 3, 4, 5, 6, 7];

    pub(in crate::notification) fn local(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn a_window_ends_when_it_should() {
        let night = window(EVERY_DAY, "22:00", "08:00");
        let friday_night = window(&[5], "22:00", "08:00");
        let noon = window(&[1, 3], "12:00", "13:30");
        // 2026-01-02 is a Friday.
        for (windows, at, until) in [
            (vec![night.clone()], "2026-01-02 21:59", None),
            (
                vec![night.clone()],
                "2026-01-02 22:00",
                Some("2026-01-03 08:00"),
            ),
            (
                vec![night.clone()],
                "2026-01-03 00:00",
                Some("2026-01-03 08:00"),
            ),
            (
                vec![night.clone()],
                "2026-01-03 07:59",
                Some("2026-01-03 08:00"),
            ),
            (vec![night.clone()], "2026-01-03 08:00", None),
            (vec![friday_night.clone()], "2026-01-02 07:00", None),
            (
                vec![friday_night.clone()],
                "2026-01-03 07:00",
                Some("2026-01-03 08:00"),
            ),
            (vec![friday_night], "2026-01-03 23:00", None),
            (
                vec![noon.clone()],
                "2026-01-05 12:30",
                Some("2026-01-05 13:30"),
            ),
            (vec![noon.clone()], "2026-01-06 12:30", None),
            (
                vec![night, window(&[6], "08:00", "10:00")],
                "2026-01-03 01:00",
                Some("2026-01-03 10:00"),
            ),
            (vec![noon], "2026-01-05 13:30", None),
        ] {
            assert_eq!(overlap(&windows), None, "{windows:?}");
            assert_eq!(
                local_end(&windows, local(at)),
                until.map(local),
                "{windows:?} {at}"
            );
        }
        let always = [
            window(EVERY_DAY, "00:00", "12:00"),
            window(EVERY_DAY, "12:00", "00:00"),
        ];
        assert_eq!(overlap(&always), None);
        let until = local_end(&always, local("2026-01-02 03:00")).unwrap();
        assert!(until > local("2026-01-09 03:00") && until < local("2026-01-11 00:00"));
    }
}
