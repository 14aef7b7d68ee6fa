use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::db::Database;
use shared::notification::{Pruned, prune_inboxes};
use tokio::time::sleep;

/// How long between two looks for what is old.
const PAUSE: Duration = Duration::from_secs(60);

/// How many rows one transaction deletes: short enough that nobody notices.
const BATCH_MAX: usize = 500;

/// How long it waits between two batches while there is more.
const BREATH: Duration = Duration::from_millis(50);

/// Clears notifications away that are older than `keep`, for as long as the process runs. Of several
/// processes that want to at the same moment, one does.
pub(crate) async fn prune_for_ever(database: Database, clock: Arc<dyn Clock>, keep: Duration) {
    loop {
        sleep(PAUSE).await;
        let mut pruned = 0;
        let done = loop {
            let now = clock.now();
            let batch = database
                .write(move |transaction| prune_inboxes(transaction, keep, BATCH_MAX, now))
                .await;
            match batch {
                Ok(Pruned::Some(rows)) => pruned += rows,
                Ok(Pruned::All(rows)) => break Ok(pruned + rows),
                Ok(Pruned::ElsewhereUnderWay) => break Ok(pruned),
                Err(error) => break Err(error),
            }
            sleep(BREATH).await;
        };
        match done {
            Ok(0) => {}
            Ok(pruned) => log::info!(notifications = pruned; "deleted {pruned} old notifications"),
            Err(error) => log::warn!("old notifications could not be deleted: {error}"),
        }
    }
}
