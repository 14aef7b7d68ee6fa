//! What the services rely on a database to do, whichever it is.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::schema::relays;
use shared::db::{Database, DbConnection, DbError, PoolOptions, WriteTransaction, dialect};
use shared::outbox;

use crate::harness::{TestDatabase, moment, on_each_database, relay};

on_each_database! {
    a_unique_violation_is_named_and_undoes_the_whole_transaction,
    a_swallowed_unique_violation_never_loses_what_was_reported_as_written,
    a_row_that_points_nowhere_is_refused,
    sixty_four_writes_at_once_are_all_committed,
    a_failing_and_a_panicking_write_do_not_touch_the_others,
    an_answer_comes_only_after_the_commit,
    a_rolled_back_write_leaves_nothing,
    a_write_waits_for_a_foreign_one,
    a_panicking_read_leaves_the_pool_usable,
    a_pool_with_no_free_connection_says_so_in_time,
}

async fn a_unique_violation_is_named_and_undoes_the_whole_transaction(database: &TestDatabase) {
    let error = database
        .database()
        .write(|transaction| {
            outbox::register_relay(transaction, &relay("written-before"), moment())?;
            insert_user(transaction, "u1", "zhang")?;
            insert_user(transaction, "u2", "zhang")
        })
        .await
        .unwrap_err();
    let DbError::Duplicate { constraint } = error else {
        panic!("{error}");
    };
    assert!(constraint.contains("username"), "{constraint}");
    assert_eq!(relay_names(&mut database.connection()), [""; 0]);
    // The connection it happened on serves the next one.
    database
        .write(|transaction| insert_user(transaction, "u1", "zhang"))
        .await;
}

/// One database gives up the whole transaction at the first violation, the other only the
/// statement. Whoever goes on all the same must at least learn the truth from the answer.
async fn a_swallowed_unique_violation_never_loses_what_was_reported_as_written(
    database: &TestDatabase,
) {
    let answer = database
        .database()
        .write(|transaction| {
            insert_user(transaction, "u1", "zhang")?;
            let refused = insert_user(transaction, "u2", "zhang");
            assert!(matches!(refused, Err(DbError::Duplicate { .. })));
            Ok::<_, DbError>(())
        })
        .await;
    let users: i64 = shared::db::schema::users::table
        .count()
        .get_result(&mut database.connection())
        .unwrap();
    assert_eq!(users, i64::from(answer.is_ok()), "{answer:?}");
}

async fn a_row_that_points_nowhere_is_refused(database: &TestDatabase) {
    let error = database
        .database()
        .write(|transaction| {
            let sql = "INSERT INTO bindings (id, user_id, app, external_id, created_at, updated_at) \
                       VALUES ('b1', 'nobody', 'mini_program:wx1', 'o1', '2026-01-02', '2026-01-02')";
            diesel::sql_query(sql).execute(transaction.connection())?;
            Ok::<_, DbError>(())
        })
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::Reference(_)), "{error}");
}

async fn sixty_four_writes_at_once_are_all_committed(database: &TestDatabase) {
    let writes = (0..64).map(|number| {
        let database = database.database().clone();
        tokio::spawn(async move {
            database
                .write(move |transaction| {
                    outbox::register_relay(transaction, &relay(&format!("r{number:02}")), moment())
                })
                .await
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let expected: Vec<String> = (0..64).map(|number| format!("r{number:02}")).collect();
    assert_eq!(relay_names(&mut database.connection()), expected);
}

async fn a_failing_and_a_panicking_write_do_not_touch_the_others(database: &TestDatabase) {
    // The first write keeps the writer busy until all others wait, so that they share a commit.
    let (all_wait, go_on) = mpsc::channel();
    let blocker = tokio::spawn({
        let database = database.database().clone();
        async move {
            database
                .write(move |_| {
                    go_on
                        .recv()
                        .map_err(|e| DbError::Unavailable(e.to_string()))
                })
                .await
        }
    });
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..12 {
        let database = database.database().clone();
        writes.spawn(async move {
            let answer = database
                .write(move |transaction| {
                    let name = relay(&format!("r{number:02}"));
                    outbox::register_relay(transaction, &name, moment())?;
                    match number {
                        4 => Err(DbError::NotFound),
                        7 => panic!("on purpose"),
                        _ => Ok(()),
                    }
                })
                .await;
            (number, answer)
        });
    }
    all_wait.send(()).unwrap();
    blocker.await.unwrap().unwrap();
    while let Some(written) = writes.join_next().await {
        let (number, answer) = written.unwrap();
        match number {
            4 => assert!(matches!(answer, Err(DbError::NotFound)), "{answer:?}"),
            7 => assert!(matches!(answer, Err(DbError::Panicked)), "{answer:?}"),
            _ => answer.unwrap(),
        }
    }
    let expected: Vec<String> = (0..12)
        .filter(|number| ![4, 7].contains(number))
        .map(|number| format!("r{number:02}"))
        .collect();
    assert_eq!(relay_names(&mut database.connection()), expected);
}

async fn an_answer_comes_only_after_the_commit(database: &TestDatabase) {
    let mut second = database.connection();
    for number in 0..20 {
        let name = format!("r{number:02}");
        let (written, wait_for_writing) = mpsc::channel();
        let (looked, wait_for_looking) = mpsc::channel();
        let write = tokio::spawn({
            let (database, name) = (database.database().clone(), relay(&name));
            async move {
                database
                    .write(move |transaction| {
                        outbox::register_relay(transaction, &name, moment())?;
                        written.send(()).unwrap();
                        wait_for_looking.recv().unwrap();
                        Ok::<_, DbError>(())
                    })
                    .await
            }
        });
        wait_for_writing.recv().unwrap();
        assert!(!relay_names(&mut second).contains(&name), "seen too early");
        looked.send(()).unwrap();
        write.await.unwrap().unwrap();
        assert!(
            relay_names(&mut second).contains(&name),
            "answered too early"
        );
    }
}

async fn a_rolled_back_write_leaves_nothing(database: &TestDatabase) {
    let answer = database
        .database()
        .write(|transaction| {
            outbox::register_relay(transaction, &relay("never"), moment())?;
            Err::<(), _>(DbError::NotFound)
        })
        .await;
    assert!(matches!(answer, Err(DbError::NotFound)));
    assert_eq!(relay_names(&mut database.connection()), [""; 0]);
}

async fn a_write_waits_for_a_foreign_one(database: &TestDatabase) {
    let name = relay("shared");
    database.register(&name, moment()).await;
    let mut foreign = database.connection();
    foreign
        .batch_execute("BEGIN; UPDATE relays SET in_flight = 1 WHERE name = 'shared'")
        .unwrap();
    let mut write = tokio::spawn({
        let database = database.database().clone();
        async move {
            database
                .write(|transaction| {
                    let connection = transaction.connection();
                    diesel::sql_query("UPDATE relays SET in_flight = in_flight * 10 + 2")
                        .execute(connection)?;
                    Ok::<_, DbError>(())
                })
                .await
        }
    });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut write).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    foreign.batch_execute("COMMIT").unwrap();
    write.await.unwrap().unwrap();
    let in_flight: i32 = relays::table
        .select(relays::in_flight)
        .first(&mut foreign)
        .unwrap();
    assert_eq!(
        in_flight, 12,
        "the second writer must see what the first one wrote"
    );
}

async fn a_panicking_read_leaves_the_pool_usable(database: &TestDatabase) {
    for _ in 0..20 {
        let answer = database
            .database()
            .run(|_| -> Result<(), DbError> { panic!("on purpose") })
            .await;
        assert!(matches!(answer, Err(DbError::Panicked)), "{answer:?}");
    }
    database.read(dialect::database_time).await;
}

async fn a_pool_with_no_free_connection_says_so_in_time(database: &TestDatabase) {
    let options = PoolOptions {
        connections_max: 1,
        wait_max: Duration::from_millis(100),
    };
    let small = Database::connect(database.url(), options).await.unwrap();
    let (release, wait_for_release) = mpsc::channel::<()>();
    let (taken, wait_for_taken) = mpsc::channel();
    let occupied = tokio::spawn({
        let small = small.clone();
        async move {
            small
                .run(move |_| {
                    taken.send(()).unwrap();
                    wait_for_release.recv().unwrap();
                    Ok::<_, DbError>(())
                })
                .await
        }
    });
    wait_for_taken.recv().unwrap();
    let answer = small.run(dialect::database_time).await;
    assert!(matches!(answer, Err(DbError::Unavailable(_))), "{answer:?}");
    release.send(()).unwrap();
    occupied.await.unwrap().unwrap();
    small.run(dialect::database_time).await.unwrap();
}

/// Numbered parameters are counted by their first appearance on one database and by their number
/// on the other, unless they are written `?1`; hence the raw statements of the dialect.
#[tokio::test(flavor = "multi_thread")]
async fn dollar_parameters_mean_different_things() {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Text)]
        answer: String,
    }
    for (database, expected) in [
        (TestDatabase::sqlite().await, "ab"),
        (TestDatabase::postgres().await, "ba"),
    ] {
        let answer: Answer = diesel::sql_query("SELECT $2 || $1 AS answer")
            .bind::<Text, _>("a")
            .bind::<Text, _>("b")
            .get_result(&mut database.connection())
            .unwrap();
        assert_eq!(answer.answer, expected);
    }
}

/// Else SQLite prepares a kept statement anew whenever the value of its LIMIT is bound: half of what a
/// claim took. It is built so by `.cargo/config.toml`.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_plans_without_looking_at_parameters() {
    #[derive(QueryableByName)]
    struct Option {
        #[diesel(sql_type = Text)]
        compile_options: String,
    }
    let database = TestDatabase::sqlite().await;
    let options: Vec<Option> = diesel::sql_query("PRAGMA compile_options")
        .load(&mut database.connection())
        .unwrap();
    assert!(
        options
            .iter()
            .any(|option| option.compile_options == "ENABLE_QPSG"),
        "build from within the repository, so that cargo reads .cargo/config.toml"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_its_writer_and_nobody_is_told_a_lie() {
    let database = TestDatabase::sqlite().await;
    let full = database
        .database()
        .write(|transaction| {
            let connection = transaction.connection();
            // No page more than there are now.
            connection.batch_execute("PRAGMA max_page_count = 1")?;
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
                       INSERT INTO login_failures SELECT 'f' || i, hex(randomblob(500)), '2026-01-02' FROM n";
            diesel::sql_query(sql).execute(connection)?;
            Ok::<_, DbError>(())
        })
        .await;
    assert!(full.is_err());
    let mut told_written = Vec::new();
    for number in 0..5 {
        let name = format!("r{number}");
        let write = database.database().write({
            let name = relay(&name);
            move |transaction| {
                transaction
                    .connection()
                    .batch_execute("PRAGMA max_page_count = 1000000")?;
                outbox::register_relay(transaction, &name, moment())
            }
        });
        if write.await.is_ok() {
            told_written.push(name);
        }
    }
    assert_eq!(relay_names(&mut database.connection()), told_written);
    assert!(
        told_written.len() >= 4,
        "one failure is enough to notice: {told_written:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_may_open_a_new_file_at_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    let url = shared::db::DatabaseUrl::sqlite_file(&folder.path().join("new.db"));
    let barrier = std::sync::Barrier::new(8);
    let (barrier, url) = (&barrier, &url);
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(move || {
                    barrier.wait();
                    DbConnection::establish(url).map(|_| ())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for answer in opened {
        answer.unwrap();
    }
}

fn relay_names(connection: &mut DbConnection) -> Vec<String> {
    relays::table
        .order(relays::name)
        .select(relays::name)
        .load(connection)
        .unwrap()
}

fn insert_user(
    transaction: &mut WriteTransaction<'_>,
    id: &str,
    username: &str,
) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO users (id, username, password_hash, name, role, created_at, updated_at) \
         VALUES ('{id}', '{username}', 'x', 'x', 'employee', '2026-01-02', '2026-01-02')"
    );
    diesel::sql_query(sql).execute(transaction.connection())?;
    Ok(())
}
