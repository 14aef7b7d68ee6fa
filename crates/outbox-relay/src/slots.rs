use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::domain::RecipientId;
use tokio::sync::watch;

/// What one channel of this relay has in hand: so many messages at once, and one for each recipient.
///
/// The platform refuses a second message to somebody while one is under way (43108). A recipient
/// with hundreds of messages therefore occupies one slot, and the others go on.
#[derive(Debug)]
pub(crate) struct Slots {
    occupied: Arc<Occupied>,
}

#[derive(Debug)]
struct Occupied {
    recipients: Mutex<HashSet<RecipientId>>,
    freed: watch::Sender<()>,
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

/// The place of one message in hand. Free again, and its recipient with it, when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    recipient: RecipientId,
    occupied: Arc<Occupied>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        let occupied = Occupied {
            recipients: Mutex::default(),
            freed: watch::Sender::new(()),
        };
        Self {
            occupied: Arc::new(occupied),
        }
    }

    /// The free ones of so many. There may be fewer than none: the number can be lowered while
    /// messages are in hand.
    pub(crate) fn free(&self, capacity: usize) -> FreeSlots {
        let count = capacity.saturating_sub(self.occupied.lock().len());
        FreeSlots {
            count,
            below_high: count.saturating_sub(capacity / KEPT_FOR_HIGH),
        }
    }

    /// Waits until nothing is in hand.
    pub(crate) async fn all_free(&self) {
        let mut freed = self.freed();
        while !self.occupied.lock().is_empty() {
            // The sender lives as long as the slots.
            let _ = freed.changed().await;
        }
    }

    /// The recipients for whom nothing more may be claimed now.
    pub(crate) fn busy_recipients(&self) -> Vec<RecipientId> {
        self.occupied.lock().iter().cloned().collect()
    }

    /// Changes whenever a slot, and its recipient, becomes free.
    pub(crate) fn freed(&self) -> watch::Receiver<()> {
        self.occupied.freed.subscribe()
    }

    /// Gives a slot to a message for this recipient.
    pub(crate) fn occupy(&self, recipient: RecipientId) -> Slot {
        self.occupied.lock().insert(recipient.clone());
        Slot {
            recipient,
            occupied: Arc::clone(&self.occupied),
        }
    }
}

impl Occupied {
    fn lock(&self) -> MutexGuard<'_, HashSet<RecipientId>> {
        self.recipients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.occupied.lock().remove(&self.recipient);
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
        let held: Vec<Slot> = (0..56).map(|n| slots.occupy(recipient(n))).collect();
        assert_eq!(slots.free(64), free(8, 0));
        assert_eq!(slots.free(7), free(0, 0), "lowered below what is in hand");
        assert_eq!(slots.busy_recipients().len(), 56);
        drop(held);
        assert_eq!(slots.free(64), free(64, 56));
        assert_eq!(slots.free(1), free(1, 1), "one alone is for everybody");
    }

    #[tokio::test]
    async fn whoever_waits_for_all_to_be_free_is_woken_by_the_last() {
        let slots = Slots::new();
        let (first, last) = (slots.occupy(recipient(1)), slots.occupy(recipient(2)));
        let mut waiting = std::pin::pin!(slots.all_free());
        let mut is_over = async || {
            tokio::select! {
                biased;
                () = &mut waiting => true,
                () = std::future::ready(()) => false,
            }
        };
        assert!(!is_over().await);
        drop(first);
        assert!(!is_over().await);
        drop(last);
        assert!(is_over().await);
    }
}
