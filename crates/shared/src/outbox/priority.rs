use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::SmallInt;
use serde::Serialize;

/// Which messages are taken first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow, Serialize,
)]
#[diesel(sql_type = SmallInt)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody is waiting: an assignment.
    High,
    /// The usual.
    Medium,
    /// Reports, announcements.
    Low,
}

impl<DB> ToSql<SmallInt, DB> for Priority
where
    DB: Backend,
    i16: ToSql<SmallInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        match self {
            Self::High => 0_i16.to_sql(out),
            Self::Medium => 1_i16.to_sql(out),
            Self::Low => 2_i16.to_sql(out),
        }
    }
}

impl<DB> FromSql<SmallInt, DB> for Priority
where
    DB: Backend,
    i16: FromSql<SmallInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        match i16::from_sql(bytes)? {
            0 => Ok(Self::High),
            1 => Ok(Self::Medium),
            2 => Ok(Self::Low),
            other => Err(format!("{other} is not a priority; known: 0, 1, 2").into()),
        }
    }
}
