//! Tells relays and open sockets, in whatever process and on whatever host, that something was
//! committed for them.
//!
//! The signal is sent after the commit, on a connection of its own. (Sent inside the transaction it
//! would take a lock that all committing sessions of the database queue for.) It carries nothing and
//! may be lost: whoever waits for it also looks by itself now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::establish;
use super::listener::Listener;
use super::{DatabaseUrl, DbConnection, dialect};

/// How often the listener makes sure that somebody still waits.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// How long after a failure the next connection is tried.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// What a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Relays have something to do.
    Outbox,
    /// Something changed in somebody's notification centre.
    Inboxes,
}

/// The topics that a commit concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Topics(u8);

impl Topics {
    pub(super) fn add(&mut self, topic: Topic) {
        self.0 |= Self::bit(topic);
    }

    fn has(self, topic: Topic) -> bool {
        self.0 & Self::bit(topic) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(topic: Topic) -> u8 {
        match topic {
            Topic::Outbox => 1,
            Topic::Inboxes => 2,
        }
    }
}

/// Wakes those who wait on the returned receiver, from now until they have dropped it.
pub(super) fn listen(url: DatabaseUrl, topic: Topic) -> std::io::Result<watch::Receiver<()>> {
    let (wake, woken) = watch::channel(());
    // Interest is registered before the caller looks for the first time: nothing falls between.
    let first = open(&url, topic);
    thread::Builder::new()
        .name("db-wake".to_owned())
        .spawn(move || wait_while_somebody_else_does(&url, topic, first, &wake))?;
    Ok(woken)
}

fn open(url: &DatabaseUrl, topic: Topic) -> Option<Listener> {
    Listener::open(url, topic)
        .inspect_err(|error| log::debug!("not listening for signals: {error}"))
        .ok()
}

fn wait_while_somebody_else_does(
    url: &DatabaseUrl,
    topic: Topic,
    first: Option<Listener>,
    wake: &watch::Sender<()>,
) {
    let mut listener = first;
    while !wake.is_closed() {
        let Some(open_listener) = &mut listener else {
            thread::sleep(RECONNECT_PAUSE);
            listener = open(url, topic);
            // Something may have come in between.
            wake.send_replace(());
            continue;
        };
        match open_listener.wait(WAIT_MAX) {
            Ok(true) => {
                wake.send_replace(());
            }
            Ok(false) => {}
            Err(error) => {
                log::debug!("no longer listening for signals: {error}");
                listener = None;
            }
        }
    }
}

/// Sends signals after commits. However many commits come while one signal is under way, one more
/// follows it: a thousand assignments a second do not become a thousand signals.
pub(super) struct Signaller {
    /// The topics nobody has signalled yet.
    open: Arc<AtomicU8>,
    wanted: SyncSender<()>,
}

impl Signaller {
    /// Starts the thread. Its connection is opened with the first signal.
    pub(super) fn start(url: DatabaseUrl) -> std::io::Result<Self> {
        let (wanted, queue) = sync_channel(1);
        let open = Arc::new(AtomicU8::new(0));
        let topics = Arc::clone(&open);
        thread::Builder::new()
            .name("db-signal".to_owned())
            .spawn(move || signal_when_wanted(&url, &topics, &queue))?;
        Ok(Self { open, wanted })
    }

    /// Asks for signals, without waiting for them.
    pub(super) fn signal(&self, topics: Topics) {
        self.open.fetch_or(topics.0, Ordering::AcqRel);
        // Full: the thread has yet to look at what is open, and it will do so after this commit.
        let _ = self.wanted.try_send(());
    }
}

fn signal_when_wanted(url: &DatabaseUrl, open: &AtomicU8, queue: &Receiver<()>) {
    let mut connection = None;
    while queue.recv().is_ok() {
        let topics = Topics(open.swap(0, Ordering::AcqRel));
        for topic in [Topic::Outbox, Topic::Inboxes] {
            if !topics.has(topic) {
                continue;
            }
            if let Err(error) = send(url, &mut connection, topic) {
                // Whoever listens finds it at the next look.
                log::debug!("a signal could not be sent: {error}");
                connection = None;
            }
        }
    }
}

fn send(
    url: &DatabaseUrl,
    connection: &mut Option<DbConnection>,
    topic: Topic,
) -> Result<(), String> {
    let connection = match connection {
        Some(connection) => connection,
        empty => {
            let opened = empty.insert(establish(url).map_err(|error| error.to_string())?);
            dialect::start_signalling(opened).map_err(|error| error.to_string())?;
            opened
        }
    };
    dialect::signal(connection, topic).map_err(|error| error.to_string())
}
