use std::sync::Arc;
use std::time::Duration;

use shared::db::DbError;
use shared::outbox::prune;

use crate::context::Context;

/// How often old messages are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Rows of one status deleted in one transaction: it lasts milliseconds, and claims go on between
/// two of them.
const PRUNED_AT_ONCE: usize = 500;

/// After a full batch the next one follows after this, so that a million old rows are gone within
/// minutes and nobody notices.
const BATCHES_APART: Duration = Duration::from_millis(50);

/// Deletes messages that were finished long ago. Every relay does; they pass over each other's rows.
/// Ends when the relay has finished.
pub(crate) async fn prune_messages(context: Arc<Context>) {
    let mut pruned = 0;
    loop {
        let pause = match prune_batch(&context).await {
            Ok(batch) => {
                pruned += batch;
                if batch >= PRUNED_AT_ONCE {
                    BATCHES_APART
                } else {
                    if pruned > 0 {
                        log::info!(count = pruned; "deleted {pruned} messages that were finished long ago");
                    }
                    pruned = 0;
                    context.jittered(PRUNE_EVERY)
                }
            }
            Err(error) => {
                log::debug!("old messages could not be deleted, trying again later: {error}");
                context.jittered(PRUNE_EVERY)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.stopping.cancelled() => return,
        }
    }
}

async fn prune_batch(context: &Context) -> Result<usize, DbError> {
    let (retention, now) = (context.config.retention(), context.clock.now());
    context
        .database
        .write(move |transaction| prune(transaction, retention, PRUNED_AT_ONCE, now))
        .await
}
