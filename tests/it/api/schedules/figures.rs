//! The figures of reports beside a count by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use crm_api::reports::{Figures, Report, Span, figures};
use diesel::prelude::*;
use shared::db::schema::{contract_signings, customers, follow_ups};
use shared::domain::{CustomerId, FollowUpId, Role, UserId, UtcTimestamp};

use super::dice::Dice;
use super::{Process, at};
use crate::harness::{TestDatabase, on_each_database, seconds};

on_each_database!(
    figures_are_those_of_a_count_by_hand,
    only_the_first_moment_belongs_to_a_period,
);

/// One thing that somebody did with a customer.
#[derive(Debug, Clone)]
struct Deed {
    moment: UtcTimestamp,
    by: Option<UserId>,
    customer: CustomerId,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Entered,
    FollowedUp,
    Signed,
}

/// How far back things were done, in hours.
const HOURS: u64 = 70 * 24;

async fn figures_are_those_of_a_count_by_hand(database: &TestDatabase) {
    // Around both changes of the clocks in Europe, and around a new year.
    for (zone, end, seed) in [
        (Tz::Asia__Shanghai, "2027-01-20T00:00:00Z", 1),
        (Tz::Europe__Berlin, "2026-11-20T00:00:00Z", 2),
        (Tz::Europe__Berlin, "2026-04-20T00:00:00Z", 3),
    ] {
        let mut dice = Dice(seed);
        let people = people(database, seed).await;
        let deeds = deeds(&people, at(end), zone, &mut dice);
        store(database, deeds.clone()).await;
        let process = Process::at(
            database,
            at(end).before(Duration::from_secs(HOURS * 3_600)),
            zone,
        );
        let mut something = 0;
        for report in Report::ALL {
            let timetable = report.timetable();
            let mut slot = timetable.next(process.now(), zone);
            while slot < at(end) {
                let period = report.span().period(slot, zone);
                let asked = period.clone();
                let team = database
                    .read(move |connection| figures(connection, &asked))
                    .await;
                let (total, each) = by_hand(&deeds, report.span(), slot, zone);
                assert_eq!(team.total, total, "{report:?} {period:?}");
                let people: BTreeMap<UserId, Figures> = team.people.into_iter().collect();
                assert_eq!(people, each, "{report:?} {period:?}");
                something += usize::from(!total.is_nothing());
                slot = timetable.next(slot, zone);
            }
        }
        assert!(
            something > 100,
            "{something} periods in which something was done"
        );
        forget(database).await;
    }
}

impl Process {
    fn now(&self) -> UtcTimestamp {
        use shared::clock::Clock;
        self.clock.now()
    }
}

/// A count that knows nothing of the beginning and end of periods: it looks at the day that the
/// calendar on the wall shows.
fn by_hand(
    deeds: &[Deed],
    span: Span,
    slot: UtcTimestamp,
    zone: Tz,
) -> (Figures, BTreeMap<UserId, Figures>) {
    let today = day_of(slot, zone);
    let belongs = |deed: &&Deed| {
        let day = day_of(deed.moment, zone);
        match span {
            Span::Day => day == today && deed.moment < slot,
            Span::Week => {
                let last_week = today - chrono::Duration::days(7);
                day.iso_week() == last_week.iso_week()
            }
            Span::Month => {
                let (year, month) = match today.month() {
                    1 => (today.year() - 1, 12),
                    month => (today.year(), month - 1),
                };
                (day.year(), day.month()) == (year, month)
            }
        }
    };
    let mut total = Figures::default();
    let mut each: BTreeMap<UserId, Figures> = BTreeMap::new();
    let mut signed: BTreeSet<(Option<&UserId>, &CustomerId)> = BTreeSet::new();
    for deed in deeds.iter().filter(belongs) {
        let mut figures = vec![&mut total];
        if let Some(user) = &deed.by {
            figures.push(each.entry(user.clone()).or_default());
        }
        match deed.what {
            What::Entered => figures.into_iter().for_each(|f| f.new_customers += 1),
            What::FollowedUp => figures.into_iter().for_each(|f| f.follow_ups += 1),
            What::Signed => drop(signed.insert((deed.by.as_ref(), &deed.customer))),
        }
    }
    for (user, _) in &signed {
        if let Some(user) = user {
            each.entry((*user).clone()).or_default().signed += 1;
        }
    }
    let customers: BTreeSet<&CustomerId> = signed.iter().map(|(_, customer)| *customer).collect();
    total.signed = i64::try_from(customers.len()).unwrap();
    (total, each)
}

fn day_of(moment: UtcTimestamp, zone: Tz) -> NaiveDate {
    let local: DateTime<Tz> = moment.to_datetime().with_timezone(&zone);
    local.date_naive()
}

/// Things that were done in the hours before `end`, many of them around midnights.
fn deeds(people: &[UserId], end: UtcTimestamp, zone: Tz, dice: &mut Dice) -> Vec<Deed> {
    let moment = |dice: &mut Dice| {
        let any = end.before(Duration::from_secs(dice.below(HOURS * 3_600)));
        let midnight = any.day_began_at(&zone);
        match dice.below(4) {
            0 => midnight,
            1 => midnight.before(Duration::from_micros(1)),
            2 => midnight.after(seconds(18 * 3_600)),
            _ => any,
        }
    };
    let mut deeds = Vec::new();
    for _ in 0..250 {
        let customer = CustomerId::generate();
        let mut deed = |what, dice: &mut Dice| {
            // Leads of the website are entered by nobody; follow-ups are always somebody's.
            let nobody = what != What::FollowedUp && dice.below(5) == 0;
            deeds.push(Deed {
                moment: moment(dice),
                by: (!nobody).then(|| dice.one_of(people)),
                customer: customer.clone(),
                what,
            });
        };
        deed(What::Entered, dice);
        for _ in 0..dice.below(4) {
            deed(What::FollowedUp, dice);
        }
        for _ in 0..dice.below(4) {
            deed(What::Signed, dice);
        }
    }
    // Signed twice at one moment is signed once.
    let mut signed = BTreeSet::new();
    deeds.retain(|deed| {
        deed.what != What::Signed || signed.insert((deed.customer.clone(), deed.moment))
    });
    deeds
}

async fn people(database: &TestDatabase, seed: u64) -> Vec<UserId> {
    let mut people = Vec::new();
    for username in ["a", "b", "c", "d"] {
        let username: &'static str = format!("{username}{seed}").leak();
        let session = database.staff(username, "某人", Role::Employee).await;
        people.push(session.id.parse().unwrap());
    }
    people
}

async fn store(database: &TestDatabase, deeds: Vec<Deed>) {
    database
        .write(move |transaction| {
            let connection = transaction.connection();
            for (number, deed) in deeds.into_iter().enumerate() {
                match deed.what {
                    What::Entered => diesel::insert_into(customers::table)
                        .values((
                            customers::id.eq(deed.customer),
                            customers::number.eq(format!("CUS{number:011}")),
                            customers::name.eq("客户"),
                            customers::phone.eq(format!("139{number:08}")),
                            customers::lead_source.eq("美团"),
                            customers::contract_status.eq("待定"),
                            customers::last_activity_at.eq(deed.moment),
                            customers::created_by.eq(deed.by),
                            customers::created_at.eq(deed.moment),
                            customers::updated_at.eq(deed.moment),
                        ))
                        .execute(connection)?,
                    What::FollowedUp => diesel::insert_into(follow_ups::table)
                        .values((
                            follow_ups::id.eq(FollowUpId::generate()),
                            follow_ups::customer_id.eq(deed.customer),
                            follow_ups::author_id.eq(deed.by.unwrap()),
                            follow_ups::content.eq("已联系"),
                            follow_ups::created_at.eq(deed.moment),
                        ))
                        .execute(connection)?,
                    What::Signed => diesel::insert_into(contract_signings::table)
                        .values((
                            contract_signings::customer_id.eq(deed.customer),
                            contract_signings::user_id.eq(deed.by),
                            contract_signings::signed_at.eq(deed.moment),
                        ))
                        .execute(connection)?,
                };
            }
            Ok(())
        })
        .await;
}

async fn forget(database: &TestDatabase) {
    database
        .write(|transaction| {
            diesel::delete(follow_ups::table).execute(transaction.connection())?;
            diesel::delete(contract_signings::table).execute(transaction.connection())?;
            diesel::delete(customers::table).execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

async fn only_the_first_moment_belongs_to_a_period(database: &TestDatabase) {
    let user: UserId = people(database, 0).await.remove(0);
    let slot = at("2026-03-01T01:00:00Z");
    let period = Span::Month.period(slot, Tz::Asia__Shanghai);
    let moments = [
        period.from.before(Duration::from_micros(1)),
        period.from,
        period.until.before(Duration::from_micros(1)),
        period.until,
    ];
    let entered = moments.map(|moment| Deed {
        moment,
        by: Some(user.clone()),
        customer: CustomerId::generate(),
        what: What::Entered,
    });
    store(database, entered.to_vec()).await;
    let team = database
        .read(move |connection| figures(connection, &period))
        .await;
    assert_eq!(team.of(&user).new_customers, 2);
    assert_eq!(team.total.new_customers, 2);
}
