use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::domain::RecipientId;
use tokio::sync::watch;

/// What one channel of this relay has in hand: so many messages at once, and one for each recipient.
///
/// The platform refuses a second message to somebody while one is under way (43108). A recipient
/// with hundreds of messages therefore occupies one slot, and the others go on.
///
/// A slot is free again when the platform has answered. The message is still the relay's until it is
/// settled: that is another count, so that the next messages go out while the last ones are written
/// down.
#[derive(Debug)]
pub(crate) struct Slots {
    occupied: Arc<Occupied>,
}

#[derive(Debug)]
struct Occupied {
    held: Mutex<Held>,
    freed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Held {
    /// Whose message is under way.
    recipients: HashSet<RecipientId>,
    /// Messages claimed and not settled.
    unsettled: usize,
}

/// How many messages a channel may have in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Requests under way at once.
    pub(crate) requests: usize,
    /// Messages claimed while all slots are taken, so that the next one is at hand when a slot
    /// becomes free, and claims are large.
    pub(crate) ahead: usize,
    /// Messages claimed and not settled: so many outcomes a crash can leave unknown.
    pub(crate) unsettled: usize,
}

/// From so many slots on a relay claims ahead. Below, a claim serves a handful of messages anyway,
/// and whoever runs with few slots wants few messages in doubt after a crash.
const CLAIMS_AHEAD_FROM: usize = 32;

impl Capacity {
    pub(crate) const UNLIMITED: Self = Self {
        requests: usize::MAX,
        ahead: 0,
        unsettled: usize::MAX,
    };

    pub(crate) fn of(requests: usize) -> Self {
        if requests < CLAIMS_AHEAD_FROM {
            return Self {
                requests,
                ahead: 0,
                unsettled: requests,
            };
        }
        Self {
            requests,
            ahead: requests / 2,
            unsettled: requests * 2,
        }
    }

    /// How many of these slots are kept free for urgent messages.
    pub(crate) fn kept_for_high(self) -> usize {
        self.requests / KEPT_FOR_HIGH
    }
}

/// How many slots are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FreeSlots {
    /// For messages of any priority.
    pub(crate) count: usize,
    /// Of these, how many may be taken by messages below the highest priority.
    pub(crate) below_high: usize,
}

/// One slot in so many is kept free for urgent messages: however slow the platform is with the
/// others, an urgent one finds a place at once.
const KEPT_FOR_HIGH: usize = 8;

/// The place of one message on its way. Free again, and its recipient with it, when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    recipient: RecipientId,
    occupied: Arc<Occupied>,
}

/// That a message is the relay's. To be dropped when it is settled.
#[derive(Debug)]
pub(crate) struct Unsettled {
    occupied: Arc<Occupied>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        let occupied = Occupied {
            held: Mutex::default(),
            freed: watch::Sender::new(()),
        };
        Self {
            occupied: Arc::new(occupied),
        }
    }

    /// How many messages there is room for. There may be more in hand than that: the capacity can be
    /// lowered meanwhile.
    pub(crate) fn free(&self, capacity: Capacity) -> FreeSlots {
        let held = self.occupied.lock();
        let free = (capacity.requests + capacity.ahead).saturating_sub(held.recipients.len());
        let count = free.min(capacity.unsettled.saturating_sub(held.unsettled));
        FreeSlots {
            count,
            below_high: count.saturating_sub(capacity.kept_for_high()),
        }
    }

    /// Waits until everything is settled.
    pub(crate) async fn all_settled(&self) {
        let mut freed = self.freed();
        while self.occupied.lock().unsettled > 0 {
            // The sender lives as long as the slots.
            let _ = freed.changed().await;
        }
    }

    /// The recipients for whom nothing more may be claimed now.
    pub(crate) fn busy_recipients(&self) -> Vec<RecipientId> {
        self.occupied.lock().recipients.iter().cloned().collect()
    }

    /// Changes whenever a slot, and its recipient, becomes free, and whenever a message is settled.
    pub(crate) fn freed(&self) -> watch::Receiver<()> {
        self.occupied.freed.subscribe()
    }

    /// Gives a slot to a message for this recipient.
    pub(crate) fn occupy(&self, recipient: RecipientId) -> (Slot, Unsettled) {
        {
            let mut held = self.occupied.lock();
            held.recipients.insert(recipient.clone());
            held.unsettled += 1;
        }
        let slot = Slot {
            recipient,
            occupied: Arc::clone(&self.occupied),
        };
        let unsettled = Unsettled {
            occupied: Arc::clone(&self.occupied),
        };
        (slot, unsettled)
    }
}

impl Occupied {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.occupied.lock().recipients.remove(&self.recipient);
        self.occupied.freed.send_replace(());
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.occupied.lock().unsettled -= 1;
        self.occupied.freed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(number: usize) -> RecipientId {
        format!("recipient-{number}").parse().unwrap()
    }

    #[test]
    fn an_eighth_is_kept_for_what_is_urgent() {
        let slots = Slots::new();
        let free = |count, below_high| FreeSlots { count, below_high };
        let few = Capacity::of(16);
        assert_eq!(slots.free(few), free(16, 14));
        let held: Vec<_> = (0..14).map(|n| slots.occupy(recipient(n))).collect();
        assert_eq!(slots.free(few), free(2, 0));
        assert_eq!(slots.free(Capacity::of(8)), free(0, 0), "lowered meanwhile");
        assert_eq!(slots.busy_recipients().len(), 14);
        let unsettled: Vec<_> = held
            .into_iter()
            .map(|(_slot, unsettled)| unsettled)
            .collect();
        assert_eq!(slots.free(few), free(2, 0), "not settled yet");
        drop(unsettled);
        assert_eq!(slots.free(few), free(16, 14));
        assert_eq!(
            slots.free(Capacity::of(1)),
            free(1, 1),
            "one alone is for everybody"
        );
    }

    #[test]
    fn with_many_slots_the_next_messages_are_claimed_ahead_but_not_without_end() {
        let slots = Slots::new();
        let many = Capacity::of(64);
        assert_eq!(slots.free(many).count, 96);
        let held: Vec<_> = (0..96).map(|n| slots.occupy(recipient(n))).collect();
        assert_eq!(slots.free(many).count, 0);
        let _unsettled: Vec<_> = held
            .into_iter()
            .map(|(_slot, unsettled)| unsettled)
            .collect();
        assert_eq!(slots.free(many).count, 32, "128 may be unsettled");
    }

    #[tokio::test]
    async fn whoever_waits_for_all_to_be_settled_is_woken_by_the_last() {
        let slots = Slots::new();
        let ((slot, first), (_, last)) = (slots.occupy(recipient(1)), slots.occupy(recipient(2)));
        let mut waiting = std::pin::pin!(slots.all_settled());
        let mut is_over = async || {
            tokio::select! {
                biased;
                () = &mut waiting => true,
                () = std::future::ready(()) => false,
            }
        };
        drop(slot);
        assert!(!is_over().await);
        drop(first);
        assert!(!is_over().await);
        drop(last);
        assert!(is_over().await);
    }
}
