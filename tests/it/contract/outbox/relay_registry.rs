use std::time::Duration;

use shared::domain::{RelayName, UtcTimestamp};
use shared::outbox::{self, Life, Relay, SILENCE_MAX};

use crate::harness::{TestDatabase, message, moment, on_each_database, relay, seconds};

on_each_database! {
    a_relay_is_listed_while_it_lives,
    a_heartbeat_tells_how_loaded_a_relay_is,
    a_relay_that_is_not_known_must_register_first,
    registering_again_is_a_heartbeat,
    a_relay_long_silent_is_forgotten_when_another_registers,
    a_load_tells_what_each_relay_holds_and_which_ones_are_silent,
}

async fn alive(database: &TestDatabase, now: UtcTimestamp) -> Vec<Relay> {
    database
        .read(move |connection| outbox::relays(connection, now))
        .await
}

async fn beat(
    database: &TestDatabase,
    relay: &RelayName,
    in_flight: i32,
    now: UtcTimestamp,
) -> bool {
    let relay = relay.clone();
    database
        .write(move |transaction| outbox::heartbeat(transaction, &relay, in_flight, now))
        .await
}

async fn a_relay_is_listed_while_it_lives(database: &TestDatabase) {
    let (a, b) = (relay("a"), relay("b"));
    database.register(&b, moment()).await;
    database.register(&a, moment().after(seconds(2))).await;
    let names = async |now| -> Vec<RelayName> {
        alive(database, now)
            .await
            .into_iter()
            .map(|relay| relay.name)
            .collect()
    };
    assert_eq!(
        names(moment().after(seconds(2))).await,
        [b.clone(), a.clone()],
        "oldest first"
    );
    let b_silent = moment().after(SILENCE_MAX);
    assert_eq!(
        names(b_silent.before(Duration::from_micros(1))).await.len(),
        2
    );
    assert_eq!(names(b_silent).await, std::slice::from_ref(&a));
    database
        .write(move |transaction| outbox::deregister_relay(transaction, &a))
        .await;
    assert_eq!(names(b_silent).await, []);
}

async fn a_heartbeat_tells_how_loaded_a_relay_is(database: &TestDatabase) {
    let name = relay("a");
    database.register(&name, moment()).await;
    let now = moment().after(seconds(1));
    assert!(beat(database, &name, 17, now).await);
    let expected = Relay {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: moment(),
        heartbeat_at: now,
        in_flight: 17,
    };
    assert_eq!(alive(database, now).await, [expected]);
}

async fn a_relay_that_is_not_known_must_register_first(database: &TestDatabase) {
    let name = relay("a");
    assert!(!beat(database, &name, 0, moment()).await);
    assert_eq!(alive(database, moment()).await, []);
    database.register(&name, moment()).await;
    assert!(beat(database, &name, 0, moment()).await);
}

async fn registering_again_is_a_heartbeat(database: &TestDatabase) {
    let name = relay("a");
    database.register(&name, moment()).await;
    let now = moment().after(seconds(10));
    database.register(&name, now).await;
    let alive = alive(database, now).await;
    assert_eq!(alive.len(), 1);
    assert_eq!(
        (alive[0].started_at, alive[0].heartbeat_at),
        (moment(), now)
    );
}

async fn a_relay_long_silent_is_forgotten_when_another_registers(database: &TestDatabase) {
    let (old, young) = (relay("old"), relay("young"));
    database.register(&old, moment()).await;
    let an_hour_later = moment().after(seconds(3_600));
    database.register(&young, an_hour_later).await;
    assert!(beat(database, &old, 0, moment()).await, "not yet");
    let later = an_hour_later.after(Duration::from_micros(1));
    database.register(&young, later).await;
    assert!(!beat(database, &old, 0, later).await);
}

async fn a_load_tells_what_each_relay_holds_and_which_ones_are_silent(database: &TestDatabase) {
    database.leases_may_remain();
    let (idle, busy, silent, forgotten) =
        (relay("idle"), relay("busy"), relay("silent"), relay("gone"));
    let now = moment().after(SILENCE_MAX);
    database.register(&silent, moment()).await;
    database
        .register(&relay("silent-and-empty"), moment())
        .await;
    for known in [&idle, &busy] {
        database.register(known, now).await;
    }
    for (holder, count) in [(&busy, 2), (&silent, 1), (&forgotten, 1)] {
        for _ in 0..count {
            database.enqueue(message()).await;
        }
        assert_eq!(database.claim(holder, 10, now).await.len(), count);
    }
    assert!(beat(database, &busy, 2, now).await);
    let loads = database
        .read(move |connection| outbox::relay_loads(connection, now))
        .await;
    let told: Vec<(&RelayName, Life, i64, Option<i32>)> = loads
        .iter()
        .map(|load| {
            let in_flight = load.run.as_ref().map(|run| run.in_flight);
            (&load.name, load.life, load.leased.values().sum(), in_flight)
        })
        .collect();
    assert_eq!(
        told,
        [
            (&busy, Life::Alive, 2, Some(2)),
            (&idle, Life::Alive, 0, Some(0)),
            (&silent, Life::Silent, 1, Some(0)),
            (&forgotten, Life::Silent, 1, None),
        ]
    );
}
