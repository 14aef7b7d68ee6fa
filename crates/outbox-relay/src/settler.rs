use std::sync::Arc;
use std::time::Duration;

use shared::db::DbError;
use shared::outbox::{Settled, Settlement, settle};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::dispatcher::FinishedMessage;

/// A batch is written when it has this many …
const BATCH_MAX: usize = 500;
/// … or this long after its first one: one statement then serves many messages, and nobody waits. What
/// came while the batch before was written has waited already.
const BATCH_WAIT: Duration = Duration::from_millis(4);

/// Between two tries while the database is away.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// Writes what became of the messages, in batches. The only place that does: whatever is recorded
/// has happened before. Ends when all dispatchers have ended and everything is written; answers how many
/// messages took over from others.
pub(crate) async fn settle_messages(
    context: Arc<Context>,
    mut finished: mpsc::UnboundedReceiver<FinishedMessage>,
) -> usize {
    let mut fallbacks = 0;
    let mut batch = Vec::new();
    let mut has_waited = false;
    while finished.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if batch.len() < BATCH_MAX && !has_waited {
            gather_more(&mut finished, &mut batch).await;
        }
        let (settlements, unsettled): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|message: FinishedMessage| (message.settlement, message.unsettled))
            .unzip();
        fallbacks += settle_batch(&context, settlements).await;
        drop(unsettled);
        has_waited = !finished.is_empty();
    }
    fallbacks
}

async fn gather_more(
    finished: &mut mpsc::UnboundedReceiver<FinishedMessage>,
    batch: &mut Vec<FinishedMessage>,
) {
    let deadline = tokio::time::Instant::now() + BATCH_WAIT;
    while batch.len() < BATCH_MAX {
        let room = BATCH_MAX - batch.len();
        match tokio::time::timeout_at(deadline, finished.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Writes a batch; what the database refuses in it is written one by one, so that one settlement
/// cannot stop the others. Answers how many messages took over from others.
async fn settle_batch(context: &Context, settlements: Vec<Settlement>) -> usize {
    let settlements: Arc<[Settlement]> = settlements.into();
    match settle_while_away(context, Arc::clone(&settlements)).await {
        Ok(fallbacks) => return fallbacks,
        Err(refusal) if settlements.len() > 1 => {
            log::warn!("a batch of settlements was refused, writing them one by one: {refusal}");
        }
        Err(refusal) => {
            report_refusal(&settlements, &refusal);
            return 0;
        }
    }
    let mut fallbacks = 0;
    for settlement in settlements.iter() {
        let alone: Arc<[Settlement]> = Arc::new([settlement.clone()]);
        match settle_while_away(context, Arc::clone(&alone)).await {
            Ok(count) => fallbacks += count,
            Err(refusal) => report_refusal(&alone, &refusal),
        }
    }
    fallbacks
}

fn report_refusal(settlements: &[Settlement], refusal: &DbError) {
    for settlement in settlements {
        let id = &settlement.message.id;
        log::error!(outbox_id:% = id; "message {id} could not be settled, its lease will run out: {refusal}");
    }
}

/// Tries until it is written: the messages are out, and an unwritten settlement would send them
/// again. After a stop, until the grace period is over. Answers how many messages took over from others.
///
/// # Errors
/// If the database is there and refuses.
async fn settle_while_away(
    context: &Context,
    settlements: Arc<[Settlement]>,
) -> Result<usize, DbError> {
    loop {
        match settle_once(context, Arc::clone(&settlements)).await {
            Ok(settled) => {
                context.health.database_works();
                report(context, &settled);
                return Ok(settled.fallbacks.len());
            }
            Err(error @ DbError::Unavailable(_)) => context.health.database_failed(&error),
            Err(refusal) => return Err(refusal),
        }
        let pause = tokio::time::sleep(context.jittered(OUTAGE_PAUSE));
        tokio::select! {
            () = pause => {}
            () = context.grace_over.cancelled() => {
                log::error!(count = settlements.len(); "{} settlements could not be written before the stop; their leases will run out", settlements.len());
                return Ok(0);
            }
        }
    }
}

async fn settle_once(
    context: &Context,
    settlements: Arc<[Settlement]>,
) -> Result<Settled, DbError> {
    let relay = context.name.clone();
    let now = context.clock.now();
    context
        .database
        .write(move |transaction| settle(transaction, &relay, &settlements, now))
        .await
}

fn report(context: &Context, settled: &Settled) {
    for fallback in &settled.fallbacks {
        let (from, to) = (fallback.from.as_str(), fallback.to.as_str());
        let cause = fallback.cause.as_str();
        context
            .metrics
            .fallbacks
            .with_label_values(&[from, to, cause])
            .inc();
        log::debug!(outbox_id:% = fallback.of, channel = from, cause; "message {} goes on as {} on {to}: {cause}", fallback.of, fallback.id);
    }
    if !settled.leases_lost.is_empty() {
        let count = settled.leases_lost.len();
        context.metrics.leases_lost.inc_by(count as u64);
        log::warn!(count; "{count} messages were settled after their lease had passed to another relay");
    }
}
