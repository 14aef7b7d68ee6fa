use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::DbConnection;
use shared::db::schema::{inbox_changes, notifications, socket_tickets};
use shared::domain::{NotificationId, Role, UtcTimestamp};
use shared::notification::{
    CHANGES_KEPT_FOR, FeedReading, Pruned, feed_end, prune_inboxes, read_feed,
};

use crate::harness::{Session, TestDatabase, moment, on_each_database, seconds};

on_each_database!(
    old_entries_go_in_batches_and_the_others_stay,
    changes_and_tickets_go_when_nobody_needs_them,
    a_reader_goes_on_after_everything_was_cleared_away,
    one_process_at_a_time_clears_away,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn old_entries_go_in_batches_and_the_others_stay(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    for days in [100, 95, 91, 89, 1] {
        store(database, &li, moment().before(DAY * days)).await;
    }
    for (pruned, left) in [
        (Pruned::Some(2), 3),
        (Pruned::All(1), 2),
        (Pruned::All(0), 2),
    ] {
        assert_eq!(prune(database, 2, moment()).await, pruned);
        assert_eq!(count(database).await.0, left);
    }
}

async fn changes_and_tickets_go_when_nobody_needs_them(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    let old = moment().before(CHANGES_KEPT_FOR + seconds(1));
    for changed_at in [old, old, moment()] {
        let row = (
            inbox_changes::user_id.eq(li.id.clone()),
            inbox_changes::changed_at.eq(changed_at),
        );
        database
            .write(move |transaction| {
                diesel::insert_into(inbox_changes::table)
                    .values(row)
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    }
    for (hash, expires_at) in [("a", moment()), ("b", moment().after(seconds(1)))] {
        let row = (
            socket_tickets::hash.eq(hash),
            socket_tickets::user_id.eq(li.id.clone()),
            socket_tickets::token_epoch.eq(0),
            socket_tickets::token_ends_at.eq(moment().after(DAY)),
            socket_tickets::expires_at.eq(expires_at),
        );
        database
            .write(move |transaction| {
                diesel::insert_into(socket_tickets::table)
                    .values(row)
                    .execute(transaction.connection())?;
                Ok(())
            })
            .await;
    }
    assert_eq!(prune(database, 500, moment()).await, Pruned::All(0));
    assert_eq!(count(database).await, (0, 1, 1));
}

/// The record of changes must not begin anew when it is empty: whoever has read to its end would
/// miss what comes.
async fn a_reader_goes_on_after_everything_was_cleared_away(database: &TestDatabase) {
    let li = database.staff("li", "李四", Role::Employee).await;
    database.tell(&li, "甲").await;
    let end = database.read(feed_end).await;
    let later = moment().after(DAY * 3_650);
    prune(database, 500, later).await;
    assert_eq!(count(database).await.1, 0);
    database.tell(&li, "乙").await;
    let reading = database
        .read(move |connection| read_feed(connection, &end, 10))
        .await;
    let FeedReading::News(news) = reading else {
        panic!("{reading:?}");
    };
    let added: Vec<usize> = news.added.values().map(Vec::len).collect();
    assert_eq!(added, [1]);
}

async fn one_process_at_a_time_clears_away(database: &TestDatabase) {
    let mut other = database.connection();
    let DbConnection::Postgres(_) = other else {
        return; // There is one writer at a time.
    };
    other
        .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7492813, hashtext(current_schema()))")
        .unwrap();
    assert_eq!(
        prune(database, 500, moment()).await,
        Pruned::ElsewhereUnderWay
    );
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(prune(database, 500, moment()).await, Pruned::All(0));
}

async fn prune(database: &TestDatabase, limit: usize, now: UtcTimestamp) -> Pruned {
    database
        .write(move |transaction| prune_inboxes(transaction, DAY * 90, limit, now))
        .await
}

async fn store(database: &TestDatabase, to: &Session, made_at: UtcTimestamp) {
    let row = (
        notifications::id.eq(NotificationId::earliest_at(made_at)),
        notifications::user_id.eq(to.id.clone()),
        notifications::kind.eq("customer.assigned"),
        notifications::title.eq(""),
        notifications::content.eq(""),
        notifications::priority.eq("high"),
        notifications::data.eq("{}"),
        notifications::created_at.eq(made_at),
    );
    database
        .write(move |transaction| {
            diesel::insert_into(notifications::table)
                .values(row)
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

/// Notifications, changes and tickets.
async fn count(database: &TestDatabase) -> (i64, i64, i64) {
    database
        .read(|connection| {
            Ok((
                notifications::table.count().get_result(connection)?,
                inbox_changes::table.count().get_result(connection)?,
                socket_tickets::table.count().get_result(connection)?,
            ))
        })
        .await
}
