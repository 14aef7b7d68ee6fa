//! Changes by hand, as somebody with access to the database can make them.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use shared::db::DbConnection;
use shared::db::schema::customers;
use shared::domain::{CustomerId, UserId};

use super::{TestDatabase, moment};

/// Puts a customer into the public pool.
pub async fn pool(database: &TestDatabase, customer: &str) {
    let customer: CustomerId = customer.parse().unwrap();
    database
        .write(move |transaction| {
            diesel::update(customers::table.find(customer))
                .set((
                    customers::in_public_pool.eq(true),
                    customers::assigned_to.eq(None::<UserId>),
                    customers::pool_entered_at.eq(moment()),
                    customers::pool_reason.eq("长期未跟进"),
                    customers::lead_level.eq("流失"),
                ))
                .execute(transaction.connection())?;
            Ok(())
        })
        .await;
}

/// From now on the database refuses new rows in this table.
pub fn refuse_inserts(database: &TestDatabase, table: &str) {
    let mut connection = database.connection();
    let sql = match connection {
        DbConnection::Sqlite(_) => format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused by a test'); END;"
        ),
        DbConnection::Postgres(_) => format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'refused by a test'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();"
        ),
    };
    connection.batch_execute(&sql).unwrap();
}

/// From now on, until this connection commits, answers come and cannot be written down.
pub fn keep_settlements_waiting(connection: &mut DbConnection) {
    let sql = match connection {
        DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
        DbConnection::Postgres(_) => "BEGIN; LOCK TABLE outbox_messages IN EXCLUSIVE MODE",
    };
    connection.batch_execute(sql).unwrap();
}
