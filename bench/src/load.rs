//! Assignments to be made: who gives which customer to whom.

use std::time::Duration;

use diesel::prelude::*;
use shared::clock::{Clock, SystemClock};
use shared::db::schema::customers;
use shared::db::{DbError, each_backend};
use shared::domain::{CustomerId, UserId, UtcTimestamp};

use crate::figures::{Durations, per_second};
use crate::people::Person;
use crate::stage::Stage;

/// How many customers each client has to itself, so that clients do not wait for each other's rows.
const CUSTOMERS_EACH: usize = 20;

/// Customers and owners, and who assigns.
pub struct Load {
    /// Who gives the orders.
    pub actor: UserId,
    customers: Vec<CustomerId>,
    owners: Vec<Person>,
}

/// One assignment.
pub struct Turn {
    /// What is given.
    pub customer: CustomerId,
    /// To whom; never to the one who has it.
    pub owner: UserId,
}

/// What was done in some time.
pub struct Worked {
    /// How long each assignment took.
    pub took: Durations,
    /// Assignments in a second.
    pub rate: f64,
}

impl Worked {
    /// So much work in so much time.
    pub fn new(took: Vec<Duration>, time: Duration) -> Self {
        let rate = per_second(took.len(), time);
        let took = Durations::new(took);
        Self { took, rate }
    }
}

impl Load {
    /// Puts customers for so many clients into a stage's database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prepare(stage: &Stage, actor: UserId, clients: usize) -> Result<Self, DbError> {
        let now = stage.now();
        let ids: Vec<CustomerId> = (0..clients * CUSTOMERS_EACH)
            .map(|_| CustomerId::generate())
            .collect();
        let (entered, owners) = (ids.clone(), stage.people().to_vec());
        stage
            .database()
            .write(move |transaction| {
                let numbered: Vec<(usize, CustomerId)> = entered.into_iter().enumerate().collect();
                for chunk in numbered.chunks(1_000) {
                    let rows: Vec<_> = chunk
                        .iter()
                        .map(|(number, id)| {
                            // Whose turn comes last: every assignment takes it from somebody.
                            let owner = &owners[(number + owners.len() - 1) % owners.len()];
                            row(*number, id, &owner.id, now)
                        })
                        .collect();
                    each_backend!(transaction.connection(), |c| diesel::insert_into(
                        customers::table
                    )
                    .values(rows)
                    .execute(c))?;
                }
                Ok::<_, DbError>(())
            })
            .await?;
        Ok(Self {
            actor,
            customers: ids,
            owners: stage.people().to_vec(),
        })
    }

    /// This machine's time; nothing is compared with it.
    pub fn now(&self) -> UtcTimestamp {
        SystemClock.now()
    }

    /// The assignments of one client, without end: its customers in turn, each to the next owner
    /// every time.
    pub fn turns(&self, client: usize) -> impl Iterator<Item = Turn> + '_ {
        (0..).map(move |turn: usize| {
            let customer = client * CUSTOMERS_EACH + turn % CUSTOMERS_EACH;
            let round = turn / CUSTOMERS_EACH;
            Turn {
                customer: self.customers[customer].clone(),
                owner: self.owners[(customer + round) % self.owners.len()]
                    .id
                    .clone(),
            }
        })
    }
}

type Row = (
    diesel::dsl::Eq<customers::id, CustomerId>,
    diesel::dsl::Eq<customers::number, String>,
    diesel::dsl::Eq<customers::name, String>,
    diesel::dsl::Eq<customers::phone, String>,
    diesel::dsl::Eq<customers::lead_source, &'static str>,
    diesel::dsl::Eq<customers::service_category, &'static str>,
    diesel::dsl::Eq<customers::lead_level, &'static str>,
    diesel::dsl::Eq<customers::contract_status, &'static str>,
    diesel::dsl::Eq<customers::assigned_to, UserId>,
    diesel::dsl::Eq<customers::last_activity_at, UtcTimestamp>,
    diesel::dsl::Eq<customers::created_at, UtcTimestamp>,
    diesel::dsl::Eq<customers::updated_at, UtcTimestamp>,
);

fn row(number: usize, id: &CustomerId, owner: &UserId, now: UtcTimestamp) -> Row {
    (
        customers::id.eq(id.clone()),
        customers::number.eq(format!("CUS{number:011}")),
        customers::name.eq(format!("客户{number}")),
        customers::phone.eq(format!("139{number:08}")),
        customers::lead_source.eq("美团"),
        customers::service_category.eq("月嫂"),
        customers::lead_level.eq("A类"),
        customers::contract_status.eq("待定"),
        customers::assigned_to.eq(owner.clone()),
        customers::last_activity_at.eq(now),
        customers::created_at.eq(now),
        customers::updated_at.eq(now),
    )
}
