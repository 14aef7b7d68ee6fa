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

/// A relay never has more than so many messages for each slot: one on its way and one being written
/// down. What is not written down would be sent again after a crash.
const UNSETTLED_PER_SLOT: usize = 2;

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

    /// The free ones of so many. There may be fewer than none: the number can be lowered while
    /// messages are in hand.
    pub(crate) fn free(&self, capacity: usize) -> FreeSlots {
        let held = self.occupied.lock();
        let free = capacity.saturating_sub(held.recipients.len());
        let unsettled_max = capacity.saturating_mul(UNSETTLED_PER_SLOT);
        let count = free.min(unsettled_max.saturating_sub(held.unsettled));
        FreeSlots {
            count,
            below_high: count.saturating_sub(capacity / KEPT_FOR_HIGH),
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
        assert_eq!(slots.free(64), free(64, 56));
        let held: Vec<_> = (0..56).map(|n| slots.occupy(recipient(n))).collect();
        assert_eq!(slots.free(64), free(8, 0));
        assert_eq!(slots.free(7), free(0, 0), "lowered below what is in hand");
        assert_eq!(slots.busy_recipients().len(), 56);
        let unsettled: Vec<_> = held
            .into_iter()
            .map(|(_slot, unsettled)| unsettled)
            .collect();
        assert_eq!(slots.free(64), free(64, 56), "what is answered is free");
        assert_eq!(slots.free(30), free(4, 1), "but not without end");
        drop(unsettled);
        assert_eq!(slots.free(1), free(1, 1), "one alone is for everybody");
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
