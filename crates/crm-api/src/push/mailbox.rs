use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::domain::NotificationId;
use tokio::sync::Notify;

use super::message::RefreshReason;

/// How many entries may wait for one socket; more become a `refresh`. A batch makes one entry, so
/// that somebody who is not a machine does not get so many at once.
const ENTRIES_MAX: usize = 32;

/// Why the server ends a socket. Codes from 4000 are this program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The token is over, or was revoked; the user was deactivated or logged out.
    LoggedOut,
    /// The client does not read.
    SlowReader,
    /// Nothing was heard of the client for too long.
    Silent,
    /// The user has too many sockets.
    TooManySockets,
    /// The client kept saying what makes no sense, or kept asking.
    Nonsense,
    /// A message was too large.
    TooLarge,
    /// Binary data.
    NotText,
    /// Not the protocol.
    BadFrame,
    /// The server stops.
    GoingAway,
    /// The database does not answer.
    Unavailable,
}

impl Ending {
    /// The close code and what to show.
    pub(super) fn code_and_reason(self) -> (u16, &'static str) {
        match self {
            Self::LoggedOut => (4401, "登录已失效，请重新登录"),
            Self::SlowReader => (4008, "接收过慢，连接已断开"),
            Self::Silent => (4408, "长时间无响应，连接已断开"),
            Self::TooManySockets => (4429, "打开的页面过多"),
            Self::Nonsense => (1008, "消息无法识别或过于频繁"),
            Self::TooLarge => (1009, "消息过大"),
            Self::NotText => (1003, "只接受文本消息"),
            Self::BadFrame => (1002, "协议错误"),
            Self::GoingAway => (1001, "服务正在重启"),
            Self::Unavailable => (1013, "服务暂时不可用，请稍后再试"),
        }
    }
}

/// What waits for one socket. Bounded: a new count replaces the old one, and too many entries become
/// one word.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

/// The contents of a mailbox, in the order in which they are to be sent.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) entries: Vec<(NotificationId, Arc<str>)>,
    pub(super) refresh: Option<RefreshReason>,
    pub(super) unread: Option<i64>,
    pub(super) ending: Option<Ending>,
}

impl Mailbox {
    /// So much is new: entries with how they go over the wire, a change of the list, and how many are
    /// unread now. In one go: what is taken out together is in order.
    pub(super) fn put(
        &self,
        entries: &[(NotificationId, Arc<str>)],
        refresh: Option<RefreshReason>,
        unread: i64,
    ) {
        let mut waiting = self.lock();
        waiting.unread = Some(unread);
        let too_many = refresh == Some(RefreshReason::TooMany)
            || waiting.refresh == Some(RefreshReason::TooMany)
            || waiting.entries.len() + entries.len() > ENTRIES_MAX;
        if too_many {
            waiting.entries = Vec::new();
            waiting.refresh = Some(RefreshReason::TooMany);
            return;
        }
        waiting.entries.extend_from_slice(entries);
        waiting.refresh = waiting.refresh.or(refresh);
    }

    /// The socket is to be closed.
    pub(super) fn put_ending(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
    }

    /// What was put in may be taken out.
    pub(super) fn ring(&self) {
        self.filled.notify_one();
    }

    /// Waits until something was put in.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What is in it is whole at every moment.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize) -> Vec<(NotificationId, Arc<str>)> {
        (0..count)
            .map(|_| (NotificationId::generate(), "x".into()))
            .collect()
    }

    #[test]
    fn too_many_entries_become_a_refresh() {
        let mailbox = Mailbox::default();
        mailbox.put(&entries(ENTRIES_MAX), None, 1);
        let waiting = mailbox.take();
        assert_eq!(
            (waiting.entries.len(), waiting.refresh),
            (ENTRIES_MAX, None)
        );

        for count in [ENTRIES_MAX - 1, 2, 1] {
            mailbox.put(&entries(count), Some(RefreshReason::Changed), 2);
        }
        let waiting = mailbox.take();
        assert_eq!(waiting.entries.len(), 0);
        assert_eq!(waiting.refresh, Some(RefreshReason::TooMany));
        assert_eq!(mailbox.take().refresh, None);
    }

    #[test]
    fn the_last_count_and_the_first_ending_are_kept() {
        let mailbox = Mailbox::default();
        mailbox.put(&[], Some(RefreshReason::Changed), 3);
        mailbox.put(&[], None, 4);
        mailbox.put_ending(Ending::LoggedOut);
        mailbox.put_ending(Ending::GoingAway);
        let waiting = mailbox.take();
        assert_eq!(
            (waiting.unread, waiting.refresh, waiting.ending),
            (
                Some(4),
                Some(RefreshReason::Changed),
                Some(Ending::LoggedOut)
            )
        );
        assert!(mailbox.take().unread.is_none());
    }
}
