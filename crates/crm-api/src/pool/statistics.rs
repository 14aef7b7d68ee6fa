use std::collections::BTreeMap;

use chrono::{Duration, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::Serialize;
use shared::db::schema::{assignments, customers};
use shared::db::{DbConnection, DbError};
use shared::domain::UtcTimestamp;

use super::movement::DOORS_OF_NEW_ONES;
use crate::customers::{LeadLevel, LeadSource};

/// How much is in the public pool, and how much has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatistics {
    /// How many customers are in it.
    pub total: i64,
    /// How often one has gone in today.
    pub today_entered: i64,
    /// How often one has gone out today, claimed or assigned.
    pub today_claimed: i64,
    /// Those that are in it, by where they came from.
    pub by_lead_source: BTreeMap<&'static str, i64>,
    /// Those that are in it, by how promising they are.
    pub by_lead_level: BTreeMap<&'static str, i64>,
}

/// What stands for the level of those that have none.
const NO_LEVEL: &str = "未分级";

/// Counts the public pool. What has moved since `today` began is counted in the history, so that it
/// stays counted when a customer goes on.
///
/// # Errors
/// What the database says.
pub fn statistics(
    connection: &mut DbConnection,
    today: UtcTimestamp,
) -> Result<PoolStatistics, DbError> {
    let pool = customers::table.filter(customers::in_public_pool);
    let by_source: Vec<(LeadSource, i64)> = pool
        .group_by(customers::lead_source)
        .select((customers::lead_source, count_star()))
        .load(connection)?;
    let by_level: Vec<(Option<LeadLevel>, i64)> = pool
        .group_by(customers::lead_level)
        .select((customers::lead_level, count_star()))
        .load(connection)?;
    let moved_today = assignments::table.filter(assignments::created_at.ge(today));
    let today_entered = moved_today
        .filter(assignments::to_user_id.is_null())
        .count()
        .get_result(connection)?;
    let today_claimed = moved_today
        .filter(assignments::from_user_id.is_null())
        .filter(assignments::to_user_id.is_not_null())
        .filter(assignments::entrance.ne_all(DOORS_OF_NEW_ONES))
        .count()
        .get_result(connection)?;
    let level = |level: Option<LeadLevel>| level.map_or(NO_LEVEL, LeadLevel::as_str);
    Ok(PoolStatistics {
        total: by_source.iter().map(|(_, count)| count).sum(),
        today_entered,
        today_claimed,
        by_lead_source: by_source
            .into_iter()
            .map(|(source, count)| (source.as_str(), count))
            .collect(),
        by_lead_level: by_level
            .into_iter()
            .map(|(found, count)| (level(found), count))
            .collect(),
    })
}

/// When the day of `now` began in this zone.
pub fn start_of_day(now: UtcTimestamp, zone: Tz) -> UtcTimestamp {
    let day = now.to_datetime().with_timezone(&zone).date_naive();
    let midnight = zone.from_local_datetime(&day.and_time(NaiveTime::MIN));
    // Where clocks are put forward at midnight, the day begins an hour later.
    let begun = midnight.earliest().or_else(|| {
        let an_hour_later = day.and_time(NaiveTime::MIN) + Duration::hours(1);
        zone.from_local_datetime(&an_hour_later).earliest()
    });
    begun.map_or(now, |begun| begun.to_utc().into())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> UtcTimestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        for (now, zone, began) in [
            (
                "2026-01-02T03:04:05Z",
                Tz::Asia__Shanghai,
                "2026-01-01T16:00:00Z",
            ),
            (
                "2026-01-02T15:59:59Z",
                Tz::Asia__Shanghai,
                "2026-01-01T16:00:00Z",
            ),
            (
                "2026-01-02T16:00:00Z",
                Tz::Asia__Shanghai,
                "2026-01-02T16:00:00Z",
            ),
            ("2026-01-02T03:04:05Z", Tz::UTC, "2026-01-02T00:00:00Z"),
            // The clocks went from 23:59:59 to 01:00:00.
            (
                "2018-11-04T12:00:00Z",
                Tz::America__Sao_Paulo,
                "2018-11-04T03:00:00Z",
            ),
        ] {
            assert_eq!(start_of_day(at(now), zone), at(began), "{now} {zone}");
        }
    }
}
