use diesel::dsl::{case_when, not};
use diesel::helper_types::IntoBoxed;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use shared::db::DbConnection;
use shared::db::dialect::{CustomerCondition, CustomerLookup, has_customer_terms};
use shared::db::schema::customers;
use shared::domain::UserId;

use super::customer::Sight;
use super::lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use crate::pattern::{lower, pattern_containing};

/// Which customers to list; everything not given matches.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// A part of the name; if it has three characters or more, also of the phone number, the WeChat
    /// id or the customer number. (Half of all numbers have any two digits.)
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

/// Customers that match something.
pub(super) type Matching<'a> =
    IntoBoxed<'a, customers::table, <DbConnection as Connection>::Backend>;

/// How many characters in a row of numbers and WeChat ids are a term.
const TERM_CHARACTERS: usize = 3;

/// The customers within sight that match.
pub(super) fn matching<'a>(
    lookup: CustomerLookup,
    sight: &Sight,
    filter: &CustomerFilter,
) -> Matching<'a> {
    let mut query = customers::table.into_boxed();
    if let Sight::Own(user) = sight {
        query = query.filter(
            customers::assigned_to
                .eq(user.clone())
                .or(customers::created_by.eq(user.clone())),
        );
    }
    if let Some(assigned_to) = filter.assigned_to.clone() {
        query = query.filter(customers::assigned_to.eq(assigned_to));
    }
    query = match lookup {
        CustomerLookup::Terms => by_terms(query, filter),
        CustomerLookup::Columns => by_columns(query, filter),
    };
    if let Some(part) = &filter.search {
        query = query.filter(contains(part));
    }
    query
}

/// Everything but the order of the signs in `search`, which the terms do not tell.
fn by_terms<'a>(mut query: Matching<'a>, filter: &CustomerFilter) -> Matching<'a> {
    let mut terms = Vec::new();
    let mut put = |name: &str, value: Option<&str>| {
        terms.extend(value.map(|value| format!("{name}={value}")));
    };
    put("source", filter.lead_source.map(LeadSource::as_str));
    put(
        "category",
        filter.service_category.map(ServiceCategory::as_str),
    );
    put("level", filter.lead_level.map(LeadLevel::as_str));
    put("status", filter.contract_status.map(ContractStatus::as_str));
    match filter.in_public_pool {
        Some(true) => terms.push("pooled".to_owned()),
        // That of most: a term would find nothing faster.
        Some(false) => query = query.filter(not(customers::in_public_pool)),
        None => {}
    }
    if !terms.is_empty() {
        query = query.filter(has_customer_terms(&terms));
    }
    if let Some(part) = &filter.search {
        query = query.filter(has_parts(part));
    }
    query
}

fn by_columns<'a>(mut query: Matching<'a>, filter: &CustomerFilter) -> Matching<'a> {
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
    // Not as a parameter: only then is it known that an index of the pool has all of them.
    match filter.in_public_pool {
        Some(true) => query.filter(customers::in_public_pool),
        Some(false) => query.filter(not(customers::in_public_pool)),
        None => query,
    }
}

/// That a customer has the parts of a text: those of a name, or those of a number or WeChat id.
fn has_parts(part: &str) -> CustomerCondition {
    let characters: Vec<char> = part.chars().collect();
    let singly: Vec<String> = characters.iter().map(char::to_string).collect();
    let of_a_name = has_customer_terms(&singly);
    if characters.len() < TERM_CHARACTERS {
        return of_a_name;
    }
    let in_a_row: Vec<String> = characters
        .windows(TERM_CHARACTERS)
        .map(|three| three.iter().collect())
        .collect();
    Box::new(of_a_name.or(has_customer_terms(&in_a_row)))
}

/// That a customer's texts contain this one. A CASE, because a server guesses from a LIKE that next to
/// nobody matches, whatever it says, and then looks at everybody instead of the first few.
fn contains(part: &str) -> CustomerCondition {
    let pattern = || lower(pattern_containing(part).into_sql::<Nullable<Text>>());
    let in_name = lower(customers::name.nullable())
        .like(pattern())
        .escape('\\');
    let (yes, no) = (true.into_sql::<Bool>(), false.into_sql::<Bool>());
    if part.chars().count() < TERM_CHARACTERS {
        return Box::new(case_when(in_name.assume_not_null(), yes).otherwise(no));
    }
    let anywhere = in_name
        .or(customers::phone.like(pattern()).escape('\\'))
        .or(lower(customers::wechat_id).like(pattern()).escape('\\'))
        .or(lower(customers::number.nullable())
            .like(pattern())
            .escape('\\'));
    Box::new(case_when(anywhere.assume_not_null(), yes).otherwise(no))
}
