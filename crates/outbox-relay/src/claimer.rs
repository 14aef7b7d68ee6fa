use std::sync::Arc;
use std::time::Duration;

use shared::db::DbError;
use shared::domain::{Channel, RecipientId, UtcTimestamp};
use shared::notification::DIGEST_LINES_MAX;
use shared::outbox::{
    ClaimOrder, ClaimedMessage, DIGEST, RecipientLimit, SentMessage, claim_due, give_back_claim,
    members_to_tell, sent_since,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::addressing::Addressing;
use crate::channel::{Address, AddressedMessage};
use crate::context::Context;
use crate::digester::end_quiet_on;
use crate::rate_limiter::RateLimiter;
use crate::recipient_pace::{Admission, Members, RecipientPace};
use crate::slots::{Slot, Slots, Unsettled};

/// A message in hand: it occupies a slot of its channel until it is answered.
pub(crate) struct MessageInHand {
    pub(crate) addressed: AddressedMessage,
    /// When its claim began.
    pub(crate) claimed_at: std::time::Instant,
    pub(crate) admission: Admission,
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
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_millis(20);

/// Signals that come in a stream cause one look in this time: where every commit of the API is a
/// signal, most have no message in them. One that comes after a pause is followed at once.
const LOOKS_APART: Duration = Duration::from_millis(1);

/// Slots that become free one by one are filled together: after this time, or when there is room for
/// half of what may be in hand. A claim of a hundred messages costs little more than a claim of one.
const FREED_TOGETHER: Duration = Duration::from_millis(5);

/// A relay that is not alone gives recipients nothing for so long after its start, where they may only
/// have so much: by then the others have noticed, who look every three seconds, and share.
const OTHERS_KNOW_AFTER: Duration = Duration::from_secs(4);

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
        pace: RecipientLimit::of(channel).map(RecipientPace::new),
        addressing: Addressing::of(channel, &context.config),
        began_at: Instant::now(),
        round: 0,
        unanswered: Vec::new(),
        channel,
        context,
    };
    let mut signals = Signals::of(&claimer);
    let mut outage_pause = OUTAGE_PAUSE_MIN;
    let mut drained_once = false;
    // Also where one look follows upon the other: what is given back at a stop is due again at once.
    while !claimer.context.stopping.is_cancelled() {
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
            Look::NothingDue if until == Until::Drained && claimer.has_let_go().await => continue,
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
    /// Where the platform shows one recipient only so much.
    pace: Option<RecipientPace>,
    addressing: Addressing,
    began_at: Instant,
    round: u64,
    /// When the leases end of claims that were not answered: perhaps they were made.
    unanswered: Vec<UtcTimestamp>,
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
    /// Something was committed or found due, or a slot was freed.
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
    /// A look has found something due.
    due: watch::Receiver<()>,
    /// A slot has become free, and its recipient for their next message.
    freed: watch::Receiver<()>,
    /// When the last look began.
    looked_at: Instant,
}

impl Signals {
    fn of(claimer: &Claimer) -> Self {
        Self {
            wake: claimer.context.wake.clone(),
            due: claimer.context.due[claimer.channel as usize].subscribe(),
            freed: claimer.slots.freed(),
            looked_at: Instant::now(),
        }
    }

    /// What comes from here on is news.
    fn mark_heard(&mut self) {
        self.looked_at = Instant::now();
        self.wake.mark_unchanged();
        self.due.mark_unchanged();
        self.freed.mark_unchanged();
    }

    async fn wait(&mut self, pause: Pause, claimer: &Claimer) {
        match pause {
            Pause::UntilSignal => self.heard(claimer).await,
            Pause::UntilFreed => {
                // The sender lives as long as the slots.
                let _ = self.freed.changed().await;
            }
            Pause::UntilAllSettled => claimer.slots.all_settled().await,
            Pause::For(pause) => tokio::time::sleep(pause).await,
        }
    }

    async fn heard(&mut self, claimer: &Claimer) {
        let mut filled_at = None;
        loop {
            tokio::select! {
                Ok(()) = self.wake.changed() => break,
                Ok(()) = self.due.changed() => break,
                Ok(()) = self.freed.changed() => {
                    if claimer.is_half_empty() {
                        break;
                    }
                    filled_at = Some(self.looked_at + FREED_TOGETHER);
                }
                () = sleep_until(filled_at) => return,
            }
        }
        tokio::time::sleep_until(self.looked_at + LOOKS_APART).await;
    }
}

/// For ever, if there is no such moment.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
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
        if let Some(left) = self.until_others_know() {
            return Look::RateReached(left);
        }
        if let Err(error) = self.remember_the_past().await {
            return Look::Outage(error);
        }
        if self.is_pace_used_up() {
            return Look::NothingDue;
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
                let admission = self.admit(&recipient, &addressed.address);
                let (slot, unsettled) = self.slots.occupy(recipient);
                MessageInHand {
                    addressed,
                    claimed_at: claimed_at.into_std(),
                    admission,
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

    /// Messages come in the order of their urgency, and have their turns in that order.
    fn admit(&self, recipient: &RecipientId, address: &Address) -> Admission {
        match (&self.pace, address) {
            (Some(pace), Address::Known(address)) => {
                let relays = self.context.controls().relays();
                let now = self.context.clock.now();
                pace.admit(recipient, Members::of(address), relays, now)
            }
            (None, _) | (Some(_), Address::NoBinding | Address::NobodyIsBound) => {
                Admission::Uncounted
            }
        }
    }

    fn is_pace_used_up(&self) -> bool {
        let relays = self.context.controls().relays();
        let now = self.context.clock.now();
        self.pace
            .as_ref()
            .is_some_and(|pace| pace.is_used_up(relays, now))
    }

    /// For whom nothing is to be claimed: they have a message under way, or have had their share.
    fn busy_recipients(&self) -> Vec<RecipientId> {
        let mut busy = self.slots.busy_recipients();
        if let Some(pace) = &self.pace {
            let relays = self.context.controls().relays();
            busy.extend(pace.turned_away(relays, self.context.clock.now()));
        }
        busy
    }

    /// Whether something has become due because its recipient may be disturbed again.
    async fn has_let_go(&self) -> bool {
        let let_go = end_quiet_on(&self.context, self.channel).await;
        let_go.unwrap_or_else(|error| {
            self.context.health.database_failed(&error);
            false
        })
    }

    /// How long until the other relays know of this one, and take a smaller part of what a recipient may
    /// have.
    fn until_others_know(&self) -> Option<Duration> {
        let is_shared = self.pace.is_some() && self.context.controls().relays() > 1;
        let left = OTHERS_KNOW_AFTER.saturating_sub(self.began_at.elapsed());
        (is_shared && !left.is_zero()).then_some(left)
    }

    /// Counts what all relays have sent: a restart, a run for cron, another relay that comes or goes is
    /// no reason to give somebody more than the platform shows.
    async fn remember_the_past(&self) -> Result<(), DbError> {
        let relays = self.context.controls().relays();
        let is_untold = |pace: &&RecipientPace| !pace.knows_the_past(relays);
        let Some(pace) = self.pace.as_ref().filter(is_untold) else {
            return Ok(());
        };
        let (channel, addressing) = (self.channel, self.addressing.clone());
        let now = self.context.clock.now();
        let since = now.before(RecipientLimit::HOUR);
        let past = self.context.database.run(move |connection| {
            let sent = sent_since(connection, channel, since)?;
            let recipients: Vec<_> = sent.iter().map(recipient_of).collect();
            let addresses = addressing.addresses(connection, &recipients)?;
            Ok::<_, DbError>((sent, addresses))
        });
        let (sent, addresses) = past.await?;
        let sent = sent.iter().zip(&addresses);
        let sent = sent.filter_map(|(sent, address)| match address {
            Address::Known(address) => Some((Members::of(address), sent.sent_at)),
            Address::NoBinding | Address::NobodyIsBound => None,
        });
        pace.remember(sent, relays, now);
        Ok(())
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
            busy_recipients: self.busy_recipients(),
            lease: context.config.lease,
            probe_interval: context.config.probe_interval,
            round: self.round,
        };
        let now = context.clock.now().after(CLOCK_TOLERANCE);
        // What is older has been taken back already.
        self.unanswered.retain(|end| *end > now);
        let unanswered = self.unanswered.clone();
        let channel = self.channel;
        self.unanswered.push(now.after(order.lease));
        let addressing = self.addressing.clone();
        let moment = now.to_datetime().with_timezone(&context.config.time_zone);
        let addressed = context
            .database
            .write(move |transaction| {
                for lease_expires_at in unanswered {
                    give_back_claim(transaction, &order.relay, channel, lease_expires_at)?;
                }
                let messages = claim_due(transaction, &order, now)?;
                if messages.is_empty() {
                    return Ok(Vec::new());
                }
                let digests: Vec<&ClaimedMessage> = messages
                    .iter()
                    .filter(|message| message.kind == DIGEST)
                    .collect();
                let told = members_to_tell(transaction, &digests, DIGEST_LINES_MAX, now)?;
                addressing.address(transaction.connection(), channel, messages, &told, &moment)
            })
            .await?;
        self.unanswered.clear();
        // A disk that is full lets a claim of nothing pass.
        if !addressed.is_empty() {
            context.health.database_works();
        }
        Ok(addressed)
    }
}

fn recipient_of(sent: &SentMessage) -> (&RecipientId, &str) {
    (&sent.recipient_id, &sent.kind)
}
