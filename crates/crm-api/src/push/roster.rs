use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::domain::UserId;
use tokio::sync::Notify;

use super::mailbox::{Ending, Mailbox};

/// Who has sockets open in this process.
#[derive(Debug)]
pub(crate) struct Roster {
    of_users: Mutex<Listed>,
    sockets_per_user_max: usize,
    sockets: AtomicUsize,
    /// Somebody has taken a seat.
    pub(super) joined: Notify,
    /// A seat was given up.
    left: Notify,
}

#[derive(Debug, Default)]
struct Listed {
    seats: HashMap<UserId, Vec<Listing>>,
    /// No more seats are given.
    closed: bool,
}

#[derive(Debug, Clone)]
struct Listing {
    mailbox: Arc<Mailbox>,
    /// The token epoch of the user when the token was made.
    epoch: i32,
}

/// A place in the roster, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Seat {
    roster: Arc<Roster>,
    user: UserId,
    pub(super) mailbox: Arc<Mailbox>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut listed = self.roster.lock();
        if let Some(seats) = listed.seats.get_mut(&self.user) {
            seats.retain(|seat| !Arc::ptr_eq(&seat.mailbox, &self.mailbox));
            if seats.is_empty() {
                listed.seats.remove(&self.user);
            }
        }
        drop(listed);
        self.roster.sockets.fetch_sub(1, Ordering::Relaxed);
        self.roster.left.notify_waiters();
    }
}

impl Roster {
    /// Empty. Nobody gets more seats than `sockets_per_user_max`.
    pub(crate) fn new(sockets_per_user_max: usize) -> Arc<Self> {
        Arc::new(Self {
            of_users: Mutex::default(),
            sockets_per_user_max,
            sockets: AtomicUsize::new(0),
            joined: Notify::new(),
            left: Notify::new(),
        })
    }

    /// From the moment this returns, whatever is read from the feed reaches the mailbox of the seat.
    ///
    /// # Errors
    /// The ending of a socket that gets no seat.
    pub(crate) fn join(self: &Arc<Self>, user: &UserId, epoch: i32) -> Result<Seat, Ending> {
        let mailbox = Arc::<Mailbox>::default();
        let mut listed = self.lock();
        if listed.closed {
            return Err(Ending::GoingAway);
        }
        let seats = listed.seats.entry(user.clone()).or_default();
        if seats.len() >= self.sockets_per_user_max {
            return Err(Ending::TooManySockets);
        }
        seats.push(Listing {
            mailbox: Arc::clone(&mailbox),
            epoch,
        });
        drop(listed);
        self.sockets.fetch_add(1, Ordering::Relaxed);
        self.joined.notify_one();
        Ok(Seat {
            roster: Arc::clone(self),
            user: user.clone(),
            mailbox,
        })
    }

    /// How many sockets are open.
    pub(crate) fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }

    /// Ends all sockets, gives no more seats, and waits until the last one was given up.
    pub(crate) async fn close(&self) {
        self.end_all();
        loop {
            let left = self.left.notified();
            if self.sockets() == 0 {
                return;
            }
            left.await;
        }
    }

    fn end_all(&self) {
        let mut listed = self.lock();
        listed.closed = true;
        for seat in listed.seats.values().flatten() {
            seat.mailbox.put_ending(Ending::GoingAway);
            seat.mailbox.ring();
        }
    }

    /// Who has at least one socket open.
    pub(super) fn users(&self) -> BTreeSet<UserId> {
        self.lock().seats.keys().cloned().collect()
    }

    /// Those of these who have at least one.
    pub(super) fn present<'a>(&self, users: impl Iterator<Item = &'a UserId>) -> BTreeSet<UserId> {
        let listed = self.lock();
        users
            .filter(|user| listed.seats.contains_key(*user))
            .cloned()
            .collect()
    }

    /// Puts something into every mailbox of a user.
    pub(super) fn tell(&self, user: &UserId, put: impl Fn(&Mailbox)) {
        for seat in self.lock().seats.get(user).into_iter().flatten() {
            put(&seat.mailbox);
            seat.mailbox.ring();
        }
    }

    /// Ends the sockets of a user whose tokens are not of this epoch: all of them if there is none
    /// that is good.
    pub(super) fn keep_only(&self, user: &UserId, good_epoch: Option<i32>) {
        for seat in self.lock().seats.get(user).into_iter().flatten() {
            if Some(seat.epoch) != good_epoch {
                seat.mailbox.put_ending(Ending::LoggedOut);
                seat.mailbox.ring();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        // No change of it is left half done.
        self.of_users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_it_is_given_up() {
        let roster = Roster::new(2);
        let user = UserId::generate();
        let first = roster.join(&user, 0).unwrap();
        let _second = roster.join(&user, 0).unwrap();
        assert_eq!(roster.join(&user, 0).unwrap_err(), Ending::TooManySockets);
        assert!(roster.join(&UserId::generate(), 0).is_ok());
        drop(first);
        assert_eq!(roster.sockets(), 1);
        let _third = roster.join(&user, 0).unwrap();
        assert_eq!(roster.users(), BTreeSet::from([user]));
    }

    #[test]
    fn only_tokens_of_the_present_epoch_stay() {
        let roster = Roster::new(9);
        let user = UserId::generate();
        let (old, new) = (
            roster.join(&user, 0).unwrap(),
            roster.join(&user, 1).unwrap(),
        );
        roster.keep_only(&user, Some(1));
        assert_eq!(old.mailbox.take().ending, Some(Ending::LoggedOut));
        assert_eq!(new.mailbox.take().ending, None);
        roster.keep_only(&user, None);
        assert_eq!(new.mailbox.take().ending, Some(Ending::LoggedOut));
    }

    #[tokio::test]
    async fn nobody_joins_once_it_is_closed() {
        let roster = Roster::new(9);
        let user = UserId::generate();
        let seat = roster.join(&user, 0).unwrap();
        let closing = roster.close();
        let leaving = async {
            seat.mailbox.filled().await;
            assert_eq!(seat.mailbox.take().ending, Some(Ending::GoingAway));
            drop(seat);
        };
        tokio::join!(closing, leaving);
        assert_eq!(roster.join(&user, 0).unwrap_err(), Ending::GoingAway);
    }
}
