use diesel::prelude::*;
use serde_json::{Map, Value, json};
use shared::db::schema::users;
use shared::db::{DbError, WriteTransaction};
use shared::domain::{RequestId, Role, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, Reach, Terms, notify};

use crate::assignment::Telling;

/// That there is a new customer, or many at once.
#[derive(Debug, Clone)]
pub struct NewsOfCustomers {
    /// What is known of it or them, for the texts. Phone numbers masked.
    pub data: Map<String, Value>,
    /// What it is about: `customer:<id>`; nothing if they are many.
    pub subject: Option<String>,
    /// Who or what brought them.
    pub creator_name: String,
    /// The request that brought them.
    pub request_id: RequestId,
}

/// Tells every admin and manager that there are new customers, except the one who brought them.
///
/// # Errors
/// What the database says.
pub fn tell_managers(
    transaction: &mut WriteTransaction<'_>,
    news: NewsOfCustomers,
    except: Option<&UserId>,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let mut recipients = managers(transaction)?;
    recipients.retain(|manager| Some(manager) != except);
    let mut data = news.data;
    data.insert("creatorName".to_owned(), json!(news.creator_name));
    data.insert("time".to_owned(), json!(telling.time_text(now)));
    let notice = Notice {
        kind: Kind::CustomerCreated,
        recipients,
        data,
        subject: news.subject,
        reach: Reach::AllChannels,
        terms: Terms::default(),
        request_id: Some(news.request_id),
    };
    notify(transaction, &notice, telling.channels, now)
}

/// The admins and managers at work.
///
/// # Errors
/// What the database says.
pub fn managers(transaction: &mut WriteTransaction<'_>) -> Result<Vec<UserId>, DbError> {
    Ok(users::table
        .filter(users::role.eq_any([Role::Admin, Role::Manager]))
        .filter(users::active.eq(true))
        .order(users::id)
        .select(users::id)
        .load(transaction.connection())?)
}
