use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::establish;
use super::file_events::FileEvents;
use super::url::{Target, with_time_limits};
use super::wake::Topic;
use super::{DatabaseUrl, DbConnection, dialect};

/// A connection that waits until another one has committed something.
pub(super) enum Listener {
    /// Is told by the server, whoever signals.
    Signalled(postgres_listener::Listener),
    /// Sees by itself.
    Watching(CommitWatch),
}

impl Listener {
    /// Opens a connection; what is committed from now on, and concerns this, is heard.
    ///
    /// # Errors
    /// In words.
    pub(super) fn open(url: &DatabaseUrl, topic: Topic) -> Result<Self, String> {
        match &url.0 {
            Target::Postgres { url } => listen(url, topic)
                .map(Self::Signalled)
                .map_err(|error| error.to_string()),
            Target::Sqlite { file } => CommitWatch::open(url, file).map(Self::Watching),
        }
    }

    /// Waits for a commit, at most so long; answers whether there was one.
    ///
    /// # Errors
    /// In words, if the connection is gone.
    pub(super) fn wait(&mut self, at_most: Duration) -> Result<bool, String> {
        match self {
            Self::Signalled(listener) => listener.wait(at_most).map_err(|error| error.to_string()),
            Self::Watching(watch) => watch.wait(at_most),
        }
    }
}

/// A server that is gone without a word is noticed by the keep-alives of the URL's time limits.
fn listen(
    url: &str,
    topic: Topic,
) -> Result<postgres_listener::Listener, postgres_listener::ListenError> {
    let mut listener = postgres_listener::Listener::connect(&with_time_limits(url))?;
    let name = listener.value(dialect::signal_name(topic))?;
    listener.execute(&format!("LISTEN {name}"))?;
    Ok(listener)
}

/// Sees commits by the counter that SQLite keeps of them, and looks at it when the file of its
/// write-ahead log is written to.
pub(super) struct CommitWatch {
    connection: DbConnection,
    seen: dialect::CommitCount,
    /// `None` where the system tells of no writes: then it looks all the time.
    log_writes: Option<FileEvents>,
    looks_until: Instant,
}

/// A commit can be seen only some time after the log was written to: in between, it waits for the
/// disk. So long after a write the watch looks for it …
const LOOKS_FOR: Duration = Duration::from_millis(20);
/// … this often, …
const LOOK_EVERY: Duration = Duration::from_micros(250);
/// … and this often when nothing was written, for disks that are slower, and file systems that tell
/// of no writes.
const LOOKS_ANYWAY_EVERY: Duration = Duration::from_millis(50);
/// How often it looks where it cannot be told of writes.
const LOOK_EVERY_UNTOLD: Duration = Duration::from_millis(1);

impl CommitWatch {
    fn open(url: &DatabaseUrl, file: &Path) -> Result<Self, String> {
        let mut connection = establish(url).map_err(|error| error.to_string())?;
        let log_writes = FileEvents::of_log(file)
            .inspect_err(|error| log::debug!("writes to {} are not told: {error}", file.display()))
            .ok();
        let seen = dialect::commit_count(&mut connection).map_err(|error| error.to_string())?;
        Ok(Self {
            connection,
            seen,
            log_writes,
            looks_until: Instant::now(),
        })
    }

    fn wait(&mut self, at_most: Duration) -> Result<bool, String> {
        let until = Instant::now() + at_most;
        loop {
            if self.has_seen_a_commit()? {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= until {
                return Ok(false);
            }
            match &mut self.log_writes {
                None => thread::sleep(LOOK_EVERY_UNTOLD),
                Some(_) if now < self.looks_until => thread::sleep(LOOK_EVERY),
                Some(writes) => {
                    let patience = LOOKS_ANYWAY_EVERY.min(until - now);
                    if writes.wait(patience).map_err(|error| error.to_string())? {
                        self.looks_until = Instant::now() + LOOKS_FOR;
                    }
                }
            }
        }
    }

    fn has_seen_a_commit(&mut self) -> Result<bool, String> {
        let now = dialect::commit_count(&mut self.connection).map_err(|error| error.to_string())?;
        let before = std::mem::replace(&mut self.seen, now);
        Ok(before != now)
    }
}
