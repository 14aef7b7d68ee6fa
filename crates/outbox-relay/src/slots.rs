use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::domain::RecipientId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// What one channel of this relay may have in hand: so many messages, and one for each recipient.
///
/// The platform refuses a second message to somebody while one is under way (43108). A recipient
/// with hundreds of messages therefore occupies one slot, and the others go on.
#[derive(Debug)]
pub(crate) struct Slots {
    capacity: u32,
    free: Arc<Semaphore>,
    recipients: Arc<Recipients>,
}

#[derive(Debug)]
struct Recipients {
    in_hand: Mutex<HashSet<RecipientId>>,
    changed: watch::Sender<()>,
}

/// Free slots, taken but not yet given to messages.
pub(crate) struct FreeSlots(OwnedSemaphorePermit);

/// The place of one message in hand. Free again, and its recipient with it, when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    recipient: RecipientId,
    recipients: Arc<Recipients>,
}

impl Slots {
    pub(crate) fn new(capacity: u32) -> Self {
        let recipients = Recipients {
            in_hand: Mutex::default(),
            changed: watch::Sender::new(()),
        };
        Self {
            capacity,
            free: Arc::new(Semaphore::new(capacity as usize)),
            recipients: Arc::new(recipients),
        }
    }

    /// Waits for a free slot and takes all that are free.
    pub(crate) async fn take_free(&self) -> Option<FreeSlots> {
        let mut free = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let more = u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(more) {
            free.merge(more);
        }
        Some(FreeSlots(free))
    }

    /// Waits until nothing is in hand.
    pub(crate) async fn all_free(&self) {
        // The semaphore is never closed.
        drop(self.free.acquire_many(self.capacity).await);
    }

    /// The recipients for whom nothing more may be claimed now.
    pub(crate) fn busy_recipients(&self) -> Vec<RecipientId> {
        self.recipients.lock().iter().cloned().collect()
    }

    /// Changes whenever a recipient becomes free.
    pub(crate) fn recipient_freed(&self) -> watch::Receiver<()> {
        self.recipients.changed.subscribe()
    }

    /// Gives one of the free slots to a message for this recipient.
    pub(crate) fn occupy(&self, free: &mut FreeSlots, recipient: RecipientId) -> Option<Slot> {
        let permit = free.0.split(1)?;
        self.recipients.lock().insert(recipient.clone());
        Some(Slot {
            _permit: permit,
            recipient,
            recipients: Arc::clone(&self.recipients),
        })
    }
}

impl FreeSlots {
    pub(crate) fn count(&self) -> usize {
        self.0.num_permits()
    }
}

impl Recipients {
    fn lock(&self) -> MutexGuard<'_, HashSet<RecipientId>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.recipients.lock().remove(&self.recipient);
        self.recipients.changed.send_replace(());
    }
}
