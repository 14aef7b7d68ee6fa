use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::catalogue::catalogue_entry;
use super::kind::Kind;
use super::notice::Notice;
use super::template::render;
use crate::db::schema::notifications;
use crate::db::{DbConnection, DbError, WriteTransaction, each_backend};
use crate::domain::{NotificationId, UserId, UtcTimestamp, text_enum};
use crate::outbox::Priority;

text_enum! {
    /// How urgent a notification is.
    pub enum NotificationPriority ("notification priority") {
        /// Act now.
        High => "high",
        /// The usual.
        Medium => "medium",
        /// When there is time.
        Low => "low",
    }
}

impl From<NotificationPriority> for Priority {
    fn from(priority: NotificationPriority) -> Self {
        match priority {
            NotificationPriority::High => Self::High,
            NotificationPriority::Medium => Self::Medium,
            NotificationPriority::Low => Self::Low,
        }
    }
}

/// An entry in somebody's notification centre.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = notifications, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Which entry; later ones sort after earlier ones.
    pub id: NotificationId,
    /// Whose.
    #[serde(skip)]
    pub user_id: UserId,
    /// What happened.
    pub kind: Kind,
    /// The headline.
    pub title: String,
    /// The text.
    pub content: String,
    /// How urgent.
    pub priority: NotificationPriority,
    /// Where a click leads.
    pub link: Option<String>,
    /// The data behind the text, JSON.
    #[serde(serialize_with = "as_json")]
    pub data: String,
    /// When its owner read it.
    pub read_at: Option<UtcTimestamp>,
    /// When it was written.
    pub created_at: UtcTimestamp,
}

fn as_json<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<Value>(text)
        .unwrap_or(Value::Null)
        .serialize(serializer)
}

/// Which entries to show.
#[derive(Debug, Clone, Copy, Default)]
pub struct InboxFilter {
    /// What happened; `None` for everything.
    pub kind: Option<Kind>,
    /// Read or not.
    pub read: ReadFilter,
}

/// Whether entries already read are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFilter {
    /// Read and unread.
    #[default]
    All,
    /// Only those not read yet.
    UnreadOnly,
}

/// Writes an entry for each recipient of each notice.
pub(super) fn deposit(
    transaction: &mut WriteTransaction<'_>,
    notices: &[Notice],
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let entries: Vec<Notification> = notices
        .iter()
        .flat_map(|notice| entries_of(notice, now))
        .collect();
    // A statement takes 32,766 values at most.
    for chunk in entries.chunks(1_000) {
        each_backend!(transaction.connection(), |c| diesel::insert_into(
            notifications::table
        )
        .values(chunk)
        .execute(c))?;
    }
    Ok(())
}

fn entries_of(notice: &Notice, now: UtcTimestamp) -> impl Iterator<Item = Notification> {
    let entry = catalogue_entry(notice.kind);
    let data = &notice.data;
    notice.recipients.iter().map(move |user| Notification {
        id: NotificationId::generate(),
        user_id: user.clone(),
        kind: notice.kind,
        title: render(entry.title, data),
        content: render(entry.content, data),
        priority: entry.priority,
        link: Some(render(entry.link, data)),
        data: Value::Object(data.clone()).to_string(),
        read_at: None,
        created_at: now,
    })
}

/// A page of somebody's entries, newest first, and how many there are in all.
///
/// # Errors
/// What the database says.
pub fn inbox(
    connection: &mut DbConnection,
    user: &UserId,
    filter: &InboxFilter,
    offset: i64,
    limit: i64,
) -> Result<(Vec<Notification>, i64), DbError> {
    let matching = || {
        let mut query = notifications::table
            .filter(notifications::user_id.eq(user.clone()))
            .into_boxed();
        if let Some(kind) = filter.kind {
            query = query.filter(notifications::kind.eq(kind));
        }
        if filter.read == ReadFilter::UnreadOnly {
            query = query.filter(notifications::read_at.is_null());
        }
        query
    };
    let total = matching().count().get_result(connection)?;
    let entries = matching()
        .order(notifications::id.desc())
        .offset(offset)
        .limit(limit)
        .select(Notification::as_select())
        .load(connection)?;
    Ok((entries, total))
}

/// How many entries somebody has not read.
///
/// # Errors
/// What the database says.
pub fn unread_count(connection: &mut DbConnection, user: &UserId) -> Result<i64, DbError> {
    Ok(notifications::table
        .filter(notifications::user_id.eq(user))
        .filter(notifications::read_at.is_null())
        .count()
        .get_result(connection)?)
}

/// Marks some of somebody's entries as read; answers how many were unread. Other people's entries
/// are not touched.
///
/// # Errors
/// What the database says.
pub fn mark_read(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    ids: &[NotificationId],
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let unread = notifications::table
        .filter(notifications::user_id.eq(user))
        .filter(notifications::id.eq_any(ids))
        .filter(notifications::read_at.is_null());
    Ok(diesel::update(unread)
        .set(notifications::read_at.eq(now))
        .execute(transaction.connection())?)
}

/// Marks all of somebody's entries as read; answers how many were unread.
///
/// # Errors
/// What the database says.
pub fn mark_all_read(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let unread = notifications::table
        .filter(notifications::user_id.eq(user))
        .filter(notifications::read_at.is_null());
    Ok(diesel::update(unread)
        .set(notifications::read_at.eq(now))
        .execute(transaction.connection())?)
}
