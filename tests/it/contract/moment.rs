//! Moments mean the same in memory and on both databases.

use std::time::Duration;

use chrono::Utc;
use diesel::prelude::*;
use shared::db::dialect;
use shared::db::schema::relays;
use shared::domain::UtcTimestamp;

use crate::harness::{TestDatabase, moment, on_each_database, relay, seconds};

on_each_database! {
    a_moment_reads_back_equal_to_the_microsecond,
    moments_compare_in_the_database_as_they_do_in_memory,
    the_database_tells_the_time_in_utc,
}

async fn a_moment_reads_back_equal_to_the_microsecond(database: &TestDatabase) {
    let base = moment().to_datetime();
    for nanoseconds in [
        0,
        1,
        999,
        1_000,
        1_999,
        100_000_000,
        321_098_765,
        999_999_999,
    ] {
        let written: UtcTimestamp = (base + chrono::Duration::nanoseconds(nanoseconds)).into();
        let name = relay(&format!("relay-{nanoseconds}"));
        database.register(&name, written).await;
        let (read, found) = database
            .read(move |connection| {
                let read: UtcTimestamp = relays::table
                    .find(&name)
                    .select(relays::started_at)
                    .first(connection)?;
                let found: i64 = relays::table
                    .filter(relays::name.eq(&name))
                    .filter(relays::started_at.eq(written))
                    .count()
                    .get_result(connection)?;
                Ok((read, found))
            })
            .await;
        assert_eq!(read, written);
        assert_eq!(found, 1, "{written} is not equal to itself in the database");
    }
}

async fn moments_compare_in_the_database_as_they_do_in_memory(database: &TestDatabase) {
    // Texts of different lengths after the second, if moments are stored as text.
    let offsets = [
        0, 1, 100_000, 100_001, 123_000, 123_456, 999_999, 1_000_000, 60_000_000,
    ];
    let midnight = UtcTimestamp::from_naive_utc(
        moment()
            .to_datetime()
            .date_naive()
            .and_hms_opt(0, 0, 0)
            .unwrap(),
    );
    let moments: Vec<UtcTimestamp> = offsets
        .into_iter()
        .map(|microseconds| midnight.after(Duration::from_micros(microseconds)))
        .collect();
    for (position, &at) in moments.iter().enumerate().rev() {
        database
            .register(&relay(&format!("relay-{position}")), at)
            .await;
    }
    let (sorted, from_the_middle) = database
        .read(move |connection| {
            let sorted: Vec<UtcTimestamp> = relays::table
                .order(relays::started_at)
                .select(relays::started_at)
                .load(connection)?;
            let from_the_middle: i64 = relays::table
                .filter(relays::started_at.ge(midnight.after(Duration::from_micros(123_000))))
                .count()
                .get_result(connection)?;
            Ok((sorted, from_the_middle))
        })
        .await;
    assert_eq!(sorted, moments);
    assert_eq!(from_the_middle, 5);
}

async fn the_database_tells_the_time_in_utc(database: &TestDatabase) {
    let before: UtcTimestamp = Utc::now().into();
    let told = database.read(dialect::database_time).await;
    let after: UtcTimestamp = Utc::now().into();
    // One of them tells milliseconds.
    let tolerance = seconds(2);
    assert!(
        told >= before.before(tolerance) && told <= after.after(tolerance),
        "{told} is not between {before} and {after}"
    );
}
