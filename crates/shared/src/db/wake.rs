//! Tells relays, in whatever process and on whatever host, that something was committed for them.
//!
//! The signal is sent after the commit, on a connection of its own. (Sent inside the transaction it
//! would take a lock that all committing sessions of the database queue for.) It carries nothing and
//! may be lost: whoever waits for it also looks by itself now and then.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::establish;
use super::listener::Listener;
use super::{DatabaseUrl, dialect};

/// How often the listener makes sure that somebody still waits.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// How long after a failure the next connection is tried.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Wakes those who wait on the returned receiver, from now until they have dropped it.
pub(super) fn listen(url: DatabaseUrl) -> std::io::Result<watch::Receiver<()>> {
    let (wake, woken) = watch::channel(());
    // Interest is registered before the caller looks for the first time: nothing falls between.
    let first = open(&url);
    thread::Builder::new()
        .name("db-wake".to_owned())
        .spawn(move || wait_while_somebody_else_does(&url, first, &wake))?;
    Ok(woken)
}

fn open(url: &DatabaseUrl) -> Option<Listener> {
    Listener::open(url)
        .inspect_err(|error| log::debug!("not listening for signals: {error}"))
        .ok()
}

fn wait_while_somebody_else_does(
    url: &DatabaseUrl,
    first: Option<Listener>,
    wake: &watch::Sender<()>,
) {
    let mut listener = first;
    while !wake.is_closed() {
        let Some(open_listener) = &mut listener else {
            thread::sleep(RECONNECT_PAUSE);
            listener = open(url);
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
