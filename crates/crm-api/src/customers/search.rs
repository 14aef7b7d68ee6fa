use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError};
use shared::domain::{UserId, text_enum};

use super::customer::{Customer, Sight};
use super::lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use crate::pattern::{lower, pattern_containing};

/// Which customers to list; everything not given matches.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// A part of the name, the phone number, the WeChat id or the customer number.
    pub search: Option<String>,
    /// Where they came from.
    pub lead_source: Option<LeadSource>,
    /// What they look for.
    pub service_category: Option<ServiceCategory>,
    /// How promising they are.
    pub lead_level: Option<LeadLevel>,
    /// How far the contract is.
    pub contract_status: Option<ContractStatus>,
    /// Whose they are.
    pub assigned_to: Option<UserId>,
    /// Whether they are in the public pool.
    pub in_public_pool: Option<bool>,
}

text_enum! {
    /// By what a list of customers is sorted.
    pub enum SortBy ("sort field") {
        /// When they were entered.
        CreatedAt => "createdAt",
        /// When anything about them last changed.
        UpdatedAt => "updatedAt",
        /// When somebody last did something with them.
        LastActivityAt => "lastActivityAt",
        /// When they were last given to somebody.
        AssignedAt => "assignedAt",
    }
}

text_enum! {
    /// In which direction a list is sorted.
    pub enum SortOrder ("sort order") {
        /// The smallest first.
        Ascending => "asc",
        /// The largest first.
        Descending => "desc",
    }
}

/// A page of the customers within sight, and how many match in all.
///
/// # Errors
/// What the database says.
pub fn search(
    connection: &mut DbConnection,
    sight: &Sight,
    filter: &CustomerFilter,
    (by, order): (SortBy, SortOrder),
    offset: i64,
    limit: i64,
) -> Result<(Vec<Customer>, i64), DbError> {
    let matching = || {
        let mut query = customers::table.into_boxed();
        if let Sight::Own(user) = sight {
            query = query.filter(
                customers::assigned_to
                    .eq(user.clone())
                    .or(customers::created_by.eq(user.clone())),
            );
        }
        if let Some(part) = &filter.search {
            let pattern = || lower(pattern_containing(part).into_sql::<Nullable<Text>>());
            query = query.filter(
                lower(customers::name.nullable())
                    .like(pattern())
                    .escape('\\')
                    .or(customers::phone.like(pattern()).escape('\\'))
                    .or(lower(customers::wechat_id).like(pattern()).escape('\\'))
                    .or(lower(customers::number.nullable())
                        .like(pattern())
                        .escape('\\')),
            );
        }
        if let Some(lead_source) = filter.lead_source {
            query = query.filter(customers::lead_source.eq(lead_source));
        }
        if let Some(service_category) = filter.service_category {
            query = query.filter(customers::service_category.eq(service_category));
        }
        if let Some(lead_level) = filter.lead_level {
            query = query.filter(customers::lead_level.eq(lead_level));
        }
        if let Some(contract_status) = filter.contract_status {
            query = query.filter(customers::contract_status.eq(contract_status));
        }
        if let Some(assigned_to) = filter.assigned_to.clone() {
            query = query.filter(customers::assigned_to.eq(assigned_to));
        }
        if let Some(in_public_pool) = filter.in_public_pool {
            query = query.filter(customers::in_public_pool.eq(in_public_pool));
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let query = matching();
    // The id makes the order complete, so that no customer is on two pages.
    let query = match (by, order) {
        (SortBy::CreatedAt, SortOrder::Ascending) => {
            query.order((customers::created_at.asc(), customers::id.asc()))
        }
        (SortBy::CreatedAt, SortOrder::Descending) => {
            query.order((customers::created_at.desc(), customers::id.desc()))
        }
        (SortBy::UpdatedAt, SortOrder::Ascending) => {
            query.order((customers::updated_at.asc(), customers::id.asc()))
        }
        (SortBy::UpdatedAt, SortOrder::Descending) => {
            query.order((customers::updated_at.desc(), customers::id.desc()))
        }
        (SortBy::LastActivityAt, SortOrder::Ascending) => {
            query.order((customers::last_activity_at.asc(), customers::id.asc()))
        }
        (SortBy::LastActivityAt, SortOrder::Descending) => {
            query.order((customers::last_activity_at.desc(), customers::id.desc()))
        }
        // Never assigned comes last either way; the databases would differ.
        (SortBy::AssignedAt, SortOrder::Ascending) => query.order((
            customers::assigned_at.is_null().asc(),
            customers::assigned_at.asc(),
            customers::id.asc(),
        )),
        (SortBy::AssignedAt, SortOrder::Descending) => query.order((
            customers::assigned_at.is_null().asc(),
            customers::assigned_at.desc(),
            customers::id.desc(),
        )),
    };
    let page = query
        .offset(offset)
        .limit(limit)
        .select(Customer::as_select())
        .load(connection)?;
    Ok((page, total))
}
