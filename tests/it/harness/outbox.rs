//! The outbox's verbs, each in a transaction of its own.

use std::time::Duration;

use shared::domain::{Channel, OutboxMessageId, RelayName, RepairId, UtcTimestamp};
use shared::operation_log::Actor;
use shared::outbox::{
    self, ClaimOrder, ClaimedMessage, ListFilter, Message, NewMessage, Reclaimed, RepairError,
    Repaired, Settled, Settlement, Undone, Verdict, Wish,
};

use super::{TestDatabase, message, moment, repair_order, settlement};

/// How long leases last in tests.
const LEASE: Duration = Duration::from_secs(30);
/// How long after one probe of a held channel the next may follow.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

impl TestDatabase {
    /// Enqueues one message and answers its id.
    pub async fn enqueue(&self, message: NewMessage) -> OutboxMessageId {
        self.write(move |transaction| {
            let enqueued = outbox::enqueue(transaction, vec![message], moment())?;
            assert_eq!(enqueued.inserted, 1);
            let newest = outbox::list(transaction.connection(), &ListFilter::default(), 1)?;
            Ok(newest[0].id.clone())
        })
        .await
    }

    /// Enqueues so many messages, cancels them, and answers their ids.
    pub async fn cancelled(&self, count: usize) -> Vec<OutboxMessageId> {
        let messages: Vec<NewMessage> = (0..count).map(|_| message()).collect();
        self.write(move |transaction| outbox::enqueue(transaction, messages, moment()))
            .await;
        let messages = self.messages().await;
        let ids: Vec<OutboxMessageId> = messages.into_iter().map(|row| row.id).collect();
        self.repair(&ids, Wish::Cancel, moment()).await.unwrap();
        ids
    }

    /// Makes a relay known, alive at that moment.
    pub async fn register(&self, relay: &RelayName, now: UtcTimestamp) {
        let relay = relay.clone();
        self.write(move |transaction| outbox::register_relay(transaction, &relay, now))
            .await;
    }

    /// What a relay gets when it asks for subscribe messages.
    pub async fn claim(
        &self,
        relay: &RelayName,
        limit: usize,
        now: UtcTimestamp,
    ) -> Vec<ClaimedMessage> {
        self.claim_on(Channel::WechatSubscribe, relay, limit, now)
            .await
    }

    /// What a relay gets when it asks for messages of a channel.
    pub async fn claim_on(
        &self,
        channel: Channel,
        relay: &RelayName,
        limit: usize,
        now: UtcTimestamp,
    ) -> Vec<ClaimedMessage> {
        let order = ClaimOrder {
            relay: relay.clone(),
            channel,
            limit,
            limit_below_high: limit,
            lease: LEASE,
            busy_recipients: Vec::new(),
            probe_interval: PROBE_INTERVAL,
            round: 0,
        };
        self.write(move |transaction| outbox::claim_due(transaction, &order, now))
            .await
    }

    /// The one message that a relay gets.
    pub async fn claim_one(&self, relay: &RelayName, now: UtcTimestamp) -> ClaimedMessage {
        let mut claimed = self.claim(relay, 1, now).await;
        claimed.pop().expect("a message is due")
    }

    /// Ends one lease.
    pub async fn settle(
        &self,
        relay: &RelayName,
        message: &ClaimedMessage,
        verdict: Verdict,
        now: UtcTimestamp,
    ) -> Settled {
        self.settle_all(relay, vec![settlement(message, verdict, now)], now)
            .await
    }

    /// Ends a batch of leases.
    pub async fn settle_all(
        &self,
        relay: &RelayName,
        settlements: Vec<Settlement>,
        now: UtcTimestamp,
    ) -> Settled {
        let relay = relay.clone();
        self.write(move |transaction| outbox::settle(transaction, &relay, &settlements, now))
            .await
    }

    /// Takes back what silent relays hold.
    pub async fn reclaim(&self, now: UtcTimestamp) -> Reclaimed {
        self.write(move |transaction| outbox::reclaim_over(transaction, now, 1_000))
            .await
    }

    /// What an operator does to messages they name.
    pub async fn repair(
        &self,
        ids: &[OutboxMessageId],
        wish: Wish,
        now: UtcTimestamp,
    ) -> Result<Repaired, RepairError> {
        let (ids, order) = (ids.to_vec(), repair_order(wish));
        self.database()
            .write(move |transaction| outbox::repair(transaction, &order, &ids, now))
            .await
    }

    /// Undoes a repair, a batch of it.
    pub async fn undo(&self, id: &RepairId, now: UtcTimestamp) -> Result<Undone, RepairError> {
        let id = id.clone();
        self.database()
            .write(move |transaction| {
                let actor = Actor::Console("wang".to_owned());
                outbox::undo_next(transaction, &id, &actor, None, now)
            })
            .await
    }

    /// A row as it stands.
    pub async fn message(&self, id: &OutboxMessageId) -> Message {
        let id = id.clone();
        self.read(move |connection| outbox::find(connection, &id))
            .await
            .expect("the message is there")
    }

    /// Every row, oldest first.
    pub async fn messages(&self) -> Vec<Message> {
        self.read(|connection| {
            let mut messages = outbox::list(connection, &ListFilter::default(), 100_000)?;
            messages.reverse();
            Ok(messages)
        })
        .await
    }
}
