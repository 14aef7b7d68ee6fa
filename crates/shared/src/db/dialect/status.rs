use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

/// A condition in the words of a partial index: with the status as a parameter, neither database can know
/// that the index holds all that is asked for.
///
/// Unlike `diesel::dsl::sql`, it lets the connection keep the statement prepared. Its words are this
/// program's own, so there are few such statements.
#[derive(Debug, Clone)]
pub struct IndexedCondition(String);

/// That a message is pending.
pub(crate) fn is_pending() -> IndexedCondition {
    has_status("pending")
}

/// That a message has this status, which must be one of the words of this program and never a text from
/// outside: it becomes part of the query.
pub fn has_status(status: &'static str) -> IndexedCondition {
    IndexedCondition(format!("outbox_messages.status = '{status}'"))
}

/// That a message waits until its recipient may be disturbed again.
pub(crate) fn is_quiet() -> IndexedCondition {
    IndexedCondition(
        "(outbox_messages.status = 'pending' AND outbox_messages.quiet_until IS NOT NULL)"
            .to_owned(),
    )
}

/// That a message waits, by itself or in a digest.
pub fn is_waiting() -> IndexedCondition {
    IndexedCondition(
        "(outbox_messages.status = 'pending' OR outbox_messages.digest_id IS NOT NULL)".to_owned(),
    )
}

impl Expression for IndexedCondition {
    type SqlType = Bool;
}

impl<DB: Backend> QueryFragment<DB> for IndexedCondition {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&self.0);
        Ok(())
    }
}

impl QueryId for IndexedCondition {
    type QueryId = ();
    // The statement is kept under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Source> AppearsOnTable<Source> for IndexedCondition {}

impl<Source> SelectableExpression<Source> for IndexedCondition {}

impl<Grouping> ValidGrouping<Grouping> for IndexedCondition {
    type IsAggregate = is_aggregate::Never;
}
