//! What is done at fixed times: reports, reminders, and how the schedules stand.

mod dice;
mod figures;
mod list;
mod reminders;
mod reports;

use std::sync::Arc;

use chrono::DateTime;
use chrono_tz::Tz;
use crm_api::assignment::Telling;
use crm_api::reminders::Reminder;
use crm_api::reports::{Report, Reporter};
use crm_api::schedule::{Looked, Schedule, Scheduler};
use diesel::prelude::*;
use shared::clock::{Clock, ManualClock};
use shared::db::schema::notifications;
use shared::domain::{Channel, ChannelSet, UtcTimestamp};

use crate::harness::TestDatabase;

/// A process whose clock is set by hand.
#[derive(Clone)]
struct Process {
    clock: ManualClock,
    scheduler: Scheduler,
    reporter: Reporter,
    zone: Tz,
    database: shared::db::Database,
}

impl Process {
    fn at(database: &TestDatabase, now: UtcTimestamp, zone: Tz) -> Self {
        Self::with_clock(database, &ManualClock::at(now), zone)
    }

    fn with_clock(database: &TestDatabase, clock: &ManualClock, zone: Tz) -> Self {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let database = database.database().clone();
        Self {
            clock: clock.clone(),
            scheduler: Scheduler::new(database.clone(), Arc::clone(&shared), zone),
            reporter: Reporter::new(database.clone(), shared, telling(zone)),
            zone,
            database,
        }
    }

    fn report(&self, report: Report) -> Schedule {
        self.reporter.schedule(report)
    }

    /// Reminders after so many days.
    fn reminders(&self, days: u32) -> Schedule {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Reminder::new(self.database.clone(), clock, telling(self.zone), days).schedule()
    }

    /// Moves the clock to this moment.
    fn go_to(&self, moment: UtcTimestamp) {
        self.clock.advance(moment.since(self.clock.now()));
        assert_eq!(self.clock.now(), moment);
    }

    /// Moves the clock to the next slot of a schedule; answers when that is.
    fn go_to_next(&self, schedule: &Schedule) -> UtcTimestamp {
        let slot = schedule.timetable.next(self.clock.now(), self.zone);
        self.go_to(slot);
        slot
    }

    async fn look(&self, schedule: &Schedule) -> Looked {
        self.scheduler.look(schedule).await.unwrap()
    }
}

/// One channel, to which the routes of an office lead.
fn telling(time_zone: Tz) -> Telling {
    Telling {
        channels: ChannelSet::default().with(Channel::WechatCloud),
        time_zone,
    }
}

fn at(text: &str) -> UtcTimestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

/// What was told to whom as what, in the order of the texts.
async fn contents(database: &TestDatabase, kind: &'static str) -> Vec<String> {
    database
        .read(move |connection| {
            Ok(notifications::table
                .filter(notifications::kind.eq(kind))
                .order(notifications::content)
                .select(notifications::content)
                .load(connection)?)
        })
        .await
}
