use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use crm_api::auto_transfer::{
    Condition, Criteria, DayRange, Lead, Rule, RuleConditions, RuleUser, Strategy, Window,
};
use crm_api::customers::{ContractStatus, LeadSource};
use diesel::prelude::*;
use shared::db::schema::customers;
use shared::domain::{CustomerId, Role, TransferRuleId, UserId, UtcTimestamp};

use crate::harness::{Session, TestDatabase, moment, on_each_database};

on_each_database!(the_query_selects_exactly_what_the_conditions_say);

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

const HOUR: u64 = 3_600;

async fn the_query_selects_exactly_what_the_conditions_say(database: &TestDatabase) {
    let mut people = Vec::new();
    for (username, name) in [("a", "甲"), ("b", "乙"), ("c", "丙")] {
        people.push(database.staff(username, name, Role::Employee).await);
    }
    let now = moment();
    let mut dice = Dice(1);
    let ids = database.leads(300, &people[0]).await;
    for id in ids {
        scatter(database, id.parse().unwrap(), &people, &mut dice, now).await;
    }
    let leads: Vec<Lead> = database
        .read(|connection| {
            Ok(customers::table
                .select(Lead::as_select())
                .load(connection)?)
        })
        .await;
    let mut seen = BTreeSet::new();
    for _ in 0..150 {
        let rule = random_rule(&people, &mut dice);
        let criteria = Criteria::of(&rule, now, Tz::Asia__Shanghai);
        let expected: BTreeSet<&CustomerId> = leads
            .iter()
            .filter(|lead| criteria.meets_all(lead))
            .map(|lead| &lead.id)
            .collect();
        for &condition in Condition::ALL {
            for lead in &leads {
                seen.insert((condition, criteria.meets(condition, lead)));
            }
        }
        let selected = database
            .read(move |connection| criteria.select(connection, 1_000))
            .await;
        assert_eq!(
            selected.iter().collect::<BTreeSet<_>>(),
            expected,
            "{rule:?}"
        );
        assert_eq!(selected.len(), expected.len());
    }
    assert_eq!(
        seen.len(),
        2 * Condition::ALL.len(),
        "each has held and has not"
    );
}

/// Around the borders of what rules ask for.
async fn scatter(
    database: &TestDatabase,
    id: CustomerId,
    people: &[Session],
    dice: &mut Dice,
    now: UtcTimestamp,
) {
    let pooled = dice.below(8) == 0;
    let owner: UserId = people[dice.below(3) as usize].id.parse().unwrap();
    let ago = |dice: &mut Dice| {
        let hours = dice.below(4) * HOUR;
        let moment = now.before(Duration::from_secs(hours));
        // Exactly then, or a moment to either side.
        match dice.below(3) {
            0 => moment.before(Duration::from_micros(1)),
            1 => moment.after(Duration::from_micros(1)),
            _ => moment,
        }
    };
    let row = (
        customers::assigned_to.eq((!pooled).then_some(owner)),
        customers::in_public_pool.eq(pooled),
        customers::auto_transfer_enabled.eq(dice.below(8) != 0),
        customers::frozen.eq(dice.below(8) == 0),
        customers::contract_status.eq(dice.one_of(ContractStatus::ALL)),
        customers::lead_source.eq(dice.one_of(&[
            LeadSource::Referral,
            LeadSource::Douyin,
            LeadSource::Other,
        ])),
        customers::last_activity_at.eq(ago(dice)),
        customers::last_transferred_at.eq(dice.coin().then(|| ago(dice))),
        customers::transfer_count.eq(dice.below(4) as i32),
        // Midnight in the zone is at 16:00.
        customers::created_at.eq(midnight(dice.below(4) as u32, dice)),
    );
    database
        .write(move |transaction| {
            diesel::update(customers::table.find(id))
                .set(row)
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

fn midnight(day: u32, dice: &mut Dice) -> UtcTimestamp {
    let midnight = NaiveDate::from_ymd_opt(2026, 1, 2 + day).unwrap();
    let midnight = UtcTimestamp::from_naive_utc(midnight.and_hms_opt(16, 0, 0).unwrap());
    if dice.coin() {
        midnight
    } else {
        midnight.before(Duration::from_micros(1))
    }
}

fn random_rule(people: &[Session], dice: &mut Dice) -> Rule {
    let users = people.iter().map(|person| RuleUser {
        id: person.id.parse().unwrap(),
        name: String::new(),
        active: true,
        is_source: dice.coin(),
        is_target: true,
        out_count: 0,
        in_count: 0,
    });
    let users = users.collect();
    let some = |dice: &mut Dice, all: &[ContractStatus]| {
        let count = dice.below(4);
        (0..count * 2).map(|_| dice.one_of(all)).collect()
    };
    let contract_statuses = some(dice, ContractStatus::ALL);
    let lead_sources = match dice.below(3) {
        0 => vec![LeadSource::Referral],
        1 => vec![LeadSource::Douyin, LeadSource::Referral],
        _ => Vec::new(),
    };
    let day = |dice: &mut Dice| {
        let day = 3 + dice.below(3) as u32;
        dice.coin()
            .then(|| NaiveDate::from_ymd_opt(2026, 1, day).unwrap())
    };
    Rule {
        id: TransferRuleId::generate(),
        name: "规则".to_owned(),
        enabled: true,
        conditions: RuleConditions {
            inactive_hours: 1 + dice.below(3) as i32,
            cooldown_hours: dice.below(4) as i32,
            transfers_max: dice.below(3) as i32,
            contract_statuses,
            lead_sources,
            created: DayRange {
                from: day(dice),
                until: day(dice),
            },
        },
        window: Window {
            enabled: false,
            start: "09:30".parse().unwrap(),
            end: "18:30".parse().unwrap(),
        },
        strategy: Strategy::Balanced,
        users,
        round: 0,
        last_receiver: None,
        created_at: moment(),
        updated_at: moment(),
        version: 1,
    }
}
