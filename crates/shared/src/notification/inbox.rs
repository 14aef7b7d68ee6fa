use std::borrow::Cow;
use std::collections::BTreeMap;

use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::feed::{self, Change};
use super::kind::Kind;
use super::notice::Notice;
use super::placeholder::render;
use super::template::Template;
use crate::db::schema::notifications;
use crate::db::{DbConnection, DbError, WriteTransaction, insert_rows};
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
#[derive(Debug, Clone, Default)]
pub struct InboxFilter {
    /// What happened; `None` for everything.
    pub kind: Option<Kind>,
    /// Read or not.
    pub read: ReadFilter,
    /// A part of the title or the text; capitals make no difference.
    pub search: Option<String>,
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

/// Writes an entry for each recipient of each notice, in these words.
pub(super) fn deposit<'a>(
    transaction: &mut WriteTransaction<'_>,
    notices: &[Notice],
    template: impl Fn(Kind) -> Cow<'a, Template>,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let entries: Vec<Notification> = notices
        .iter()
        .filter(|notice| notice.reach.has_inbox())
        .flat_map(|notice| entries_of(notice, &template(notice.kind), now))
        .collect();
    // A statement takes 65,535 values at most.
    for chunk in entries.chunks(1_000) {
        insert_rows!(transaction.connection(), notifications::table, chunk)?;
    }
    let came = entries.iter().map(|entry| Change {
        user_id: &entry.user_id,
        notification_id: Some(&entry.id),
        changed_at: now,
    });
    feed::record(transaction, &came.collect::<Vec<_>>())
}

fn entries_of(notice: &Notice, template: &Template, now: UtcTimestamp) -> Vec<Notification> {
    let data = &notice.data;
    let title = render(&template.title, data);
    let content = render(&template.content, data);
    let link = render(&template.link, data);
    let json = Value::Object(data.clone()).to_string();
    let priority = notice.terms.priority.unwrap_or(template.priority);
    let entries = notice.recipients.iter().map(|user| Notification {
        id: NotificationId::generate(),
        user_id: user.clone(),
        kind: notice.kind,
        title: title.clone(),
        content: content.clone(),
        priority,
        link: Some(link.clone()),
        data: json.clone(),
        read_at: None,
        created_at: now,
    });
    entries.collect()
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
            .filter(notifications::deleted_at.is_null())
            .into_boxed();
        if let Some(kind) = filter.kind {
            query = query.filter(notifications::kind.eq(kind));
        }
        if filter.read == ReadFilter::UnreadOnly {
            query = query.filter(notifications::read_at.is_null());
        }
        if let Some(part) = &filter.search {
            // A percent sign that somebody looks for is one.
            let pattern = format!(
                "%{}%",
                part.to_lowercase()
                    .replace('\\', "\\\\")
                    .replace('%', "\\%")
                    .replace('_', "\\_")
            );
            query = query.filter(
                lower(notifications::title)
                    .like(pattern.clone())
                    .escape('\\')
                    .or(lower(notifications::content).like(pattern).escape('\\')),
            );
        }
        query
    };
    let page = || {
        matching()
            .order(notifications::id.desc())
            .offset(offset)
            .limit(limit)
    };
    if filter.search.is_some() {
        // Whatever is looked for, every row has to be read: once is enough for page and number.
        let number_of_all = sql::<BigInt>("count(*) OVER ()");
        let found: Vec<(Notification, i64)> = page()
            .select((Notification::as_select(), number_of_all))
            .load(connection)?;
        if let Some((_, total)) = found.first() {
            let total = *total;
            let entries = found.into_iter().map(|(entry, _)| entry).collect();
            return Ok((entries, total));
        }
        if offset == 0 {
            return Ok((Vec::new(), 0));
        }
    }
    let total = matching().count().get_result(connection)?;
    let entries = page().select(Notification::as_select()).load(connection)?;
    Ok((entries, total))
}

diesel::define_sql_function! {
    /// Whether LIKE tells `a` from `A` depends on the database; with this on both sides it does not.
    fn lower(text: Text) -> Text;
}

diesel::define_sql_function! {
    /// The first that is not null.
    fn coalesce(first: Nullable<Timestamp>, second: Timestamp) -> Nullable<Timestamp>;
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

/// Some of the entries of whomsoever, oldest first.
///
/// # Errors
/// What the database says.
pub fn entries(
    connection: &mut DbConnection,
    ids: &[NotificationId],
) -> Result<Vec<Notification>, DbError> {
    let mut entries = Vec::with_capacity(ids.len());
    // A statement takes 32,766 values at most.
    for chunk in ids.chunks(1_000) {
        let found = notifications::table
            .filter(notifications::id.eq_any(chunk))
            .filter(notifications::deleted_at.is_null())
            .select(Notification::as_select());
        entries.extend(found.load::<Notification>(connection)?);
    }
    entries.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok(entries)
}

/// How many entries each of these people has not read; nobody is left out.
///
/// # Errors
/// What the database says.
pub fn unread_counts(
    connection: &mut DbConnection,
    users: &[UserId],
) -> Result<BTreeMap<UserId, i64>, DbError> {
    let mut counts: BTreeMap<UserId, i64> = users.iter().map(|user| (user.clone(), 0)).collect();
    for chunk in users.chunks(1_000) {
        let counted: Vec<(UserId, i64)> = notifications::table
            .filter(notifications::user_id.eq_any(chunk))
            .filter(notifications::read_at.is_null())
            .group_by(notifications::user_id)
            .select((notifications::user_id, count_star()))
            .load(connection)?;
        counts.extend(counted);
    }
    Ok(counts)
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
    let marked = diesel::update(unread)
        .set(notifications::read_at.eq(now))
        .execute(transaction.connection())?;
    if marked > 0 {
        feed::record_change_of(transaction, user, now)?;
    }
    Ok(marked)
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
    let marked = diesel::update(unread)
        .set(notifications::read_at.eq(now))
        .execute(transaction.connection())?;
    if marked > 0 {
        feed::record_change_of(transaction, user, now)?;
    }
    Ok(marked)
}

/// Deletes one of somebody's entries; answers whether there was one. Other people's entries are not
/// touched.
///
/// # Errors
/// What the database says.
pub fn delete(
    transaction: &mut WriteTransaction<'_>,
    user: &UserId,
    id: &NotificationId,
    now: UtcTimestamp,
) -> Result<Deletion, DbError> {
    let own = notifications::table
        .filter(notifications::user_id.eq(user))
        .filter(notifications::id.eq(id))
        .filter(notifications::deleted_at.is_null());
    // It is kept out of sight until its time is over, because the audit looks for it. What nobody
    // sees any more is not unread.
    let marks = (
        notifications::deleted_at.eq(now),
        notifications::read_at.eq(coalesce(notifications::read_at, now)),
    );
    match diesel::update(own)
        .set(marks)
        .execute(transaction.connection())?
    {
        0 => Ok(Deletion::NothingThere),
        _ => {
            feed::record_change_of(transaction, user, now)?;
            Ok(Deletion::Deleted)
        }
    }
}

/// What became of an order to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Deleted,
    /// There was none, or it is somebody else's.
    NothingThere,
}
