use shared::db::DbError;
use shared::outbox::{Reclaimed, cancel_expired, reclaim_over};

use crate::context::Context;

/// Rows taken back or cancelled in one go: a short transaction, and the next second goes on.
const RESCUED_AT_ONCE: usize = 1_000;

struct Rescue {
    reclaimed: Reclaimed,
    expired: usize,
}

/// Takes back what other relays have left, and cancels what has expired.
pub(crate) async fn rescue_messages(context: &Context) {
    match rescue(context).await {
        Ok(rescue) => report(context, &rescue),
        Err(error) => log::error!("messages of lost relays could not be taken back: {error}"),
    }
}

async fn rescue(context: &Context) -> Result<Rescue, DbError> {
    let now = context.clock.now();
    context
        .database
        .write(move |transaction| {
            let reclaimed = reclaim_over(transaction, now, RESCUED_AT_ONCE)?;
            let expired = cancel_expired(transaction, now, RESCUED_AT_ONCE)?;
            Ok(Rescue { reclaimed, expired })
        })
        .await
}

fn report(context: &Context, rescue: &Rescue) {
    let (rescued, failed) = (
        rescue.reclaimed.rescued.len(),
        rescue.reclaimed.failed.len(),
    );
    if rescued + failed > 0 {
        context.metrics.rescued.inc_by((rescued + failed) as u64);
        log::warn!(rescued, failed; "took back {rescued} messages from relays that did not return, gave up {failed}");
    }
    if rescue.expired > 0 {
        log::info!(count = rescue.expired; "cancelled {} messages that expired before they could be sent", rescue.expired);
    }
}
