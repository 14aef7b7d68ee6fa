//! The schema's versions, forward and back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::{fs, thread};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::migrations::{self, SchemaError};
use shared::db::{DatabaseUrl, DbConnection};

use crate::harness::{TestDatabase, on_each_database};

on_each_database! {
    migrating_twice_runs_nothing_the_second_time,
    down_and_up_again_gives_the_same_schema,
    two_processes_may_migrate_at_once,
    a_schema_that_is_behind_says_how_far,
    a_schema_of_a_newer_program_is_refused_by_name,
    a_failing_migration_leaves_the_schema_as_it_was,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")
}

fn folder_names(database: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(database))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn both_databases_have_the_same_migrations_each_with_a_way_back() {
    let names = folder_names("sqlite");
    assert_eq!(names, folder_names("postgres"));
    assert!(!names.is_empty());
    for name in names {
        for database in ["sqlite", "postgres"] {
            for script in ["up.sql", "down.sql"] {
                let file = root().join(database).join(&name).join(script);
                let sql = fs::read_to_string(&file).unwrap();
                assert!(!sql.trim().is_empty(), "{} is empty", file.display());
            }
        }
    }
}

async fn migrating_twice_runs_nothing_the_second_time(database: &TestDatabase) {
    let mut connection = database.connection();
    assert_eq!(migrations::run(&mut connection).unwrap(), 0);
    migrations::check(&mut connection).unwrap();
}

async fn down_and_up_again_gives_the_same_schema(database: &TestDatabase) {
    let mut connection = database.connection();
    let all = migrations::known(&connection).unwrap().len();
    assert_eq!(all, folder_names("sqlite").len());
    let first = schema(&mut connection);
    assert!(first.len() > 20);
    assert_eq!(migrations::revert_all(&mut connection).unwrap(), all);
    assert_eq!(schema(&mut connection), [""; 0], "left after going down");
    assert_eq!(migrations::run(&mut connection).unwrap(), all);
    assert_eq!(schema(&mut connection), first);
}

async fn two_processes_may_migrate_at_once(database: &TestDatabase) {
    let all = migrations::known(&database.connection()).unwrap().len();
    for _ in 0..5 {
        empty(database);
        let barrier = Barrier::new(2);
        let (barrier, url) = (&barrier, database.url());
        let mut runs: Vec<usize> = thread::scope(|scope| {
            let processes: Vec<_> = (0..2)
                .map(|_| scope.spawn(move || migrate_after(barrier, url)))
                .collect();
            processes
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect()
        });
        runs.sort_unstable();
        assert_eq!(runs, [0, all]);
    }
}

fn migrate_after(barrier: &Barrier, url: &DatabaseUrl) -> usize {
    let mut connection = DbConnection::establish(url).unwrap();
    barrier.wait();
    migrations::run(&mut connection).unwrap()
}

async fn a_schema_that_is_behind_says_how_far(database: &TestDatabase) {
    let mut connection = database.connection();
    let all = migrations::known(&connection).unwrap().len();
    empty(database);
    let error = migrations::check(&mut connection).unwrap_err();
    assert!(
        matches!(error, SchemaError::Behind { pending } if pending == all),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        format!(
            "the database schema is behind by {all} migration(s); run `crm-api migrate` (or `outbox-relay migrate`)"
        )
    );
    migrations::run(&mut connection).unwrap();
    migrations::check(&mut connection).unwrap();
}

async fn a_schema_of_a_newer_program_is_refused_by_name(database: &TestDatabase) {
    let mut connection = database.connection();
    let before = schema(&mut connection);
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')")
        .unwrap();
    for answer in [
        migrations::check(&mut connection),
        migrations::run(&mut connection).map(|_| ()),
    ] {
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, SchemaError::TooNew { newest } if newest == "29991231000000"),
            "{error}"
        );
    }
    assert_eq!(schema(&mut connection), before);
}

async fn a_failing_migration_leaves_the_schema_as_it_was(database: &TestDatabase) {
    let mut connection = database.connection();
    empty(database);
    // The last migration makes a table of this name.
    connection
        .batch_execute("CREATE TABLE relays (name TEXT)")
        .unwrap();
    let before = schema(&mut connection);
    let error = migrations::run(&mut connection).unwrap_err();
    assert!(matches!(error, SchemaError::Failed(_)), "{error}");
    assert_eq!(schema(&mut connection), before);
    connection.batch_execute("DROP TABLE relays").unwrap();
    migrations::run(&mut connection).unwrap();
}

/// As if nobody had ever migrated it.
fn empty(database: &TestDatabase) {
    let mut connection = database.connection();
    migrations::revert_all(&mut connection).unwrap();
    connection
        .batch_execute("DROP TABLE __diesel_schema_migrations")
        .unwrap();
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every table, column, view, index, constraint, trigger and function, one a line.
fn schema(connection: &mut DbConnection) -> Vec<String> {
    let sql = match connection {
        // It keeps its table of counters when the last table that counts is gone.
        DbConnection::Sqlite(_) => {
            "SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS line FROM sqlite_master \
             WHERE tbl_name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence') ORDER BY line"
        }
        DbConnection::Postgres(_) => {
            "SELECT line FROM ( \
                 SELECT table_name AS t, concat_ws(' ', 'column', table_name, ordinal_position, column_name, \
                     data_type, is_nullable, column_default, collation_name) AS line \
                 FROM information_schema.columns WHERE table_schema = current_schema() \
                 UNION ALL SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema() \
                 UNION ALL SELECT conrelid::regclass::text, conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
                 FROM pg_constraint WHERE connamespace = current_schema()::regnamespace \
                 UNION ALL SELECT viewname, 'view ' || viewname || ' ' || definition FROM pg_views WHERE schemaname = current_schema() \
                 UNION ALL SELECT '', pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid \
                 WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal \
                 UNION ALL SELECT '', pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace \
             ) AS all_of_it WHERE t <> '__diesel_schema_migrations' ORDER BY line"
        }
    };
    let lines: Vec<Line> = diesel::sql_query(sql).load(connection).unwrap();
    lines.into_iter().map(|row| row.line).collect()
}
