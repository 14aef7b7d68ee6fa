use diesel::Connection;
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use serde::Serialize;

use super::Status;
use crate::db::schema::outbox_messages;
use crate::db::{DbConnection, dialect};
use crate::domain::{Channel, OutboxMessageId, RecipientId, RequestId, UtcTimestamp};

/// Which messages are meant; everything not given matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListFilter {
    /// Where they stand.
    pub status: Option<Status>,
    /// How they go out.
    pub channel: Option<Channel>,
    /// What happened.
    pub kind: Option<String>,
    /// To whom.
    pub recipient_id: Option<RecipientId>,
    /// What the platform said last.
    pub errcode: Option<i64>,
    /// Enqueued before this moment.
    pub created_before: Option<UtcTimestamp>,
    /// Enqueued at this moment or after it.
    pub created_after: Option<UtcTimestamp>,
    /// With this in the payload or in the last error, upper and lower case of Latin letters alike.
    pub text: Option<String>,
    /// Caused by this request.
    pub request_id: Option<RequestId>,
    /// About this: `customer:<id>`.
    pub subject: Option<String>,
    /// Told in this digest.
    pub digest_id: Option<OutboxMessageId>,
    /// Only messages made before this one: the last of the page before.
    #[serde(skip)]
    pub before: Option<OutboxMessageId>,
}

pub(super) type MessageQuery =
    outbox_messages::BoxedQuery<'static, <DbConnection as Connection>::Backend>;

diesel::define_sql_function! {
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

impl ListFilter {
    /// Whether nothing is asked for, so that every message matches.
    pub fn matches_all(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn query(&self) -> MessageQuery {
        let mut query = outbox_messages::table.into_boxed();
        if let Some(status) = self.status {
            query = query.filter(dialect::has_status(status.as_str()));
        }
        if let Some(channel) = self.channel {
            query = query.filter(outbox_messages::channel.eq(channel));
        }
        if let Some(kind) = self.kind.clone() {
            query = query.filter(outbox_messages::kind.eq(kind));
        }
        if let Some(recipient_id) = self.recipient_id.clone() {
            query = query.filter(outbox_messages::recipient_id.eq(recipient_id));
        }
        if let Some(errcode) = self.errcode {
            query = query.filter(outbox_messages::last_errcode.eq(errcode));
        }
        if let Some(moment) = self.created_before {
            query = query.filter(outbox_messages::created_at.lt(moment));
        }
        if let Some(moment) = self.created_after {
            query = query.filter(outbox_messages::created_at.ge(moment));
        }
        if let Some(part) = &self.text {
            let pattern = || {
                let pattern = pattern_containing(part);
                lower(AsExpression::<Nullable<Text>>::as_expression(pattern))
            };
            query = query.filter(
                lower(outbox_messages::payload.nullable())
                    .like(pattern())
                    .escape('\\')
                    .or(lower(outbox_messages::last_error)
                        .like(pattern())
                        .escape('\\')),
            );
        }
        if let Some(request_id) = self.request_id.clone() {
            query = query.filter(outbox_messages::request_id.eq(request_id));
        }
        if let Some(subject) = self.subject.clone() {
            query = query.filter(outbox_messages::subject.eq(subject));
        }
        if let Some(digest) = self.digest_id.clone() {
            query = query.filter(outbox_messages::digest_id.eq(digest));
        }
        if let Some(before) = self.before.clone() {
            query = query.filter(outbox_messages::id.lt(before));
        }
        query
    }
}

/// A LIKE pattern that finds `part` as it is, also if it has a `%` in it.
fn pattern_containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_that_mean_something_to_like_are_found_as_they_are() {
        assert_eq!(pattern_containing("100%_\\"), "%100\\%\\_\\\\%");
    }

    #[test]
    fn a_filter_without_a_wish_matches_all() {
        assert!(ListFilter::default().matches_all());
        let failed = ListFilter {
            errcode: Some(0),
            ..ListFilter::default()
        };
        assert!(!failed.matches_all());
    }
}
