use std::marker::PhantomData;

use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::deserialize::QueryableByName;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::row::NamedRow;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A statement in the database's own words, with its parameters by name: `{channel}`. Its rows are
/// read by the names of their columns.
///
/// The connection keeps it prepared. (`diesel::sql_query` is parsed and planned anew at each use:
/// two thirds of the time of a settlement on SQLite when measured, and a round trip more on
/// PostgreSQL.) Its text must therefore be one of a few.
pub(super) struct Statement<B> {
    text: &'static str,
    values: B,
}

impl Statement<()> {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, values: () }
    }
}

impl<B> Statement<B> {
    /// The value of a parameter, and its type in the database.
    pub(super) fn bind<ST, V>(self, name: &'static str, value: V) -> Statement<Bound<B, ST, V>> {
        Statement {
            text: self.text,
            values: Bound {
                others: self.values,
                name,
                value,
                sql_type: PhantomData,
            },
        }
    }
}

/// One value more.
pub(super) struct Bound<B, ST, V> {
    others: B,
    name: &'static str,
    value: V,
    sql_type: PhantomData<ST>,
}

/// Values that can be found by their names.
pub(super) trait Values<DB: Backend> {
    fn push<'b>(&'b self, name: &str, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

impl<DB: Backend> Values<DB> for () {
    fn push<'b>(&'b self, name: &str, _: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let missing = format!("the statement has no value for {{{name}}}");
        Err(DieselError::QueryBuilderError(missing.into()))
    }
}

impl<DB, B, ST, V> Values<DB> for Bound<B, ST, V>
where
    DB: Backend + HasSqlType<ST>,
    B: Values<DB>,
    V: ToSql<ST, DB>,
{
    fn push<'b>(&'b self, name: &str, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if name == self.name {
            out.push_bind_param(&self.value)
        } else {
            self.others.push(name, out)
        }
    }
}

impl<DB: Backend, B: Values<DB>> QueryFragment<DB> for Statement<B> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut parts = self.text.split('{');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            self.values.push(name, &mut out)?;
            out.push_sql(rest);
        }
        Ok(())
    }
}

impl<B> QueryId for Statement<B> {
    type QueryId = ();
    // Kept under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<B> Query for Statement<B> {
    type SqlType = Untyped;
}

impl<B, Connection> RunQueryDsl<Connection> for Statement<B> {}

/// An update or insert whose statement the connection keeps prepared.
pub struct KeptPrepared<Q>(Q);

/// Lets the connection keep the statement of an update or of an insert of several rows, which it would
/// otherwise read and plan anew each time: a changeset may leave columns out, the number of rows is part
/// of the text, and there could be any number of statements. For those whose text is one of a few, on a
/// connection to one of the databases (`each_backend!`).
pub fn keep_prepared<Q>(statement: Q) -> KeptPrepared<Q> {
    KeptPrepared(statement)
}

impl<Q> KeptPrepared<Q> {
    /// Runs it.
    ///
    /// # Errors
    /// What the database says.
    pub fn run<'query, C>(self, connection: &mut C) -> QueryResult<()>
    where
        Self: LoadQuery<'query, C, NoColumns>,
    {
        // As a query, because what is only executed is asked by reference, and then diesel asks the
        // statement inside whether it may be kept.
        let _: Vec<NoColumns> = self.load(connection)?;
        Ok(())
    }

    /// Runs it, and answers how many rows it wrote. An insert must have a row.
    ///
    /// # Errors
    /// What the database says.
    pub fn count<'query, C>(self, connection: &mut C) -> QueryResult<usize>
    where
        KeptPrepared<ReturningRows<Q>>: LoadQuery<'query, C, NoColumns>,
    {
        let returning: Vec<NoColumns> = KeptPrepared(ReturningRows(self.0)).load(connection)?;
        Ok(returning.len())
    }
}

/// A statement that answers something for each row it writes, so that these can be counted: a query
/// answers rows and not their number.
pub struct ReturningRows<Q>(Q);

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for ReturningRows<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" RETURNING 1");
        Ok(())
    }
}

/// A row of which nothing is read.
pub struct NoColumns;

impl<DB: Backend> QueryableByName<DB> for NoColumns {
    fn build<'row>(_: &impl NamedRow<'row, DB>) -> diesel::deserialize::Result<Self> {
        Ok(Self)
    }
}

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for KeptPrepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for KeptPrepared<Q> {
    type QueryId = ();
    // Kept under its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for KeptPrepared<Q> {
    type SqlType = Untyped;
}

impl<Q, Connection> RunQueryDsl<Connection> for KeptPrepared<Q> {}
