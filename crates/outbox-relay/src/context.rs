//! What all tasks of one relay share.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use shared::clock::{Clock, DatabaseClock};
use shared::db::Database;
use shared::domain::{Channel, ChannelSet, RelayName, UtcTimestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::addressing::DigestRoute;
use crate::breaker::Breaker;
use crate::channel::Platforms;
use crate::controls::Controls;
use crate::health::Health;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::slots::Capacity;
use crate::verdict::Transport;

/// One relay, as its tasks see it.
pub(crate) struct Context {
    pub(crate) name: RelayName,
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    /// Changes when somebody has committed something for the relays.
    pub(crate) wake: watch::Receiver<()>,
    /// Changes when a look has found due messages on a channel; one for each channel.
    pub(crate) due: [watch::Sender<()>; Channel::ALL.len()],
    /// Changes when a look has found messages whose recipient may be disturbed again.
    pub(crate) quiet_over: watch::Sender<()>,
    pub(crate) platforms: Platforms,
    pub(crate) liveness: Liveness,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// No more claims, no more sends.
    pub(crate) stopping: CancellationToken,
    /// Requests still under way are given up.
    pub(crate) grace_over: CancellationToken,
    /// Everything is settled: heartbeat and health end.
    pub(crate) finished: CancellationToken,
    /// Present unless somebody else moves the clock.
    pub(crate) database_clock: Option<DatabaseClock>,
    /// Channels that this process knows to be held, a bit each.
    pub(crate) held: AtomicU8,
    /// Channels on which digests cannot go out, as was said already, a bit each.
    pub(crate) without_digests: AtomicU8,
    /// What operators have set.
    pub(crate) controls: RwLock<Arc<Controls>>,
    /// One for each channel.
    pub(crate) breakers: [Mutex<Breaker>; Channel::ALL.len()],
}

impl Context {
    /// Waits for `work`, but not beyond the order to stop.
    pub(crate) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            result = work => Some(result),
        }
    }

    /// What operators have set, as last read.
    pub(crate) fn controls(&self) -> Arc<Controls> {
        Arc::clone(&self.controls.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what was just read.
    pub(crate) fn set_controls(&self, read: Controls) {
        let mut controls = self
            .controls
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if **controls != read {
            *controls = Arc::new(read);
        }
    }

    /// How many messages a channel may have in hand.
    pub(crate) fn capacity(&self, channel: Channel) -> Capacity {
        let set = self.controls().concurrency(channel);
        Capacity::of(set.unwrap_or(self.config.concurrency as usize))
    }

    /// Tells the channel's breaker how an attempt went; answers for how long the channel is to be
    /// held, if it is.
    pub(crate) fn record_transport(
        &self,
        channel: Channel,
        transport: Transport,
    ) -> Option<Duration> {
        let breaker = &self.breakers[channel as usize];
        let now = self.clock.now();
        let mut breaker = breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.record(transport, now)
    }

    /// Something is due on these channels: their claimers are to look.
    pub(crate) fn point_out(&self, due: ChannelSet) {
        for channel in due.iter() {
            self.due[channel as usize].send_replace(());
        }
    }

    /// About this long: relays that started together should not ask together.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.8 + 0.4 * rand::random::<f64>())
    }

    /// Remembers in this process that a channel is held (or not), so that what is in hand is not
    /// sent against a wall. Answers what was known before.
    pub(crate) fn set_held(&self, channel: Channel, held: bool) -> bool {
        let bit = 1 << channel as u8;
        let before = if held {
            self.held.fetch_or(bit, Ordering::Relaxed)
        } else {
            self.held.fetch_and(!bit, Ordering::Relaxed)
        };
        before & bit != 0
    }

    /// Remembers in this process whether digests can go out on a channel. Answers whether that is news.
    pub(crate) fn set_digest_route(&self, channel: Channel, route: DigestRoute) -> bool {
        let bit = 1 << channel as u8;
        let was_so = match route {
            DigestRoute::Usable => {
                self.without_digests.fetch_and(!bit, Ordering::Relaxed) & bit == 0
            }
            DigestRoute::Missing => {
                self.without_digests.fetch_or(bit, Ordering::Relaxed) & bit != 0
            }
        };
        !was_so
    }

    pub(crate) fn is_held(&self, channel: Channel) -> bool {
        self.held.load(Ordering::Relaxed) & (1 << channel as u8) != 0
    }

    pub(crate) fn messages_in_hand(&self) -> i32 {
        let in_hand = |channel: &Channel| {
            self.metrics
                .in_hand
                .with_label_values(&[channel.as_str()])
                .get()
        };
        i32::try_from(Channel::ALL.iter().map(in_hand).sum::<i64>()).unwrap_or(i32::MAX)
    }

    /// Sets the clock by the database, unless a test holds it.
    pub(crate) fn take_database_time(&self, database_time: UtcTimestamp) {
        if let Some(clock) = &self.database_clock {
            clock.set(database_time);
        }
    }
}
