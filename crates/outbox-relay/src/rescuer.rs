use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::db::{DbError, dialect};
use shared::domain::UtcTimestamp;
use shared::outbox::{
    Reclaimed, SILENCE_MAX, cancel_expired, heartbeat, reclaim_over, register_relay,
};

use crate::context::Context;
use crate::controls::Controls;

/// How often a relay says that it is alive, and looks for others that no longer do.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// A heartbeat that comes this late says that the database, or this process, was away.
const MISSED_BEATS: Duration = Duration::from_millis(2_500);

/// Rows taken back or cancelled in one go: a short transaction, and the next second goes on.
const RESCUED_AT_ONCE: usize = 1_000;

/// How often what operators have set is read again.
const CONTROLS_READ_EVERY: Duration = Duration::from_secs(3);

struct Rescue {
    reclaimed: Reclaimed,
    expired: usize,
}

/// Renews the heartbeat and takes back what other relays have left. Ends when told to.
pub(crate) async fn rescue_messages(context: Arc<Context>) {
    let mut last_beat = Instant::now();
    let mut patient_until = last_beat;
    let mut controls_read_at = last_beat;
    loop {
        let begun_at = Instant::now();
        match beat(&context).await {
            Ok(database_time) => {
                context.liveness.renewed(begun_at);
                context.take_database_time(database_time);
                context.health.database_works();
                let written_at = Instant::now();
                if written_at.duration_since(last_beat) > MISSED_BEATS {
                    // Nobody could write for a while, so everybody seems silent, and many have
                    // settlements to write that they could not. They get the time for it.
                    patient_until = written_at + SILENCE_MAX;
                }
                last_beat = written_at;
                if written_at >= patient_until {
                    rescue_and_report(&context).await;
                }
                if controls_read_at.elapsed() >= CONTROLS_READ_EVERY {
                    controls_read_at = written_at;
                    read_controls(&context).await;
                }
            }
            Err(error) => context.health.database_failed(&error),
        }
        tokio::select! {
            () = tokio::time::sleep(HEARTBEAT_EVERY) => {}
            () = context.finished.cancelled() => return,
        }
    }
}

/// Renews the heartbeat and answers the database's time. In a transaction of its own: whatever is
/// wrong with other relays' messages must not make this relay seem dead.
async fn beat(context: &Context) -> Result<UtcTimestamp, DbError> {
    let name = context.name.clone();
    let in_flight = context.messages_in_hand();
    let now = context.clock.now();
    context
        .database
        .write(move |transaction| {
            if !heartbeat(transaction, &name, in_flight, now)? {
                register_relay(transaction, &name, now)?;
            }
            dialect::database_time(transaction.connection())
        })
        .await
}

async fn read_controls(context: &Context) {
    let now = context.clock.now();
    let read = context
        .database
        .run(move |connection| Controls::read(connection, now));
    match read.await {
        Ok(controls) => context.set_controls(controls),
        Err(error) => context.health.database_failed(&error),
    }
}

async fn rescue_and_report(context: &Context) {
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
