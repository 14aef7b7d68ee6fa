//! What is done at fixed times, by exactly one of all processes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono_tz::Tz;
use crm_api::schedule::{
    JobError, LEASE_DURATION, Lease, LeaseError, Looked, Schedule, Scheduler, Timetable,
};
use shared::clock::{Clock, ManualClock};
use shared::db::DbError;
use shared::domain::UtcTimestamp;
use tokio::sync::Barrier;

use crate::harness::{TestDatabase, moment, on_each_database, seconds};

on_each_database! {
    a_new_schedule_begins_with_its_next_slot,
    of_slots_that_were_missed_the_last_is_made_up_for_once,
    a_slot_is_done_by_one_of_many_processes,
    a_slot_that_failed_is_tried_again,
    whoever_takes_over_is_told_how_far_it_got,
    a_slot_whose_process_has_died_is_taken_over,
    a_lease_is_one_process_s_until_it_is_given_back_or_over,
    whoever_has_lost_a_lease_writes_nothing_more,
}

const HOUR: u64 = 3_600;

/// A process that notes when it has done what.
#[derive(Clone)]
struct Process {
    scheduler: Scheduler,
    schedule: Schedule,
    done: Arc<Mutex<Vec<UtcTimestamp>>>,
}

impl Process {
    fn on(database: &TestDatabase, clock: &ManualClock) -> Self {
        let done: Arc<Mutex<Vec<UtcTimestamp>>> = Arc::default();
        let noted = Arc::clone(&done);
        let schedule = Schedule {
            name: "test",
            timetable: Timetable::Hourly { minute: 0 },
            job: Arc::new(move |turn| {
                let noted = Arc::clone(&noted);
                Box::pin(async move {
                    noted.lock().unwrap().push(turn.slot);
                    Ok(())
                })
            }),
        };
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let scheduler = Scheduler::new(database.database().clone(), clock, Tz::Asia__Shanghai);
        Self {
            scheduler,
            schedule,
            done,
        }
    }

    async fn look(&self) -> Looked {
        self.scheduler.look(&self.schedule).await.unwrap()
    }

    fn done(&self) -> Vec<UtcTimestamp> {
        self.done.lock().unwrap().clone()
    }
}

/// The full hour before the moment at which tests begin.
fn first_slot() -> UtcTimestamp {
    Timetable::Hourly { minute: 0 }.latest(moment(), Tz::Asia__Shanghai)
}

async fn a_new_schedule_begins_with_its_next_slot(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let process = Process::on(database, &clock);
    assert_eq!(process.look().await, Looked::Begun);
    assert_eq!(process.look().await, Looked::UpToDate);
    clock.advance(seconds(HOUR));
    assert_eq!(process.look().await, Looked::Done);
    assert_eq!(process.look().await, Looked::UpToDate);
    assert_eq!(process.done(), [first_slot().after(seconds(HOUR))]);
}

async fn of_slots_that_were_missed_the_last_is_made_up_for_once(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let process = Process::on(database, &clock);
    process.look().await;
    clock.advance(seconds(50 * HOUR));
    // A process that was just started.
    let next = Process::on(database, &clock);
    assert_eq!(next.look().await, Looked::Done);
    assert_eq!(process.look().await, Looked::UpToDate);
    assert_eq!(next.done(), [first_slot().after(seconds(50 * HOUR))]);
    assert_eq!(process.done(), []);
}

async fn a_slot_is_done_by_one_of_many_processes(database: &TestDatabase) {
    const PROCESSES: usize = 8;
    let clock = ManualClock::at(moment());
    let processes: Vec<Process> = (0..PROCESSES)
        .map(|_| Process::on(database, &clock))
        .collect();
    processes[0].look().await;
    for slot in 1..=5 {
        clock.advance(seconds(HOUR));
        let barrier = Arc::new(Barrier::new(PROCESSES));
        let looking = processes.iter().cloned().map(|process| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                process.look().await
            })
        });
        let looking: Vec<_> = looking.collect();
        let mut done = 0;
        for looked in looking {
            done += usize::from(looked.await.unwrap() == Looked::Done);
        }
        assert_eq!(done, 1, "slot {slot}");
    }
    let all: usize = processes.iter().map(|process| process.done().len()).sum();
    assert_eq!(all, 5);
}

async fn a_slot_that_failed_is_tried_again(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let mut process = Process::on(database, &clock);
    process.look().await;
    clock.advance(seconds(HOUR));
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    process.schedule.job = Arc::new(move |_| {
        let attempt = counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if attempt == 0 {
                return Err(JobError::Database(DbError::NotFound));
            }
            Ok(())
        })
    });
    assert!(process.scheduler.look(&process.schedule).await.is_err());
    assert_eq!(process.look().await, Looked::Done);
    assert_eq!(process.look().await, Looked::UpToDate);
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
}

async fn whoever_takes_over_is_told_how_far_it_got(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let mut process = Process::on(database, &clock);
    process.look().await;
    let seen: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let (noted, shared, time) = (
        Arc::clone(&seen),
        database.database().clone(),
        clock.clone(),
    );
    process.schedule.job = Arc::new(move |turn| {
        let (noted, shared, time) = (Arc::clone(&noted), shared.clone(), time.clone());
        Box::pin(async move {
            assert_eq!(turn.previous, turn.slot.before(seconds(HOUR)));
            let begun = {
                let mut seen = noted.lock().unwrap();
                seen.push(turn.progress.clone());
                seen.len()
            };
            let now = time.now();
            // The first two get further, and no further than that.
            if begun <= 2 {
                shared
                    .write(move |transaction| turn.advance(transaction, &begun.to_string(), now))
                    .await?;
                return Err(JobError::Database(DbError::NotFound));
            }
            Ok(())
        })
    });
    clock.advance(seconds(HOUR));
    for _ in 0..2 {
        assert!(process.scheduler.look(&process.schedule).await.is_err());
    }
    assert_eq!(process.look().await, Looked::Done);
    // The next slot begins at its beginning.
    clock.advance(seconds(HOUR));
    assert_eq!(process.look().await, Looked::Done);
    let expected = [None, Some("1"), Some("2"), None].map(|progress| progress.map(str::to_owned));
    assert_eq!(*seen.lock().unwrap(), expected);
}

async fn a_slot_whose_process_has_died_is_taken_over(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let process = Process::on(database, &clock);
    process.look().await;
    clock.advance(seconds(HOUR));
    // Somebody has begun it and is gone: nobody renews the lease.
    let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let dead = Lease::acquire(database.database(), &shared_clock, "schedule:test")
        .await
        .unwrap();
    assert!(dead.is_some());
    assert_eq!(process.look().await, Looked::Elsewhere);
    clock.advance(LEASE_DURATION);
    assert_eq!(process.look().await, Looked::Done);
    assert_eq!(process.done().len(), 1);
}

async fn a_lease_is_one_process_s_until_it_is_given_back_or_over(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let acquire = || Lease::acquire(database.database(), &shared_clock, "work");
    let first = acquire().await.unwrap().unwrap();
    assert!(acquire().await.unwrap().is_none());
    first.release(database.database()).await.unwrap();
    let second = acquire().await.unwrap().unwrap();
    clock.advance(LEASE_DURATION - seconds(1));
    let (renewed, now) = (second.clone(), clock.now());
    database
        .database()
        .write(move |transaction| renewed.confirm(transaction, now))
        .await
        .unwrap();
    clock.advance(LEASE_DURATION - seconds(1));
    assert!(acquire().await.unwrap().is_none(), "it was renewed");
    clock.advance(seconds(1));
    let third = acquire().await.unwrap().unwrap();
    // Giving back what one has lost takes nothing from anybody.
    second.release(database.database()).await.unwrap();
    assert!(acquire().await.unwrap().is_none());
    third.release(database.database()).await.unwrap();
}

async fn whoever_has_lost_a_lease_writes_nothing_more(database: &TestDatabase) {
    let clock = ManualClock::at(moment());
    let mut process = Process::on(database, &clock);
    process.look().await;
    clock.advance(seconds(HOUR));
    let (stopped, shared) = (clock.clone(), database.database().clone());
    let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
    process.schedule.job = Arc::new(move |turn| {
        let (stopped, shared) = (stopped.clone(), shared.clone());
        let shared_clock = Arc::clone(&shared_clock);
        Box::pin(async move {
            // It stands still for so long that another process takes over.
            stopped.advance(LEASE_DURATION);
            let other = Lease::acquire(&shared, &shared_clock, "schedule:test").await?;
            assert!(other.is_some());
            let now = stopped.now();
            let written = shared
                .write(move |transaction| turn.complete(transaction, now))
                .await;
            assert!(matches!(written, Err(LeaseError::Lost)), "{written:?}");
            Ok(written?)
        })
    });
    let looked = process.scheduler.look(&process.schedule).await;
    assert!(
        matches!(looked, Err(JobError::Lease(LeaseError::Lost))),
        "{looked:?}"
    );
    clock.advance(LEASE_DURATION);
    let next = Process::on(database, &clock);
    assert_eq!(next.look().await, Looked::Done);
}
