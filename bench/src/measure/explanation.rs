//! A delivery during which the server writes down what it does.

use anyhow::bail;

use super::delivery::{Until, deliver};
use crate::arguments::Delivery;
use crate::plan;
use crate::server::Server;
use crate::sink::Sink;
use crate::stage::Stage;

/// Delivers what waits on a stage, and prints what the relays' statements cost and the slowest plan
/// of each.
///
/// # Errors
/// If the database has no server, its log cannot be read, or a program fails.
pub async fn explain(stage: &mut Stage, sink: &Sink, delivery: &Delivery) -> anyhow::Result<()> {
    let Some(mut server) = Server::of(stage.url())? else {
        bail!("--explain: only PostgreSQL explains its plans");
    };
    let from = server.log_length()?;
    stage.log_plans()?;
    deliver(stage, sink, delivery, Until::Arrived).await?;
    plan::print(&server.log_from(from)?, "outbox_messages");
    Ok(())
}
