use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::prelude::*;
use shared::db::schema::relays;
use shared::db::{each_backend, keep_prepared};

use crate::harness::{TestDatabase, moment, on_each_database, relay};

on_each_database!(an_update_is_read_once_and_does_what_it_says);

async fn an_update_is_read_once_and_does_what_it_says(database: &TestDatabase) {
    let (name, other) = (relay("a"), relay("b"));
    database.register(&name, moment()).await;
    database.register(&other, moment()).await;
    let mut connection = database.connection();
    let kept = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&kept);
    let count = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::CacheQuery { .. } = event {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let count: Box<dyn Instrumentation> = Box::new(count);
    each_backend!(&mut connection, |c| c.set_instrumentation(count));
    for in_flight in [3, 7] {
        let load = diesel::update(relays::table.find(&name)).set(relays::in_flight.eq(in_flight));
        each_backend!(&mut connection, |c| keep_prepared(load).run(c)).unwrap();
    }
    assert_eq!(kept.load(Ordering::Relaxed), 1);
    let loads: Vec<i32> = relays::table
        .order(relays::name)
        .select(relays::in_flight)
        .load(&mut connection)
        .unwrap();
    assert_eq!(loads, [7, 0]);
}
