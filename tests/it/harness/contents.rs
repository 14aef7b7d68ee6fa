//! Everything that is in a database, to tell whether something was written.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::{DbConnection, DbError};

use super::TestDatabase;

/// Every row of every table, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, Vec<String>>);

impl Contents {
    /// The tables that hold something else than `earlier`, with their rows then and now.
    pub fn changed_since(&self, earlier: &Self) -> Vec<String> {
        let changed = self
            .0
            .iter()
            .filter(|(table, rows)| earlier.0[*table] != **rows);
        let told = changed.map(|(table, rows)| {
            format!(
                "{table}: {} rows, now {}",
                earlier.0[table].len(),
                rows.len()
            )
        });
        told.collect()
    }
}

impl TestDatabase {
    /// What is in it now.
    pub async fn contents(&self) -> Contents {
        self.read(|connection| {
            let tables = columns(connection)?;
            let rows = tables.into_iter().map(|(table, columns)| {
                let rows = rows(connection, &table, &columns)?;
                Ok((table, rows))
            });
            rows.collect::<Result<_, DbError>>().map(Contents)
        })
        .await
    }

    /// Whether a text stands anywhere in it.
    pub async fn contains(&self, text: &str) -> bool {
        let contents = self.contents().await;
        contents.0.values().flatten().any(|row| row.contains(text))
    }

    /// Fails the test if anything was written since.
    pub async fn assert_unchanged_since(&self, before: &Contents) {
        let changed = self.contents().await.changed_since(before);
        assert_eq!(changed, [""; 0], "something was written");
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The columns of every table, in the same order every time.
fn columns(connection: &mut DbConnection) -> Result<BTreeMap<String, Vec<String>>, DbError> {
    let query = match connection {
        DbConnection::Sqlite(_) => {
            "SELECT t.name || '.' || c.name AS line FROM sqlite_master AS t, \
             pragma_table_info(t.name) AS c WHERE t.type = 'table' ORDER BY 1"
        }
        DbConnection::Postgres(_) => {
            "SELECT table_name || '.' || column_name AS line FROM information_schema.columns \
             WHERE table_schema = current_schema() ORDER BY 1"
        }
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Line { line } in diesel::sql_query(query).load(connection)? {
        let (table, column) = line.split_once('.').unwrap();
        tables
            .entry(table.to_owned())
            .or_default()
            .push(column.to_owned());
    }
    Ok(tables)
}

fn rows(
    connection: &mut DbConnection,
    table: &str,
    columns: &[String],
) -> Result<Vec<String>, DbError> {
    let values: Vec<String> = columns
        .iter()
        .map(|column| format!("'{column}=' || COALESCE(CAST(\"{column}\" AS TEXT), 'NULL')"))
        .collect();
    let query = format!(
        "SELECT {} AS line FROM {table} ORDER BY 1",
        values.join(" || ' ' || ")
    );
    let rows: Vec<Line> = diesel::sql_query(query).load(connection)?;
    Ok(rows.into_iter().map(|row| row.line).collect())
}
