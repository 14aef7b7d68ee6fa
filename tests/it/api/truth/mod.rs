//! Many clients at random, and then the books: whatever the order in which things happened, the
//! history tells it, and everybody concerned was told of it once.

mod books;
mod client;
mod transfer;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use client::{Client, Tally};
use shared::clock::{Clock, SystemClock};
use tokio::task::JoinHandle;
use transfer::Transfers;

use super::Office;
use crate::harness::{TestDatabase, accepted, on_each_database, relay, settlement};

on_each_database!(the_books_are_right_whatever_many_clients_do_at_once);

/// What the dice begin with. The clients ask for the same in every run; in which order the server
/// comes to it is chance.
const SEED: u64 = 20_261_125;

/// How many requests each client makes, one after the other.
const OPERATIONS_OF_A_CLIENT: usize = 60;

/// How many clients each person of the office has.
const CLIENTS_OF_A_PERSON: u64 = 2;

/// Few enough that claims come up against it.
const PER_PERSON_MAX: u32 = 4;

async fn the_books_are_right_whatever_many_clients_do_at_once(database: &TestDatabase) {
    let office = Office::open_with(database, |c| c.customers_per_person_max = PER_PERSON_MAX).await;
    let mut leads = database.leads(30, &office.sun).await;
    leads.extend(database.pooled_leads(40).await);
    let before = books::owners(database).await;

    let people = [
        &office.admin,
        &office.zhang,
        &office.sun,
        &office.zhou,
        &office.li,
        &office.wang,
    ];
    let transfers = Transfers::between(&office, &people, &leads).await;
    let began_at = Instant::now();
    let mut running = Vec::new();
    for (person, number) in people.into_iter().zip(0..) {
        for nth in 0..CLIENTS_OF_A_PERSON {
            let seed = SEED + number * CLIENTS_OF_A_PERSON + nth;
            let client = Client::of(&office, person, &leads, seed);
            running.push(tokio::spawn(client.run(OPERATIONS_OF_A_CLIENT)));
        }
    }
    let clients = running.len();
    let finished = AtomicBool::new(false);
    let (tally, delivered, transferred) = tokio::join!(
        all_of(running, &finished),
        deliver_until(&finished, database),
        transfers.run_until(&finished),
    );
    let took = began_at.elapsed();

    let changes = books::check(database, &before, PER_PERSON_MAX).await;
    let told = tally.changed + transferred.moved;
    assert_eq!(told, changes, "the answers tell what happened");
    assert!(transferred.moved > 0, "no rule moved anything");
    assert!(
        tally.conflicts > 0,
        "nobody got in anybody's way: {tally:?}"
    );
    let name = database.name();
    // Past the capture of the test runner: the figures are a result of the run.
    writeln!(
        std::io::stdout().lock(),
        "truth: {name}, seed {SEED}: {clients} clients, {} operations in {:.1} s, {changes} changes of owner, \
         {} of them by rule in {} runs, {} conflicts, {} refused for want of a right, \
         {delivered} messages delivered meanwhile",
        tally.operations,
        took.as_secs_f64(),
        transferred.moved,
        transferred.runs,
        tally.conflicts,
        tally.forbidden,
    )
    .unwrap();
}

/// What the clients were answered, all together.
async fn all_of(clients: Vec<JoinHandle<Tally>>, finished: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    for client in clients {
        tally += client.await.unwrap();
    }
    finished.store(true, Ordering::Relaxed);
    tally
}

/// A relay that is never far behind, on one of the channels: some messages have left when what they
/// tell is overtaken, and some are just being claimed. Answers how many were delivered.
async fn deliver_until(finished: &AtomicBool, database: &TestDatabase) -> usize {
    const AT_ONCE: usize = 4;
    let relay = relay("courier");
    database.register(&relay, SystemClock.now()).await;
    let mut delivered = 0;
    while !finished.load(Ordering::Relaxed) {
        let now = SystemClock.now();
        let claimed = database.claim(&relay, AT_ONCE, now).await;
        if claimed.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        delivered += claimed.len();
        let settlements = claimed.iter().map(|m| settlement(m, accepted(), now));
        let settled = database
            .settle_all(&relay, settlements.collect(), now)
            .await;
        assert_eq!(settled.leases_lost, []);
    }
    delivered
}
