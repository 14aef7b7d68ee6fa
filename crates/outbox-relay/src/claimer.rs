use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shared::db::{DbConnection, DbError};
use shared::domain::{App, Channel, UserId};
use shared::notification::{Kind, RouteSettings, routes};
use shared::outbox::{ClaimOrder, ClaimedMessage, claim_due};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::channel::{Address, AddressedMessage};
use crate::context::Context;
use crate::slots::{FreeSlots, Slot, Slots};

/// A message in hand: it occupies a slot of its channel until it is settled.
pub(crate) struct MessageInHand {
    pub(crate) addressed: AddressedMessage,
    /// When its claim began.
    pub(crate) claimed_at: std::time::Instant,
    pub(crate) slot: Slot,
}

/// How long the claimer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until it is told to stop.
    Stopped,
    /// Until nothing is due any more.
    Drained,
}

/// A message due within this time is claimed already. The processes follow the database's clock each
/// on its own, and differ by a round trip: without this, a relay woken at once by a commit would
/// find its message "not due yet" and leave it until the next look.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(20);

/// Signals that come in a stream cause one look in this time: where every commit of the API is a
/// signal, most have no message in them. One that comes after a pause is followed at once.
const LOOKS_APART: Duration = Duration::from_millis(3);

/// The first wait between two looks while the database is away …
const OUTAGE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// … and the longest.
const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Claims due messages of one channel as slots become free, and hands them to the dispatcher.
/// Ends when told to stop, or when drained; dropping `claimed` tells the dispatcher.
pub(crate) async fn claim_messages(
    context: Arc<Context>,
    channel: Channel,
    until: Until,
    claimed: mpsc::UnboundedSender<Vec<MessageInHand>>,
) {
    let slots = Slots::new(context.config.concurrency);
    let mut signals = Signals {
        wake: context.wake.clone(),
        freed: slots.recipient_freed(),
        looked_at: Instant::now(),
    };
    let mut outage_pause = OUTAGE_PAUSE_MIN;
    let mut drained_once = false;
    while let Some(free) = context.unless_stopping(slots.take_free()).await.flatten() {
        // What is signalled from here on is not in the answer.
        signals.mark_heard();
        let waited = match claim(&context, channel, &slots, &free).await {
            Ok(messages) if !messages.is_empty() => {
                drained_once = false;
                outage_pause = OUTAGE_PAUSE_MIN;
                hand_over(messages, signals.looked_at, &slots, free, &claimed);
                continue;
            }
            Ok(_) if until == Until::Drained && drained_once => return,
            Ok(_) if until == Until::Drained => {
                drop(free);
                // What is still under way may come back as due, or have kept another one waiting.
                drained_once = true;
                context.unless_stopping(slots.all_free()).await
            }
            Ok(_) => {
                drop(free);
                let next_look = context.jittered(context.config.poll_interval);
                context
                    .unless_stopping(signals.heard_within(next_look))
                    .await
            }
            Err(error) => {
                drop(free);
                context.health.database_failed(&error);
                outage_pause = (outage_pause * 2).min(OUTAGE_PAUSE_MAX);
                let pause = tokio::time::sleep(context.jittered(outage_pause));
                context.unless_stopping(pause).await
            }
        };
        if waited.is_none() {
            return;
        }
    }
}

/// What makes a claimer look again before the time.
struct Signals {
    /// Something was committed.
    wake: watch::Receiver<()>,
    /// A recipient has become free for their next message.
    freed: watch::Receiver<()>,
    /// When the last look began.
    looked_at: Instant,
}

impl Signals {
    /// What comes from here on is news.
    fn mark_heard(&mut self) {
        self.looked_at = Instant::now();
        self.wake.mark_unchanged();
        self.freed.mark_unchanged();
    }

    async fn heard_within(&mut self, next_look: Duration) {
        tokio::select! {
            Ok(()) = self.wake.changed() => {}
            Ok(()) = self.freed.changed() => {}
            () = tokio::time::sleep(next_look) => return,
        }
        tokio::time::sleep_until(self.looked_at + LOOKS_APART).await;
    }
}

fn hand_over(
    messages: Vec<AddressedMessage>,
    claimed_at: Instant,
    slots: &Slots,
    mut free: FreeSlots,
    claimed: &mpsc::UnboundedSender<Vec<MessageInHand>>,
) {
    let in_hand: Vec<MessageInHand> = messages
        .into_iter()
        .filter_map(|addressed| {
            let recipient = addressed.message.recipient_id.clone();
            let slot = slots.occupy(&mut free, recipient)?;
            Some(MessageInHand {
                addressed,
                claimed_at: claimed_at.into_std(),
                slot,
            })
        })
        .collect();
    // The dispatcher ends after the claimer, never before.
    if claimed.send(in_hand).is_err() {
        log::error!("claimed messages could not be handed over; their leases will run out");
    }
}

async fn claim(
    context: &Context,
    channel: Channel,
    slots: &Slots,
    free: &FreeSlots,
) -> Result<Vec<AddressedMessage>, DbError> {
    if !context.liveness.may_claim() {
        return Err(DbError::Unavailable(
            "the heartbeat could not be renewed".to_owned(),
        ));
    }
    let order = ClaimOrder {
        relay: context.name.clone(),
        channel,
        limit: free.count(),
        busy_recipients: slots.busy_recipients(),
        lease: context.config.lease,
        probe_interval: context.config.probe_interval,
    };
    let now = context.clock.now().after(CLOCK_TOLERANCE);
    let app = context.config.mini_program_app();
    let addressed = context
        .database
        .write(move |transaction| {
            let messages = claim_due(transaction, &order, now)?;
            if messages.is_empty() {
                return Ok(Vec::new());
            }
            address(transaction.connection(), messages, &app)
        })
        .await?;
    context.health.database_works();
    Ok(addressed)
}

/// Looks up the recipients' identities and the routes, in two queries for the whole batch.
fn address(
    connection: &mut DbConnection,
    messages: Vec<ClaimedMessage>,
    app: &App,
) -> Result<Vec<AddressedMessage>, DbError> {
    let users: HashSet<UserId> = messages
        .iter()
        .filter_map(|message| message.recipient_id.as_str().parse().ok())
        .collect();
    let addresses = shared::bindings::external_ids(connection, app, users)?;
    let nobody_is_bound = addresses.is_empty() && !shared::bindings::exist(connection, app)?;
    let routes: HashMap<(Kind, Channel), Arc<RouteSettings>> = routes(connection)?
        .into_iter()
        .map(|route| ((route.kind, route.channel), Arc::new(route.settings)))
        .collect();
    Ok(messages
        .into_iter()
        .map(|message| {
            let address = match addresses.get(message.recipient_id.as_str()) {
                Some(external_id) => Address::Known(external_id.clone()),
                None if nobody_is_bound => Address::NobodyIsBound,
                None => Address::NoBinding,
            };
            let kind: Option<Kind> = message.kind.parse().ok();
            let route = kind.and_then(|kind| routes.get(&(kind, message.channel)).cloned());
            AddressedMessage {
                message,
                address,
                route,
            }
        })
        .collect())
}
