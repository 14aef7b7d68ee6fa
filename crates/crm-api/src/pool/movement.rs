use diesel::prelude::*;
use shared::db::schema::assignments;
use shared::db::{DbConnection, DbError};
use shared::domain::{AssignmentId, CustomerId, UserId, UtcTimestamp, text_enum};

use crate::assignment::Entrance;

text_enum! {
    /// Which way.
    pub enum Direction ("direction") {
        /// Into the public pool.
        Entered => "entered",
        /// Out of it, to somebody.
        Left => "left",
    }
}

/// A customer went into the public pool, or out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The change of owner that it was; later ones sort after earlier ones.
    pub id: AssignmentId,
    /// Which way.
    pub direction: Direction,
    /// Whose it was before it entered.
    pub from_user_id: Option<UserId>,
    /// Who has got it, if it left.
    pub to_user_id: Option<UserId>,
    /// On whose word; nobody's if the system did it.
    pub operator_id: Option<UserId>,
    /// Through which door. Read as text: a newer release may know more of them.
    pub entrance: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: UtcTimestamp,
}

/// The doors through which customers come that were in no pool before. The history has no column for
/// it: whatever goes to nobody goes into the pool, and whatever comes from nobody comes out of it,
/// unless it was new.
pub(super) const DOORS_OF_NEW_ONES: [Entrance; 2] = [Entrance::Create, Entrance::Import];

type Row = (
    AssignmentId,
    Option<UserId>,
    Option<UserId>,
    Option<UserId>,
    String,
    Option<String>,
    UtcTimestamp,
);

/// A page of a customer's ways in and out, newest first, and how many there are in all.
///
/// # Errors
/// What the database says.
pub fn movements(
    connection: &mut DbConnection,
    customer: &CustomerId,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Movement>, i64), DbError> {
    let of_customer = || {
        let went_out = assignments::from_user_id
            .is_null()
            .and(assignments::entrance.ne_all(DOORS_OF_NEW_ONES));
        assignments::table
            .filter(assignments::customer_id.eq(customer))
            .filter(assignments::to_user_id.is_null().or(went_out))
    };
    let total = of_customer().count().get_result(connection)?;
    let rows: Vec<Row> = of_customer()
        .order(assignments::id.desc())
        .offset(offset)
        .limit(limit)
        .select((
            assignments::id,
            assignments::from_user_id,
            assignments::to_user_id,
            assignments::assigned_by,
            assignments::entrance,
            assignments::reason,
            assignments::created_at,
        ))
        .load(connection)?;
    Ok((rows.into_iter().map(movement).collect(), total))
}

fn movement(row: Row) -> Movement {
    let (id, from_user_id, to_user_id, operator_id, entrance, reason, at) = row;
    Movement {
        id,
        direction: match to_user_id {
            None => Direction::Entered,
            Some(_) => Direction::Left,
        },
        from_user_id,
        to_user_id,
        operator_id,
        entrance,
        reason,
        at,
    }
}
