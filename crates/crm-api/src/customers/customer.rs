use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde::Serialize;
use shared::db::schema::{customers, users};
use shared::db::{DbConnection, DbError, columns, dialect};
use shared::domain::{CustomerId, Phone, UserId, UtcTimestamp};

use super::lists::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use crate::auth::policy::Act;
use crate::auth::session::CurrentUser;

/// A customer, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = customers)]
#[expect(missing_docs, reason = "the columns are described in docs/API.md")]
pub struct Customer {
    pub id: CustomerId,
    pub number: CustomerNumber,
    pub name: String,
    pub phone: Option<Phone>,
    pub wechat_id: Option<String>,
    pub lead_source: LeadSource,
    pub service_category: Option<ServiceCategory>,
    pub lead_level: Option<LeadLevel>,
    pub contract_status: ContractStatus,
    pub remarks: Option<String>,
    pub assigned_to: Option<UserId>,
    pub assigned_by: Option<UserId>,
    pub assigned_at: Option<UtcTimestamp>,
    pub assignment_reason: Option<String>,
    pub in_public_pool: bool,
    pub pool_entered_at: Option<UtcTimestamp>,
    pub pool_reason: Option<String>,
    pub claim_count: i32,
    pub last_activity_at: UtcTimestamp,
    pub last_follow_up_at: Option<UtcTimestamp>,
    pub transfer_count: i32,
    pub last_transferred_at: Option<UtcTimestamp>,
    pub auto_transfer_enabled: bool,
    pub frozen: bool,
    pub frozen_by: Option<UserId>,
    pub frozen_at: Option<UtcTimestamp>,
    pub frozen_reason: Option<String>,
    pub created_by: Option<UserId>,
    pub created_at: UtcTimestamp,
    pub updated_at: UtcTimestamp,
    pub version: i32,
}

/// The number people use for a customer: `CUS` and eleven digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, AsExpression, FromSqlRow, Serialize)]
#[diesel(sql_type = Text)]
#[serde(transparent)]
pub struct CustomerNumber(String);

impl CustomerNumber {
    /// One of 90 thousand million, by chance: it tells nobody how many customers there are. Whoever
    /// stores it must be ready to try another.
    pub fn random() -> Self {
        let digits = rand::random_range(10_000_000_000_u64..100_000_000_000);
        Self(format!("CUS{digits}"))
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no customer number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a customer number (CUS and eleven digits)")]
pub struct InvalidCustomerNumber;

impl FromStr for CustomerNumber {
    type Err = InvalidCustomerNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("CUS") {
            Some(digits) if digits.len() == 11 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(InvalidCustomerNumber),
        }
    }
}

impl fmt::Display for CustomerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

columns::text_column!(CustomerNumber);

/// Which customers somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All of them.
    All,
    /// Those assigned to or created by this user.
    Own(UserId),
}

impl Sight {
    /// What `user` sees.
    pub fn of(user: &CurrentUser) -> Self {
        if user.may(Act::SeeAllCustomers) {
            Self::All
        } else {
            Self::Own(user.id.clone())
        }
    }
}

/// What messages about a customer are about: `customer:<id>`.
pub fn subject_of(id: &CustomerId) -> String {
    format!("customer:{id}")
}

/// One customer, if it exists and is within sight.
///
/// # Errors
/// What the database says.
pub fn find(
    connection: &mut DbConnection,
    id: &CustomerId,
    sight: &Sight,
) -> Result<Option<Customer>, DbError> {
    let mut query = customers::table.find(id).into_boxed();
    if let Sight::Own(user) = sight {
        query = query.filter(
            customers::assigned_to
                .eq(user.clone())
                .or(customers::created_by.eq(user.clone())),
        );
    }
    Ok(query
        .select(Customer::as_select())
        .first(connection)
        .optional()?)
}

/// The names of these users, in one query.
///
/// # Errors
/// What the database says.
pub fn names_of<'a>(
    connection: &mut DbConnection,
    ids: impl Iterator<Item = &'a UserId>,
) -> Result<HashMap<UserId, String>, DbError> {
    let mut ids: Vec<&UserId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<(UserId, String)> = users::table
        .filter(dialect::among(connection, users::id, ids))
        .select((users::id, users::name))
        .load(connection)?;
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use shared::domain::Role;

    use super::*;

    #[test]
    fn a_number_is_cus_and_eleven_digits() {
        for _ in 0..1_000 {
            let number = CustomerNumber::random();
            assert_eq!(number.as_str().parse(), Ok(number.clone()));
        }
        for text in [
            "CUS1234567890",
            "CUS123456789012",
            "cus12345678901",
            "CUS1234567890a",
            "",
        ] {
            assert!(text.parse::<CustomerNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_employees_see_no_more_than_their_own() {
        for &role in Role::ALL {
            let id = UserId::generate();
            let user = CurrentUser {
                id: id.clone(),
                name: String::new(),
                role,
            };
            let expected = match role {
                Role::Employee => Sight::Own(id),
                Role::Admin | Role::Manager | Role::Operator | Role::Dispatch => Sight::All,
            };
            assert_eq!(Sight::of(&user), expected);
        }
    }
}
