//! Tells relays, in whatever process and on whatever host, that something was committed for them.
//!
//! The signal is sent after the commit, on a connection of its own. (Sent inside the transaction it
//! would take a lock that all committing sessions of the database queue for.) It carries nothing and
//! may be lost: whoever waits for it also looks by itself now and then.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::connection::establish;
use super::dialect::WakePosition;
use super::{DatabaseUrl, DbConnection, dialect};

/// How often the listener looks. Neither driver lets a thread sleep until a signal comes. A look
/// costs a few microseconds, so that a thousand a second are below one per cent of a core.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// For so long after a signal … (Where every commit is a signal, heartbeats are too: this is short
/// beside the second between two of them.)
const LIVELY_FOR: Duration = Duration::from_millis(100);
/// … it looks this often: where something happens, more is about to.
const LOOK_EVERY_WHILE_LIVELY: Duration = Duration::from_micros(250);

/// How often the listener makes sure that its connection still exists.
const PING_EVERY: Duration = Duration::from_secs(5);

/// How long after a failure the next connection is tried.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Wakes those who wait on the returned receiver, from now until they have dropped it.
pub(super) fn listen(url: DatabaseUrl) -> std::io::Result<watch::Receiver<()>> {
    let (wake, woken) = watch::channel(());
    // Interest is registered before the caller looks for the first time: nothing falls between.
    let first = open(&url);
    thread::Builder::new()
        .name("db-wake".to_owned())
        .spawn(move || look_while_somebody_waits(&url, first, &wake))?;
    Ok(woken)
}

struct Listener {
    connection: DbConnection,
    position: WakePosition,
    pinged_at: Instant,
    woken_at: Instant,
}

impl Listener {
    fn pause(&self) -> Duration {
        if self.woken_at.elapsed() < LIVELY_FOR {
            LOOK_EVERY_WHILE_LIVELY
        } else {
            LOOK_EVERY
        }
    }
}

fn open(url: &DatabaseUrl) -> Option<Listener> {
    let opened = establish(url)
        .map_err(|error| error.to_string())
        .and_then(|mut connection| {
            let position =
                dialect::start_listening(&mut connection).map_err(|error| error.to_string())?;
            Ok(Listener {
                connection,
                position,
                pinged_at: Instant::now(),
                woken_at: Instant::now(),
            })
        });
    opened
        .inspect_err(|error| log::debug!("not listening for signals: {error}"))
        .ok()
}

fn look_while_somebody_waits(url: &DatabaseUrl, first: Option<Listener>, wake: &watch::Sender<()>) {
    let mut listener = first;
    while !wake.is_closed() {
        let Some(open_listener) = &mut listener else {
            thread::sleep(RECONNECT_PAUSE);
            listener = open(url);
            // Something may have come in between.
            wake.send_replace(());
            continue;
        };
        match look(open_listener) {
            Ok(true) => {
                open_listener.woken_at = Instant::now();
                wake.send_replace(());
            }
            Ok(false) => {}
            Err(error) => {
                log::debug!("no longer listening for signals: {error}");
                listener = None;
                continue;
            }
        }
        thread::sleep(open_listener.pause());
    }
}

fn look(listener: &mut Listener) -> Result<bool, diesel::result::Error> {
    if listener.pinged_at.elapsed() >= PING_EVERY {
        dialect::ping(&mut listener.connection)?;
        listener.pinged_at = Instant::now();
    }
    dialect::was_woken(&mut listener.connection, &mut listener.position)
}

/// Sends signals after commits. However many commits come while one signal is under way, one more
/// follows it: a thousand assignments a second do not become a thousand signals.
pub(super) struct Signaller {
    wanted: SyncSender<()>,
}

impl Signaller {
    /// Starts the thread. Its connection is opened with the first signal.
    pub(super) fn start(url: DatabaseUrl) -> std::io::Result<Self> {
        let (wanted, queue) = sync_channel(1);
        thread::Builder::new()
            .name("db-signal".to_owned())
            .spawn(move || signal_when_wanted(&url, &queue))?;
        Ok(Self { wanted })
    }

    /// Asks for a signal, without waiting for it.
    pub(super) fn signal(&self) {
        // Full: one is already waiting to be sent, and it will be sent after this commit.
        let _ = self.wanted.try_send(());
    }
}

fn signal_when_wanted(url: &DatabaseUrl, queue: &Receiver<()>) {
    let mut connection = None;
    while queue.recv().is_ok() {
        let sent = match &mut connection {
            Some(connection) => dialect::signal(connection).map_err(|error| error.to_string()),
            empty => establish(url)
                .map_err(|error| error.to_string())
                .and_then(|opened| {
                    let opened = empty.insert(opened);
                    dialect::start_signalling(opened)
                        .and_then(|()| dialect::signal(opened))
                        .map_err(|error| error.to_string())
                }),
        };
        if let Err(error) = sent {
            // The relays find the message at their next look.
            log::debug!("a signal could not be sent: {error}");
            connection = None;
        }
    }
}
