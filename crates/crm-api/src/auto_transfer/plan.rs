use std::collections::{HashMap, HashSet, VecDeque};

use chrono_tz::Tz;
use diesel::prelude::*;
use shared::db::schema::assignments;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UserId, UtcTimestamp};

use super::condition::{Candidate, Criteria, Place};
use super::distribution::{Distribution, Receiver, scramble};
use super::record::RuleTally;
use super::rule::Rule;

/// How many leads are looked up at a time. Each look sorts all that a rule takes; this many of them
/// take a few megabytes.
const STRETCH: i64 = 20_000;

/// One lead that is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMove {
    /// Which.
    pub customer: CustomerId,
    /// Whose it is.
    pub from: UserId,
    /// Whose it is to be.
    pub to: UserId,
}

/// Decides, a batch at a time, which leads of one rule go to whom in one run. It only reads: what
/// becomes of the batches is not its business.
#[derive(Debug)]
pub struct Planner {
    criteria: Criteria,
    distribution: Distribution,
    /// How many more leads may be moved.
    left: usize,
    pending: VecDeque<Candidate>,
    after: Option<Place>,
    exhausted: bool,
}

impl Planner {
    /// For a rule as it is now, in a run that has moved `so_far` by it already. Whoever is not active
    /// gets nothing.
    pub fn new(
        rule: &Rule,
        so_far: &RuleTally,
        leads_max: Option<usize>,
        as_of: UtcTimestamp,
        zone: Tz,
    ) -> Self {
        let receivers = rule.targets().filter(|user| user.active).map(|user| {
            let (given, received) = so_far.of(&user.id);
            Receiver {
                user: user.id.clone(),
                balance: user.balance() - (given - received),
                received: u32::try_from(received).unwrap_or_default(),
            }
        });
        let round = u64::try_from(rule.round).unwrap_or_default();
        Self {
            criteria: Criteria::of(rule, as_of, zone),
            distribution: Distribution::new(
                rule.strategy,
                receivers.collect(),
                rule.last_receiver.as_ref(),
                scramble(round, rule.id.as_str()),
            ),
            left: leads_max.map_or(usize::MAX, |most| most.saturating_sub(so_far.moved())),
            pending: VecDeque::new(),
            after: None,
            exhausted: false,
        }
    }

    /// What the leads must meet, still when they are moved.
    pub fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// The next moves, `size` at most; none when there are no more. Leads that are in `taken` are
    /// left alone, and those planned are put there: a lead moves once in a run, whatever rules want
    /// it.
    ///
    /// # Errors
    /// What the database says.
    pub fn next_batch(
        &mut self,
        connection: &mut DbConnection,
        taken: &mut HashSet<CustomerId>,
        size: usize,
    ) -> Result<Option<Vec<PlannedMove>>, DbError> {
        while self.left > 0 {
            self.look_up(connection)?;
            let next = size.min(self.left).min(self.pending.len());
            if next == 0 {
                return Ok(None);
            }
            let candidates: Vec<Candidate> = self
                .pending
                .drain(..next)
                .filter(|candidate| !taken.contains(&candidate.id))
                .collect();
            let earlier = earlier_owners(connection, &candidates)?;
            let moves: Vec<PlannedMove> = candidates
                .into_iter()
                .filter_map(|candidate| self.plan(candidate, &earlier))
                .collect();
            if !moves.is_empty() {
                self.left -= moves.len();
                taken.extend(moves.iter().map(|planned| planned.customer.clone()));
                return Ok(Some(moves));
            }
        }
        Ok(None)
    }

    fn look_up(&mut self, connection: &mut DbConnection) -> Result<(), DbError> {
        if !self.pending.is_empty() || self.exhausted {
            return Ok(());
        }
        let found = self
            .criteria
            .candidates(connection, self.after.as_ref(), STRETCH)?;
        match found.last() {
            Some(last) => self.after = Some((last.last_activity_at, last.id.clone())),
            None => self.exhausted = true,
        }
        self.pending.extend(found);
        Ok(())
    }

    fn plan(&mut self, lead: Candidate, earlier: &EarlierOwners) -> Option<PlannedMove> {
        let from = lead.owner?;
        let owners = earlier.get(&lead.id);
        let had_it =
            |user: &UserId| *user == from || owners.is_some_and(|owners| owners.contains(user));
        let to = self.distribution.give(|user| !had_it(user))?;
        Some(PlannedMove {
            customer: lead.id,
            from,
            to,
        })
    }
}

/// Whose each lead has ever been.
pub(super) type EarlierOwners = HashMap<CustomerId, HashSet<UserId>>;

fn earlier_owners(
    connection: &mut DbConnection,
    candidates: &[Candidate],
) -> Result<EarlierOwners, DbError> {
    let ids: Vec<&CustomerId> = candidates.iter().map(|candidate| &candidate.id).collect();
    owners_of(connection, &ids)
}

/// Whose each of these leads has ever been, as far as the history says.
pub(super) fn owners_of(
    connection: &mut DbConnection,
    ids: &[&CustomerId],
) -> Result<EarlierOwners, DbError> {
    type Change = (CustomerId, Option<UserId>, Option<UserId>);
    if ids.is_empty() {
        return Ok(EarlierOwners::new());
    }
    let changes: Vec<Change> = assignments::table
        .filter(assignments::customer_id.eq_any(ids.iter().copied()))
        .select((
            assignments::customer_id,
            assignments::from_user_id,
            assignments::to_user_id,
        ))
        .load(connection)?;
    let mut owners = EarlierOwners::new();
    for (customer, from, to) in changes {
        owners
            .entry(customer)
            .or_default()
            .extend(from.into_iter().chain(to));
    }
    Ok(owners)
}
