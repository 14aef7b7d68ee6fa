use std::sync::Arc;

use shared::db::DbError;
use shared::domain::Channel;
use shared::outbox::{QuietEnded, end_quiet, lock_quiet_over};

use crate::addressing::{Addressing, DigestRoute};
use crate::claimer::CLOCK_TOLERANCE;
use crate::context::Context;

/// So many people are served in one transaction: it lasts milliseconds, and at eight in the morning
/// there are many.
const RECIPIENTS_AT_ONCE: usize = 200;

/// Lets go what waited until its recipient may be disturbed again, whenever a heartbeat has found
/// something of the kind: together as a digest, or alone. Apart from the heartbeat, because it waits for
/// rows that somebody else has locked. Ends when the relay is told to stop.
pub(crate) async fn make_digests(context: Arc<Context>) {
    let mut found = context.quiet_over.subscribe();
    loop {
        // What is found from here on is looked for once more.
        found.mark_unchanged();
        for channel in context.config.configured_channels().iter() {
            if let Err(error) = end_quiet_on(&context, channel).await {
                log::debug!(channel:%; "what waited for the end of a do-not-disturb could not be let go, trying again: {error}");
            }
        }
        // The sender lives as long as the relay.
        if context.unless_stopping(found.changed()).await.is_none() {
            return;
        }
    }
}

/// Lets go everything of one channel; answers whether there was anything.
pub(crate) async fn end_quiet_on(context: &Context, channel: Channel) -> Result<bool, DbError> {
    let mut let_go = false;
    loop {
        let (ended, route) = end_quiet_of_some(context, channel).await?;
        if ended == QuietEnded::default() {
            return Ok(let_go);
        }
        let_go = true;
        report(context, channel, ended, route);
    }
}

async fn end_quiet_of_some(
    context: &Context,
    channel: Channel,
) -> Result<(QuietEnded, DigestRoute), DbError> {
    let now = context.clock.now().after(CLOCK_TOLERANCE);
    let moment = now.to_datetime().with_timezone(&context.config.time_zone);
    let addressing = Addressing::of(channel, &context.config);
    context
        .database
        .write(move |transaction| {
            let quiet = lock_quiet_over(transaction, channel, RECIPIENTS_AT_ONCE, now)?;
            if quiet.is_empty() {
                return Ok((QuietEnded::default(), DigestRoute::Usable));
            }
            let connection = transaction.connection();
            let route = DigestRoute::of(connection, channel)?;
            let after = addressing.after_quiet(connection, channel, &quiet, route, &moment)?;
            let ended = quiet.into_iter().zip(after).collect();
            Ok((end_quiet(transaction, channel, ended, now)?, route))
        })
        .await
}

fn report(context: &Context, channel: Channel, ended: QuietEnded, route: DigestRoute) {
    let QuietEnded {
        digests,
        gathered,
        alone,
        ..
    } = ended;
    let metrics = &context.metrics;
    let count = |counters: &prometheus::IntCounterVec, count: usize| {
        let counter = counters.with_label_values(&[channel.as_str()]);
        counter.inc_by(u64::try_from(count).unwrap_or(0));
    };
    count(&metrics.digests, digests);
    count(&metrics.gathered, gathered);
    if context.set_digest_route(channel, route) && route == DigestRoute::Missing {
        log::warn!(channel:%; "there is no usable route for system.digest on {channel}: what waited for the end of a do-not-disturb goes out message by message; put one in to have it told at once");
    }
    if digests > 0 {
        log::info!(channel:%, digests, gathered, alone; "{gathered} messages on {channel} that waited for the end of a do-not-disturb go out as {digests} digests, {alone} by themselves");
    }
}
