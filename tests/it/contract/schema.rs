//! What the queries believe about the tables is what both databases have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use shared::db::DbConnection;

use crate::harness::{TestDatabase, on_each_database};

on_each_database! {
    every_table_and_column_exists_with_a_compatible_type,
    every_id_column_sorts_by_its_bytes,
}

/// `table.column` → its type, `NULL` allowed or not.
type Columns = BTreeMap<String, Column>;

#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: &'static str,
    nullable: bool,
}

async fn every_table_and_column_exists_with_a_compatible_type(database: &TestDatabase) {
    let believed = believed();
    assert!(believed.len() > 100, "{} columns", believed.len());
    assert_eq!(believed, existing(&mut database.connection()));
}

/// Ids are compared in memory as well as in queries; both must agree on the order.
async fn every_id_column_sorts_by_its_bytes(database: &TestDatabase) {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let mut connection = database.connection();
    let DbConnection::Postgres(_) = connection else {
        return; // Compares bytes unless told otherwise.
    };
    let columns: Vec<Row> = diesel::sql_query(
        "SELECT c.table_name || '.' || c.column_name AS name FROM information_schema.columns AS c \
         JOIN information_schema.tables AS t USING (table_schema, table_name) \
         WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.collation_name IS DISTINCT FROM 'C' AND ( \
             c.column_name = 'id' OR c.column_name IN ('user_id', 'message_id', 'customer_id', 'recipient_id'))",
    )
    .load(&mut connection)
    .unwrap();
    let names: Vec<String> = columns.into_iter().map(|row| row.name).collect();
    assert_eq!(names, [""; 0], "without COLLATE \"C\"");
}

/// Reads the table definitions of the code.
fn believed() -> Columns {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/shared/src/db/schema.rs");
    let text = fs::read_to_string(file).unwrap();
    let mut columns = Columns::new();
    let mut table = None;
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|l| l.split_once(" (")) {
            table = Some(name);
        } else if let (Some(table), Some((column, kind))) = (table, line.split_once(" -> ")) {
            let kind = kind.trim_end_matches(',');
            let inner = kind
                .strip_prefix("Nullable<")
                .and_then(|k| k.strip_suffix('>'));
            let column_type = Column {
                kind: known_type(inner.unwrap_or(kind)),
                nullable: inner.is_some(),
            };
            columns.insert(format!("{table}.{column}"), column_type);
        }
    }
    columns
}

fn known_type(name: &str) -> &'static str {
    match name {
        "Text" | "TEXT" | "text" => "Text",
        "Bool" | "BOOLEAN" | "boolean" => "Bool",
        "SmallInt" | "SMALLINT" | "smallint" => "SmallInt",
        "Integer" | "INTEGER" | "integer" => "Integer",
        "BigInt" | "BIGINT" | "bigint" => "BigInt",
        "Timestamp" | "TIMESTAMP" | "timestamp without time zone" => "Timestamp",
        other => panic!("a column of type {other}, which is not one of the portable ones"),
    }
}

fn existing(connection: &mut DbConnection) -> Columns {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = Bool)]
        nullable: bool,
    }
    let sql = match connection {
        // A primary key may be null there, for historical reasons; nobody makes use of it.
        DbConnection::Sqlite(_) => {
            // A primary key that is an INTEGER is the number of the row, which has 64 bits.
            "SELECT t.name || '.' || c.name AS name, iif(c.pk AND c.type = 'INTEGER', 'BIGINT', c.type) AS kind, \
             NOT (c.\"notnull\" OR c.pk) AS nullable FROM sqlite_master AS t, pragma_table_info(t.name) AS c \
             WHERE t.type = 'table' AND t.name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence')"
        }
        DbConnection::Postgres(_) => {
            "SELECT table_name || '.' || column_name AS name, data_type::text AS kind, is_nullable = 'YES' AS nullable \
             FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' \
             AND table_name <> '__diesel_schema_migrations'"
        }
    };
    let rows: Vec<Row> = diesel::sql_query(sql).load(connection).unwrap();
    let names: BTreeSet<&String> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len());
    rows.into_iter()
        .map(|row| {
            let column = Column {
                kind: known_type(&row.kind),
                nullable: row.nullable,
            };
            (row.name, column)
        })
        .collect()
}
