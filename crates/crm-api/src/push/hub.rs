use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::db::{Database, DbError, Topic};
use shared::domain::{NotificationId, UserId};
use shared::notification::{
    self, CHANGES_KEPT_FOR, FeedCursor, FeedNews, FeedReading, Notification,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::message::{NotificationView, RefreshReason, ServerMessage};
use super::roster::Roster;
use crate::auth::session;

/// How often it looks without having been woken: a signal may be lost, and a process in which nobody
/// has a socket open hears none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long it rests after a look, however many signals come: others share the database with it.
const REST: Duration = Duration::from_millis(5);

/// How often it makes sure that those who have sockets open may still have them.
const ACCESS_CHECKED_EVERY: Duration = Duration::from_secs(2);

/// How often it counts what is unread for everybody, whether or not anything was recorded: other
/// programs may have written.
const COUNTED_EVERY: Duration = Duration::from_secs(30);

/// How many changes it reads at once; if there are more, everybody is told to load their list anew.
const CHANGES_MAX: usize = 5_000;

/// Reads what changed in notification centres, once for all sockets of this process.
pub(crate) struct Hub {
    database: Database,
    roster: Arc<Roster>,
    cursor: FeedCursor,
    /// When the feed was last read to its end.
    read_at: Instant,
    access_checked_at: Instant,
    counted_at: Instant,
    /// What each user was last told. Only of those with sockets.
    told: BTreeMap<UserId, i64>,
    reading: Reading,
}

/// Whether the database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Works,
    Fails,
}

impl Hub {
    /// Begins where the feed ends now.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn at_end_of_feed(
        database: Database,
        roster: Arc<Roster>,
    ) -> Result<Self, DbError> {
        let cursor = database.run(notification::feed_end).await?;
        let now = Instant::now();
        Ok(Self {
            database,
            roster,
            cursor,
            read_at: now,
            access_checked_at: now,
            counted_at: now,
            told: BTreeMap::new(),
            reading: Reading::Works,
        })
    }

    /// Reads on for ever.
    pub(crate) async fn read_for_ever(mut self) {
        let mut signals = None;
        loop {
            if self.roster.sockets() == 0 {
                // The thread and the connection that listen are given back.
                signals = None;
            } else if signals.is_none() {
                signals = self.listen().await;
            }
            let looked = self.look().await;
            self.say_whether_it_works(&looked);
            sleep(REST).await;
            tokio::select! {
                () = woken(&mut signals) => {}
                () = self.roster.joined.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn listen(&self) -> Option<watch::Receiver<()>> {
        match self.database.listen(Topic::Inboxes).await {
            Ok(signals) => Some(signals),
            Err(error) => {
                log::warn!("open pages hear of news up to a second late: {error}");
                None
            }
        }
    }

    async fn look(&mut self) -> Result<(), DbError> {
        self.read_feed().await?;
        if self.access_checked_at.elapsed() >= ACCESS_CHECKED_EVERY {
            self.check_access().await?;
            self.access_checked_at = Instant::now();
        }
        if self.counted_at.elapsed() >= COUNTED_EVERY {
            self.count_for_all().await?;
            self.counted_at = Instant::now();
        }
        Ok(())
    }

    async fn read_feed(&mut self) -> Result<(), DbError> {
        let cursor = self.cursor.clone();
        let looked_at = Instant::now();
        let reading = self
            .database
            .run(move |connection| notification::read_feed(connection, &cursor, CHANGES_MAX))
            .await?;
        // After so long a silence, some of it may have been cleared away already.
        let in_time = self.read_at.elapsed() < CHANGES_KEPT_FOR / 2;
        self.cursor = match reading {
            FeedReading::News(news) if in_time => {
                self.deliver(&news).await?;
                news.next
            }
            FeedReading::News(FeedNews { next, .. }) | FeedReading::TooMuch(next) => {
                self.refresh_all().await?;
                next
            }
        };
        self.read_at = looked_at;
        Ok(())
    }

    /// Puts what is new into the mailboxes of those it concerns. Nothing is put in if the database
    /// fails meanwhile; it is read again then.
    async fn deliver(&mut self, news: &FeedNews) -> Result<(), DbError> {
        let concerned = self.roster.present(news.added.keys().chain(&news.changed));
        if concerned.is_empty() {
            return Ok(());
        }
        let ids: Vec<NotificationId> = concerned
            .iter()
            .filter_map(|user| news.added.get(user))
            .flatten()
            .cloned()
            .collect();
        let users: Vec<UserId> = concerned.iter().cloned().collect();
        let (entries, counts) = self
            .database
            .run(move |connection| {
                let entries = notification::entries(connection, &ids)?;
                let counts = notification::unread_counts(connection, &users)?;
                Ok::<_, DbError>((entries, counts))
            })
            .await?;
        let mut by_user: BTreeMap<UserId, Vec<(NotificationId, Arc<str>)>> = BTreeMap::new();
        for entry in entries {
            let (user, id) = (entry.user_id.clone(), entry.id.clone());
            let text = text_of(entry).into();
            by_user.entry(user).or_default().push((id, text));
        }
        for (user, count) in counts {
            let entries = by_user.remove(&user).unwrap_or_default();
            let refresh = news
                .changed
                .contains(&user)
                .then_some(RefreshReason::Changed);
            self.roster.tell(&user, |mailbox| {
                mailbox.put(&entries, refresh, count);
            });
            self.told.insert(user, count);
        }
        Ok(())
    }

    async fn refresh_all(&mut self) -> Result<(), DbError> {
        let counts = self.counts_of_all().await?;
        self.tell_to_refresh(counts, RefreshReason::TooMany);
        Ok(())
    }

    /// Finds what was written without a word in the feed.
    async fn count_for_all(&mut self) -> Result<(), DbError> {
        let counts = self.counts_of_all().await?;
        self.told.retain(|user, _| counts.contains_key(user));
        let mut news = BTreeMap::new();
        for (user, count) in counts {
            match self.told.get(&user) {
                Some(told) if *told == count => {}
                // They were told when they came.
                None => drop(self.told.insert(user, count)),
                Some(_) => drop(news.insert(user, count)),
            }
        }
        self.tell_to_refresh(news, RefreshReason::Changed);
        Ok(())
    }

    async fn counts_of_all(&self) -> Result<BTreeMap<UserId, i64>, DbError> {
        let users: Vec<UserId> = self.roster.users().into_iter().collect();
        if users.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.database
            .run(move |connection| notification::unread_counts(connection, &users))
            .await
    }

    fn tell_to_refresh(&mut self, counts: BTreeMap<UserId, i64>, reason: RefreshReason) {
        for (user, count) in counts {
            self.roster.tell(&user, |mailbox| {
                mailbox.put(&[], Some(reason), count);
            });
            self.told.insert(user, count);
        }
    }

    /// Ends the sockets of those who were deactivated or have logged out, wherever that was done.
    async fn check_access(&self) -> Result<(), DbError> {
        let users: Vec<UserId> = self.roster.users().into_iter().collect();
        if users.is_empty() {
            return Ok(());
        }
        let asked = users.clone();
        let epochs = self
            .database
            .run(move |connection| session::present_epochs(connection, &asked))
            .await?;
        for user in &users {
            self.roster.keep_only(user, epochs.get(user).copied());
        }
        Ok(())
    }

    /// Once, not with every look.
    fn say_whether_it_works(&mut self, looked: &Result<(), DbError>) {
        let reading = match looked {
            Ok(()) => Reading::Works,
            Err(_) => Reading::Fails,
        };
        if reading == std::mem::replace(&mut self.reading, reading) {
            return;
        }
        match looked {
            Ok(()) => log::info!("open pages hear of news again"),
            Err(error) => log::warn!("open pages do not hear of news: {error}"),
        }
    }
}

/// An entry as it goes over the wire.
pub(super) fn text_of(entry: Notification) -> String {
    ServerMessage::Notification(NotificationView::from(entry)).to_text()
}

/// Waits for a signal; for ever if none can be heard.
async fn woken(signals: &mut Option<watch::Receiver<()>>) {
    match signals {
        Some(open) => {
            if open.changed().await.is_err() {
                *signals = None;
            }
        }
        None => std::future::pending().await,
    }
}
