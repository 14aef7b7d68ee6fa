use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use diesel::helper_types::IntoBoxed;
use diesel::prelude::*;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, UserId, UtcTimestamp, text_enum};

use super::lead::Lead;
use super::rule::Rule;
use crate::customers::{ContractStatus, LeadSource};
use crate::schedule::first_moment;

text_enum! {
    /// One of the conditions under which a rule takes a lead. All must hold.
    pub enum Condition ("transfer condition") {
        /// It belongs to one of the sources.
        Owner => "owner",
        /// It is not in the public pool.
        NotPooled => "notPooled",
        /// It may be moved by rule.
        AutoTransferEnabled => "autoTransferEnabled",
        /// It is not frozen.
        NotFrozen => "notFrozen",
        /// The contract is as far as the rule wants it.
        ContractStatus => "contractStatus",
        /// It came from where the rule wants it.
        LeadSource => "leadSource",
        /// Nobody has touched it for long enough.
        Inactive => "inactive",
        /// It has not been moved for long enough.
        Cooldown => "cooldown",
        /// It has not been moved too often.
        TransferCount => "transferCount",
        /// It was entered on one of the rule's days.
        CreatedDate => "createdDate",
    }
}

/// The conditions of a rule at one moment. They are the one truth about which leads it takes:
/// [`Criteria::meets`] for a lead at hand and [`Criteria::select`] for all in the database say the
/// same, which a test holds them to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    sources: Vec<UserId>,
    /// Empty for any.
    contract_statuses: Vec<ContractStatus>,
    lead_sources: Vec<LeadSource>,
    /// Touched then or before.
    inactive_since: UtcTimestamp,
    /// Moved then or before, if ever.
    cool_since: UtcTimestamp,
    transfers_max: Option<i32>,
    /// Entered then or later …
    created_from: Option<UtcTimestamp>,
    /// … and before then.
    created_before: Option<UtcTimestamp>,
}

/// Where a list of candidates goes on.
pub(super) type Place = (UtcTimestamp, CustomerId);

/// A lead that a rule takes: which, whose, and since when nobody has touched it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub(super) struct Candidate {
    pub(super) id: CustomerId,
    pub(super) owner: Option<UserId>,
    pub(super) last_activity_at: UtcTimestamp,
}

type Query<'a> = IntoBoxed<'a, customers::table, <DbConnection as Connection>::Backend>;

impl Criteria {
    /// What a rule asks of leads at this moment. Days are those of the zone.
    pub fn of(rule: &Rule, as_of: UtcTimestamp, zone: Tz) -> Self {
        let conditions = &rule.conditions;
        let created = conditions.created;
        let day_after = created.until.and_then(|day| day.succ_opt());
        Self {
            sources: rule.sources().map(|user| user.id.clone()).collect(),
            contract_statuses: conditions.contract_statuses.clone(),
            lead_sources: wanted_sources(&conditions.lead_sources),
            inactive_since: as_of.before(hours(conditions.inactive_hours)),
            cool_since: as_of.before(hours(conditions.cooldown_hours)),
            transfers_max: (conditions.transfers_max > 0).then_some(conditions.transfers_max),
            created_from: created.from.map(|day| start_of(day, zone)),
            created_before: day_after.map(|day| start_of(day, zone)),
        }
    }

    /// Whether a lead meets one of them.
    pub fn meets(&self, condition: Condition, lead: &Lead) -> bool {
        match condition {
            Condition::Owner => {
                let owner = lead.assigned_to.as_ref();
                owner.is_some_and(|owner| self.sources.contains(owner))
            }
            Condition::NotPooled => !lead.in_public_pool,
            Condition::AutoTransferEnabled => lead.auto_transfer_enabled,
            Condition::NotFrozen => !lead.frozen,
            Condition::ContractStatus => {
                self.contract_statuses.is_empty()
                    || self.contract_statuses.contains(&lead.contract_status)
            }
            Condition::LeadSource => self.lead_sources.contains(&lead.lead_source),
            Condition::Inactive => lead.last_activity_at <= self.inactive_since,
            Condition::Cooldown => lead
                .last_transferred_at
                .is_none_or(|moved_at| moved_at <= self.cool_since),
            Condition::TransferCount => self
                .transfers_max
                .is_none_or(|most| lead.transfer_count < most),
            Condition::CreatedDate => {
                self.created_from.is_none_or(|from| from <= lead.created_at)
                    && self.created_before.is_none_or(|end| lead.created_at < end)
            }
        }
    }

    /// Whether a lead meets all of them.
    pub fn meets_all(&self, lead: &Lead) -> bool {
        Condition::ALL
            .iter()
            .all(|&condition| self.meets(condition, lead))
    }

    /// The leads that meet all of them, those first that nobody has touched for longest.
    ///
    /// # Errors
    /// What the database says.
    pub fn select(
        &self,
        connection: &mut DbConnection,
        limit: i64,
    ) -> Result<Vec<CustomerId>, DbError> {
        let candidates = self.candidates(connection, None, limit)?;
        Ok(candidates.into_iter().map(|lead| lead.id).collect())
    }

    /// The same, from a place on.
    pub(super) fn candidates(
        &self,
        connection: &mut DbConnection,
        after: Option<&Place>,
        limit: i64,
    ) -> Result<Vec<Candidate>, DbError> {
        let mut query = customers::table.into_boxed();
        for &condition in Condition::ALL {
            query = self.restrict(query, condition);
        }
        if let Some((touched_at, id)) = after.cloned() {
            query = query.filter(
                customers::last_activity_at
                    .gt(touched_at)
                    .or(customers::last_activity_at
                        .eq(touched_at)
                        .and(customers::id.gt(id))),
            );
        }
        Ok(query
            .order((customers::last_activity_at, customers::id))
            .limit(limit)
            .select((
                customers::id,
                customers::assigned_to,
                customers::last_activity_at,
            ))
            .load(connection)?)
    }

    /// [`Criteria::meets`] in the words of the database.
    fn restrict<'a>(&self, query: Query<'a>, condition: Condition) -> Query<'a> {
        match condition {
            Condition::Owner => query.filter(customers::assigned_to.eq_any(self.sources.clone())),
            Condition::NotPooled => query.filter(diesel::dsl::not(customers::in_public_pool)),
            Condition::AutoTransferEnabled => query.filter(customers::auto_transfer_enabled),
            Condition::NotFrozen => query.filter(diesel::dsl::not(customers::frozen)),
            Condition::ContractStatus if self.contract_statuses.is_empty() => query,
            Condition::ContractStatus => {
                let wanted = self.contract_statuses.clone();
                query.filter(customers::contract_status.eq_any(wanted))
            }
            Condition::LeadSource => {
                query.filter(customers::lead_source.eq_any(self.lead_sources.clone()))
            }
            Condition::Inactive => {
                query.filter(customers::last_activity_at.le(self.inactive_since))
            }
            Condition::Cooldown => query.filter(
                customers::last_transferred_at
                    .is_null()
                    .or(customers::last_transferred_at.le(self.cool_since)),
            ),
            Condition::TransferCount => match self.transfers_max {
                Some(most) => query.filter(customers::transfer_count.lt(most)),
                None => query,
            },
            Condition::CreatedDate => {
                let query = match self.created_from {
                    Some(from) => query.filter(customers::created_at.ge(from)),
                    None => query,
                };
                match self.created_before {
                    Some(end) => query.filter(customers::created_at.lt(end)),
                    None => query,
                }
            }
        }
    }
}

/// Which sources a rule wants: those it names, or all but referrals, whom somebody has sent to
/// somebody in particular.
pub(super) fn wanted_sources(named: &[LeadSource]) -> Vec<LeadSource> {
    if named.is_empty() {
        let all = LeadSource::ALL.iter().copied();
        all.filter(|&source| source != LeadSource::Referral)
            .collect()
    } else {
        named.to_vec()
    }
}

fn hours(count: i32) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default() * 3_600)
}

fn start_of(day: NaiveDate, zone: Tz) -> UtcTimestamp {
    first_moment(day.and_time(NaiveTime::MIN), zone)
        .to_utc()
        .into()
}
