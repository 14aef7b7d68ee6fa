use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use shared::db::DbConnection;

use super::TestDatabase;

impl TestDatabase {
    /// How the database would run this query of outbox messages, of which it knows how many there are;
    /// `locking` is a clause for those that lock rows.
    pub fn outbox_plan(&self, query: &str, locking: &str) -> String {
        match &mut self.connection() {
            DbConnection::Sqlite(c) => {
                let plan = format!("EXPLAIN QUERY PLAN {query}");
                let steps: Vec<Step> = diesel::sql_query(plan).load(c).unwrap();
                steps.into_iter().map(|step| step.detail).collect()
            }
            DbConnection::Postgres(c) => {
                c.batch_execute("ANALYZE outbox_messages").unwrap();
                let plan = format!("EXPLAIN {query} {locking}");
                let lines: Vec<Line> = diesel::sql_query(plan).load(c).unwrap();
                lines.into_iter().map(|line| line.line).collect()
            }
        }
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}
