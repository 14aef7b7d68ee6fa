use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::inbox::NotificationPriority;
use super::kind::Kind;
use crate::db::schema::notifications;
use crate::db::{DbConnection, DbError};
use crate::domain::{NotificationId, UserId, UtcTimestamp};

/// How many entries somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxCount {
    /// All.
    pub total: i64,
    /// Those not read.
    pub unread: i64,
    /// Those that came today.
    pub today: i64,
}

/// What is counted together.
pub type InboxCell = (Kind, NotificationPriority);

/// How many entries somebody has of each kind and priority; the present day began at `day_began_at`.
///
/// # Errors
/// What the database says.
pub fn inbox_summary(
    connection: &mut DbConnection,
    user: &UserId,
    day_began_at: UtcTimestamp,
) -> Result<BTreeMap<InboxCell, InboxCount>, DbError> {
    let of_user = || {
        notifications::table
            .filter(notifications::user_id.eq(user))
            .filter(notifications::deleted_at.is_null())
            .group_by((notifications::kind, notifications::priority))
            .select(((notifications::kind, notifications::priority), count_star()))
    };
    let mut summary: BTreeMap<InboxCell, InboxCount> = BTreeMap::new();
    let all: Vec<(InboxCell, i64)> = of_user().load(connection)?;
    for (cell, count) in all {
        summary.entry(cell).or_default().total = count;
    }
    let unread: Vec<(InboxCell, i64)> = of_user()
        .filter(notifications::read_at.is_null())
        .load(connection)?;
    for (cell, count) in unread {
        summary.entry(cell).or_default().unread = count;
    }
    // By the id, which has an index; it has the moment in it.
    let today: Vec<(InboxCell, i64)> = of_user()
        .filter(notifications::id.ge(NotificationId::earliest_at(day_began_at)))
        .load(connection)?;
    for (cell, count) in today {
        summary.entry(cell).or_default().today = count;
    }
    Ok(summary)
}
