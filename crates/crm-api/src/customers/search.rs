use std::collections::HashMap;

use diesel::prelude::*;
use shared::db::dialect::CustomerLookup;
use shared::db::schema::customers;
use shared::db::{DbConnection, DbError};
use shared::domain::{CustomerId, text_enum};

use super::counted::Counted;
use super::customer::{Customer, Sight};
use super::filter::{CustomerFilter, Matching, matching};

text_enum! {
    /// By what a list of customers is sorted.
    pub enum SortBy ("sort field") {
        /// When they were entered.
        CreatedAt => "createdAt",
        /// When anything about them last changed.
        UpdatedAt => "updatedAt",
        /// When somebody last did something with them.
        LastActivityAt => "lastActivityAt",
        /// When they were last given to somebody; those who never were come last either way.
        AssignedAt => "assignedAt",
        /// When they went into the public pool; those who are not in it come last either way.
        PublicPoolEntryTime => "publicPoolEntryTime",
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

/// How many matching customers are counted, and sorted apart from the others. Beyond, the database
/// goes through an index of the order until a page is full: if more than one in a hundred of a
/// million match, that is soon.
pub const COUNTED_MAX: i64 = 10_000;

/// How far a list of more than [`COUNTED_MAX`] is paged: to skip an entry, all between it and the one
/// before it are looked at, each on another page of the table.
pub const REACH_MAX: i64 = 200;

/// How many customers match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(i64),
    /// More than [`COUNTED_MAX`].
    TooManyToCount,
}

/// Why no page can be given.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// More than [`COUNTED_MAX`] match, and the page lies beyond [`REACH_MAX`].
    #[error("匹配的客户超过10000个，最多可查看前200个，请缩小筛选范围或改变排序")]
    OutOfReach,
    /// The database says no.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for SearchError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A page of the customers within sight, and how many match in all.
///
/// If few match, they are found by what is asked for and then sorted; if many do, the list is read in
/// its order. Which of the two it is, is found out by looking and not left to what a server believes
/// of its data.
///
/// # Errors
/// [`SearchError`].
pub fn search(
    connection: &mut DbConnection,
    sight: &Sight,
    filter: &CustomerFilter,
    sort: (SortBy, SortOrder),
    offset: i64,
    limit: i64,
) -> Result<(Vec<Customer>, Total), SearchError> {
    let lookup = CustomerLookup::of(connection);
    let hits = matching(lookup, sight, filter).limit(COUNTED_MAX + 1);
    let (total, on_page) = Counted::new(hits, sort, offset, limit).load(connection)?;
    if total > COUNTED_MAX {
        if offset + limit > REACH_MAX {
            return Err(SearchError::OutOfReach);
        }
        // Terms are for finding few.
        let all = || matching(CustomerLookup::Columns, sight, filter);
        let page = in_order(connection, all, sort, offset, limit)?;
        return Ok((page, Total::TooManyToCount));
    }
    Ok((load(connection, &on_page)?, Total::Exactly(total)))
}

/// These customers, in this order. One that was deleted meanwhile is left out.
fn load(connection: &mut DbConnection, ids: &[CustomerId]) -> Result<Vec<Customer>, DbError> {
    let found: Vec<Customer> = customers::table
        .filter(customers::id.eq_any(ids))
        .select(Customer::as_select())
        .load(connection)?;
    let mut found: HashMap<CustomerId, Customer> = found
        .into_iter()
        .map(|customer| (customer.id.clone(), customer))
        .collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// A page of a list that is read in its order.
fn in_order<'a>(
    connection: &mut DbConnection,
    all: impl Fn() -> Matching<'a>,
    (by, order): (SortBy, SortOrder),
    offset: i64,
    limit: i64,
) -> Result<Vec<Customer>, DbError> {
    macro_rules! by {
        ($query:expr, $column:ident) => {
            match order {
                SortOrder::Ascending => {
                    $query.order((customers::$column.asc(), customers::id.asc()))
                }
                SortOrder::Descending => {
                    $query.order((customers::$column.desc(), customers::id.desc()))
                }
            }
        };
    }
    // What has no moment comes last. One index cannot have it there in both directions.
    macro_rules! by_known {
        ($column:ident) => {{
            let known = || all().filter(customers::$column.is_not_null());
            let unknown = || all().filter(customers::$column.is_null());
            let mut page = page(connection, by!(known(), $column), offset, limit)?;
            let left = limit - i64::try_from(page.len()).unwrap_or(limit);
            if left > 0 {
                let known: i64 = known().count().get_result(connection)?;
                let skipped = (offset - known).max(0);
                let rest = self::page(connection, by!(unknown(), $column), skipped, left)?;
                page.extend(rest);
            }
            Ok(page)
        }};
    }
    match by {
        SortBy::CreatedAt => page(connection, by!(all(), created_at), offset, limit),
        SortBy::UpdatedAt => page(connection, by!(all(), updated_at), offset, limit),
        SortBy::LastActivityAt => page(connection, by!(all(), last_activity_at), offset, limit),
        SortBy::AssignedAt => by_known!(assigned_at),
        SortBy::PublicPoolEntryTime => by_known!(pool_entered_at),
    }
}

fn page(
    connection: &mut DbConnection,
    sorted: Matching<'_>,
    offset: i64,
    limit: i64,
) -> Result<Vec<Customer>, DbError> {
    Ok(sorted
        .offset(offset)
        .limit(limit)
        .select(Customer::as_select())
        .load(connection)?)
}
