use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::prelude::*;
use shared::db::schema::{errcode_overrides, relays};
use shared::db::{DbConnection, each_backend, insert_rows, keep_prepared};

use crate::harness::{TestDatabase, moment, on_each_database, relay};

on_each_database!(
    an_update_is_read_once_and_does_what_it_says,
    an_insert_of_a_few_rows_is_read_once_and_counts_what_came_in,
    an_insert_of_many_rows_is_one_statement_that_is_not_kept,
);

async fn an_update_is_read_once_and_does_what_it_says(database: &TestDatabase) {
    let (name, other) = (relay("a"), relay("b"));
    database.register(&name, moment()).await;
    database.register(&other, moment()).await;
    let mut connection = database.connection();
    let count = Count::on(&mut connection);
    for in_flight in [3, 7] {
        let load = diesel::update(relays::table.find(&name)).set(relays::in_flight.eq(in_flight));
        each_backend!(&mut connection, |c| keep_prepared(load).run(c)).unwrap();
    }
    assert_eq!(count.read_and_kept(), 1);
    let loads: Vec<i32> = relays::table
        .order(relays::name)
        .select(relays::in_flight)
        .load(&mut connection)
        .unwrap();
    assert_eq!(loads, [7, 0]);
}

async fn an_insert_of_a_few_rows_is_read_once_and_counts_what_came_in(database: &TestDatabase) {
    let mut connection = database.connection();
    let count = Count::on(&mut connection);
    assert_eq!(insert(&mut connection, &[1, 2, 3]), 3);
    assert_eq!(insert(&mut connection, &[3, 4, 5]), 2, "one was there");
    assert_eq!(count.read_and_kept(), 1);
    let round_trips = if database.url().is_embedded() { 6 } else { 2 };
    assert_eq!(count.run(), round_trips);
    assert_eq!(inserted(&mut connection), [1, 2, 3, 4, 5]);
}

async fn an_insert_of_many_rows_is_one_statement_that_is_not_kept(database: &TestDatabase) {
    let mut connection = database.connection();
    let count = Count::on(&mut connection);
    let many: Vec<i64> = (0..100).collect();
    assert_eq!(insert(&mut connection, &many[10..20]), 10);
    assert_eq!(insert(&mut connection, &many), 90);
    assert_eq!(insert(&mut connection, &[]), 0);
    if database.url().is_embedded() {
        assert_eq!((count.run(), count.read_and_kept()), (110, 1), "row by row");
    } else {
        assert_eq!((count.run(), count.read_and_kept()), (2, 0));
    }
    assert_eq!(inserted(&mut connection), many);
}

/// What a connection has done since this was set on it.
#[derive(Clone, Default)]
struct Count {
    run: Arc<AtomicUsize>,
    kept: Arc<AtomicUsize>,
}

impl Count {
    fn on(connection: &mut DbConnection) -> Self {
        let count = Self::default();
        let counting = count.clone();
        let hear = move |event: InstrumentationEvent<'_>| {
            let counter = match event {
                InstrumentationEvent::StartQuery { .. } => &counting.run,
                InstrumentationEvent::CacheQuery { .. } => &counting.kept,
                _ => return,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let hear: Box<dyn Instrumentation> = Box::new(hear);
        each_backend!(connection, |c| c.set_instrumentation(hear));
        count
    }

    fn run(&self) -> usize {
        self.run.load(Ordering::Relaxed)
    }

    fn read_and_kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

fn insert(connection: &mut DbConnection, errcodes: &[i64]) -> usize {
    let row = |errcode: &i64| {
        (
            errcode_overrides::api.eq("test"),
            errcode_overrides::errcode.eq(*errcode),
            errcode_overrides::class.eq("retry"),
            errcode_overrides::reason.eq("test"),
            errcode_overrides::updated_at.eq(moment()),
        )
    };
    let rows: Vec<_> = errcodes.iter().map(row).collect();
    insert_rows!(
        connection,
        errcode_overrides::table,
        &rows,
        on_conflict_do_nothing
    )
    .unwrap()
}

fn inserted(connection: &mut DbConnection) -> Vec<i64> {
    errcode_overrides::table
        .order(errcode_overrides::errcode)
        .select(errcode_overrides::errcode)
        .load(connection)
        .unwrap()
}
