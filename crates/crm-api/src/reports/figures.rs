use std::collections::{HashMap, HashSet};

use diesel::dsl::count_star;
use diesel::prelude::*;
use shared::db::schema::{contract_signings, customers, follow_ups};
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UserId};

use super::period::Period;

/// What somebody, or everybody, has done in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Customers entered.
    pub new_customers: i64,
    /// Follow-ups written.
    pub follow_ups: i64,
    /// Customers whose contract was signed; one that was signed twice counts once.
    pub signed: i64,
}

impl Figures {
    /// Whether nothing was done.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What was done in a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TeamFigures {
    /// By everybody and everything: leads of the website were entered by nobody.
    pub total: Figures,
    /// By each person who has done something, whether they are still active or not.
    pub people: HashMap<UserId, Figures>,
}

impl TeamFigures {
    /// What one person has done.
    pub fn of(&self, user: &UserId) -> Figures {
        self.people.get(user).copied().unwrap_or_default()
    }

    fn person(&mut self, user: UserId) -> &mut Figures {
        self.people.entry(user).or_default()
    }
}

/// What was done in a period, by everybody: one query per figure, however many people there are.
///
/// Customers that were deleted since do not count, nor does what was done with them.
///
/// # Errors
/// What the database says.
pub fn figures(connection: &mut DbConnection, period: &Period) -> Result<TeamFigures, DbError> {
    let mut team = TeamFigures::default();
    let entered: Vec<(Option<UserId>, i64)> = customers::table
        .filter(customers::created_at.ge(period.from))
        .filter(customers::created_at.lt(period.until))
        .group_by(customers::created_by)
        .select((customers::created_by, count_star()))
        .load(connection)?;
    for (user, count) in entered {
        team.total.new_customers += count;
        if let Some(user) = user {
            team.person(user).new_customers = count;
        }
    }
    let followed_up: Vec<(UserId, i64)> = follow_ups::table
        .filter(follow_ups::created_at.ge(period.from))
        .filter(follow_ups::created_at.lt(period.until))
        .group_by(follow_ups::author_id)
        .select((follow_ups::author_id, count_star()))
        .load(connection)?;
    for (user, count) in followed_up {
        team.total.follow_ups += count;
        team.person(user).follow_ups = count;
    }
    // As many rows as contracts: they are few beside everything else.
    let signings: Vec<(Option<UserId>, CustomerId)> = contract_signings::table
        .filter(contract_signings::signed_at.ge(period.from))
        .filter(contract_signings::signed_at.lt(period.until))
        .select((contract_signings::user_id, contract_signings::customer_id))
        .distinct()
        .load(connection)?;
    // Not the sum: one that was signed for two people, one after the other, was signed once.
    let signed: HashSet<&CustomerId> = signings.iter().map(|(_, customer)| customer).collect();
    team.total.signed = i64::try_from(signed.len()).unwrap_or(i64::MAX);
    for (user, _) in signings {
        if let Some(user) = user {
            team.person(user).signed += 1;
        }
    }
    Ok(team)
}
