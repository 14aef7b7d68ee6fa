use std::time::Duration;

use diesel::connection::SimpleConnection;
use shared::db::DbConnection;

use crate::harness::{Drain, TestDatabase, lasting, on_each_database, stop_well};

on_each_database!(a_database_that_keeps_all_writers_waiting_costs_nothing);

/// Twice the silence after which a relay is taken for dead.
const OUTAGE: Duration = Duration::from_secs(10);

/// Everything that is written has to wait: a foreign writer, or a server that fails over.
fn hold_all_writing(connection: &mut DbConnection) {
    let sql = match connection {
        DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
        DbConnection::Postgres(_) => "BEGIN; LOCK TABLE relays, outbox_messages IN EXCLUSIVE MODE",
    };
    connection.batch_execute(sql).unwrap();
}

async fn a_database_that_keeps_all_writers_waiting_costs_nothing(database: &TestDatabase) {
    let drain = Drain::on(database).await;
    let relays = [(); 2].map(|()| drain.relay(&[]));
    drain.until_under_way().await;
    let mut connection = database.connection();
    let mut incident = drain.incident("written to by a foreign transaction for 10 s");
    hold_all_writing(&mut connection);
    lasting(OUTAGE).await;
    connection.batch_execute("COMMIT").unwrap();
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well(relays);
}
