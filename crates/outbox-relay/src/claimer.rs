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
use crate::rate_limiter::RateLimiter;
use crate::slots::{Slot, Slots, Unsettled};

/// A message in hand: it occupies a slot of its channel until it is answered.
pub(crate) struct MessageInHand {
    pub(crate) addressed: AddressedMessage,
    /// When its claim began.
    pub(crate) claimed_at: std::time::Instant,
    pub(crate) slot: Slot,
    pub(crate) unsettled: Unsettled,
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
const LOOKS_APART: Duration = Duration::from_millis(1);

/// Slots that become free one by one are filled together: after this time, or when there is room for
/// half of what may be in hand. A claim of a hundred messages costs little more than a claim of one.
const FREED_TOGETHER: Duration = Duration::from_millis(5);

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
    let mut claimer = Claimer {
        slots: Slots::new(),
        limiter: RateLimiter::starting_at(context.clock.now()),
        round: 0,
        channel,
        context,
    };
    let mut signals = Signals::of(&claimer);
    let mut outage_pause = OUTAGE_PAUSE_MIN;
    let mut drained_once = false;
    loop {
        // What is signalled from here on is not in the answer.
        signals.mark_heard();
        let pause = match claimer.look().await {
            Look::Found { messages, rest } => {
                drained_once = false;
                outage_pause = OUTAGE_PAUSE_MIN;
                claimer.hand_over(messages, signals.looked_at, &claimed);
                match rest {
                    Rest::MayBeThere => continue,
                    Rest::NeedsOtherSlots => Pause::UntilSignal,
                }
            }
            Look::Full => Pause::UntilFreed,
            Look::RateReached(next_in) => Pause::For(next_in),
            Look::NothingDue if until == Until::Drained && drained_once => return,
            Look::NothingDue if until == Until::Drained => {
                // What is still under way may come back as due, or have kept another one waiting.
                drained_once = true;
                Pause::UntilAllSettled
            }
            Look::NothingDue => Pause::UntilSignal,
            Look::Outage(error) => {
                claimer.context.health.database_failed(&error);
                outage_pause = (outage_pause * 2).min(OUTAGE_PAUSE_MAX);
                Pause::For(claimer.context.jittered(outage_pause))
            }
        };
        let context = Arc::clone(&claimer.context);
        let over = context.unless_stopping(signals.wait(pause, &claimer)).await;
        if over.is_none() {
            return;
        }
    }
}

/// Claims for one channel.
struct Claimer {
    context: Arc<Context>,
    channel: Channel,
    slots: Slots,
    limiter: RateLimiter,
    round: u64,
}

/// What a look at the outbox has found.
enum Look {
    Found {
        messages: Vec<AddressedMessage>,
        rest: Rest,
    },
    NothingDue,
    /// Nothing could start now.
    Full,
    /// The channel's rate limit allows the next message after this time.
    RateReached(Duration),
    Outage(DbError),
}

/// What is known of the messages that were not claimed.
enum Rest {
    /// There may be more, and there is room for them.
    MayBeThere,
    /// What there is can only start when slots become free.
    NeedsOtherSlots,
}

/// What to wait for before the next look.
enum Pause {
    /// Something was committed, a slot was freed, or it is time to look again.
    UntilSignal,
    /// A slot was freed.
    UntilFreed,
    /// Nothing is in hand any more.
    UntilAllSettled,
    For(Duration),
}

/// What makes a claimer look again before the time.
struct Signals {
    /// Something was committed.
    wake: watch::Receiver<()>,
    /// A slot has become free, and its recipient for their next message.
    freed: watch::Receiver<()>,
    /// When the last look began.
    looked_at: Instant,
}

impl Signals {
    fn of(claimer: &Claimer) -> Self {
        Self {
            wake: claimer.context.wake.clone(),
            freed: claimer.slots.freed(),
            looked_at: Instant::now(),
        }
    }

    /// What comes from here on is news.
    fn mark_heard(&mut self) {
        self.looked_at = Instant::now();
        self.wake.mark_unchanged();
        self.freed.mark_unchanged();
    }

    async fn wait(&mut self, pause: Pause, claimer: &Claimer) {
        match pause {
            Pause::UntilSignal => {
                let context = &claimer.context;
                let next_look = context.jittered(context.config.poll_interval);
                self.heard_within(next_look, claimer).await;
            }
            Pause::UntilFreed => {
                // The sender lives as long as the slots.
                let _ = self.freed.changed().await;
            }
            Pause::UntilAllSettled => claimer.slots.all_settled().await,
            Pause::For(pause) => tokio::time::sleep(pause).await,
        }
    }

    async fn heard_within(&mut self, next_look: Duration, claimer: &Claimer) {
        let next_look = Instant::now() + next_look;
        let mut look_at = next_look;
        loop {
            tokio::select! {
                Ok(()) = self.wake.changed() => break,
                Ok(()) = self.freed.changed() => {
                    if claimer.is_half_empty() {
                        break;
                    }
                    look_at = next_look.min(self.looked_at + FREED_TOGETHER);
                }
                () = tokio::time::sleep_until(look_at) => return,
            }
        }
        tokio::time::sleep_until(self.looked_at + LOOKS_APART).await;
    }
}

impl Claimer {
    /// Whether a claim would be worth its while: there is room for half of what may be in hand.
    fn is_half_empty(&self) -> bool {
        let capacity = self.context.capacity(self.channel);
        self.slots.free(capacity).count * 2 >= capacity.requests + capacity.ahead
    }

    /// Claims what can start now.
    async fn look(&mut self) -> Look {
        let free = self.slots.free(self.context.capacity(self.channel));
        if free.count == 0 {
            return Look::Full;
        }
        let rate = self.context.controls().rate_per_minute(self.channel);
        let allowed = self.limiter.available(rate, self.context.clock.now());
        if let (0, Some(rate)) = (allowed, rate) {
            return Look::RateReached(self.limiter.next_in(rate));
        }
        let (limit, below_high) = (free.count.min(allowed), free.below_high.min(allowed));
        match self.claim(limit, below_high).await {
            Err(error) => Look::Outage(error),
            Ok(messages) if messages.is_empty() => Look::NothingDue,
            Ok(messages) => {
                self.limiter.take(messages.len());
                // However few they were: of several for one recipient only the first was taken, and
                // others may stand behind them.
                let rest = if free.below_high > messages.len() {
                    Rest::MayBeThere
                } else {
                    Rest::NeedsOtherSlots
                };
                Look::Found { messages, rest }
            }
        }
    }

    fn hand_over(
        &self,
        messages: Vec<AddressedMessage>,
        claimed_at: Instant,
        claimed: &mpsc::UnboundedSender<Vec<MessageInHand>>,
    ) {
        let in_hand = messages
            .into_iter()
            .map(|addressed| {
                let recipient = addressed.message.recipient_id.clone();
                let (slot, unsettled) = self.slots.occupy(recipient);
                MessageInHand {
                    addressed,
                    claimed_at: claimed_at.into_std(),
                    slot,
                    unsettled,
                }
            })
            .collect();
        // The dispatcher ends after the claimer, never before.
        if claimed.send(in_hand).is_err() {
            log::error!("claimed messages could not be handed over; their leases will run out");
        }
    }

    async fn claim(
        &mut self,
        limit: usize,
        limit_below_high: usize,
    ) -> Result<Vec<AddressedMessage>, DbError> {
        let context = &self.context;
        if !context.liveness.may_claim() {
            return Err(DbError::Unavailable(
                "the heartbeat could not be renewed".to_owned(),
            ));
        }
        self.round = self.round.wrapping_add(1);
        let order = ClaimOrder {
            relay: context.name.clone(),
            channel: self.channel,
            limit,
            limit_below_high,
            busy_recipients: self.slots.busy_recipients(),
            lease: context.config.lease,
            probe_interval: context.config.probe_interval,
            round: self.round,
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
