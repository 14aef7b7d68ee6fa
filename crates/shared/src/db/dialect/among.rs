use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, Text};
use serde::Serialize;

use crate::db::DbConnection;

/// That a text is one of some texts.
#[derive(Debug, Clone)]
pub struct Among<E> {
    text: E,
    /// As a JSON array.
    list: String,
    /// What stands before the list, and what behind it.
    around: (&'static str, &'static str),
}

/// That a column of texts has one of these values: what `eq_any` says, as one parameter, so that the
/// connection keeps the statement prepared however many there are.
///
/// For what is asked all the time. (`eq_any` is a parameter for each on SQLite, and parsed anew each time;
/// PostgreSQL plans its array anew. With inserts and updates, reading statements anew was a quarter of an
/// assignment on SQLite.)
pub fn among<E, T: Serialize>(
    connection: &DbConnection,
    text: E,
    values: impl IntoIterator<Item = T>,
) -> Among<E> {
    let values: Vec<T> = values.into_iter().collect();
    let around = match connection {
        DbConnection::Postgres(_) => (
            " = ANY (ARRAY(SELECT json_array_elements_text(",
            "::json)))",
        ),
        DbConnection::Sqlite(_) => (" IN (SELECT value FROM json_each(", "))"),
    };
    Among {
        text,
        list: serde_json::json!(values).to_string(),
        around,
    }
}

impl<E: Expression> Expression for Among<E> {
    type SqlType = Bool;
}

impl<E, DB> QueryFragment<DB> for Among<E>
where
    DB: Backend + HasSqlType<Text>,
    E: QueryFragment<DB>,
    String: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let (before, behind) = self.around;
        self.text.walk_ast(out.reborrow())?;
        out.push_sql(before);
        out.push_bind_param::<Text, _>(&self.list)?;
        out.push_sql(behind);
        Ok(())
    }
}

impl<E> QueryId for Among<E> {
    type QueryId = ();
    // The statement is kept under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<E: AppearsOnTable<Source>, Source> AppearsOnTable<Source> for Among<E> {}

impl<E: SelectableExpression<Source>, Source> SelectableExpression<Source> for Among<E> {}

impl<E, Grouping> ValidGrouping<Grouping> for Among<E> {
    type IsAggregate = is_aggregate::Never;
}
