//! Access tokens that end before their time, under load.

use crate::harness::{Drain, TestDatabase, on_each_database, stop_well};

on_each_database!(tokens_that_rotate_under_load_cost_nothing);

/// How often all tokens expire.
const ROTATIONS: usize = 5;
/// What is accepted in between.
const BETWEEN: usize = 50;

async fn tokens_that_rotate_under_load_cost_nothing(database: &TestDatabase) {
    let mut drain = Drain::on(database).await;
    let relays = [(); 2].map(|()| drain.relay(&[]));
    drain.until_under_way().await;
    let mut incident = drain.incident("the token rotates five times, under load");
    for _ in 0..ROTATIONS {
        // However fast they are, there is something left.
        drain.assign(2 * BETWEEN).await;
        drain.stage.sandbox.expire_tokens();
        drain.until_more_are_accepted(BETWEEN).await;
    }
    incident.is_over();
    drain.close_books(&incident).await;
    stop_well(relays);
}
