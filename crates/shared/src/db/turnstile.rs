//! Whose turn it is to write, among the processes that share an SQLite file.
//!
//! SQLite has no queue for its write lock: whoever waits looks for it now and then, and whoever has
//! just let go of it takes it again before anybody has looked. So whoever waits stands in a turnstile,
//! which is the lock of an empty file beside the database: nobody else enters until they have begun,
//! and whoever is writing can see that somebody waits.
//!
//! It is a courtesy and guards nothing. Without the file, or behind somebody who was stopped while
//! they stood in it, everybody writes as if there were none.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether it is free.
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// How long to wait for whoever stands in it. They begin as soon as the one who writes has ended:
/// after a group's time, seldom longer.
const COURTESY_MAX: Duration = Duration::from_millis(200);

/// For how long it is passed by when somebody stood in it who did not begin although nobody wrote.
const PASSED_BY_FOR: Duration = Duration::from_secs(2);

/// Where those who want to write enter one by one.
#[derive(Debug)]
pub(super) struct Turnstile {
    /// Its lock is what counts. None if it cannot be opened.
    file: Option<File>,
    passed_by_until: Option<Instant>,
}

/// Why somebody does not stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotStanding {
    /// Somebody else stood in it for longer than they are waited for.
    InVain,
    /// There is none for now.
    PassedBy,
}

/// Somebody stands in the turnstile, until this is dropped.
#[derive(Debug)]
pub(super) struct Standing<'turnstile>(&'turnstile File);

impl Turnstile {
    /// The one of this database, which exists. That there is none is no error.
    pub(super) fn beside(database: &Path) -> Self {
        let file = open_beside(database).inspect_err(|error| {
            log::info!(
                "no turns are taken in writing {}: {error}",
                database.display()
            );
        });
        Self {
            file: file.ok(),
            passed_by_until: None,
        }
    }

    /// Waits for whoever came first, and stands in it then.
    pub(super) fn enter(&self) -> Result<Standing<'_>, NotStanding> {
        let came_at = Instant::now();
        let Some(file) = self.file.as_ref().filter(|_| !self.is_passed_by(came_at)) else {
            return Err(NotStanding::PassedBy);
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Standing(file)),
                Err(TryLockError::WouldBlock) if came_at.elapsed() < COURTESY_MAX => {
                    thread::sleep(LOOK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(NotStanding::InVain),
                Err(TryLockError::Error(_)) => return Err(NotStanding::PassedBy),
            }
        }
    }

    /// Whoever stands in it does not go on: nobody waits for them for a while.
    pub(super) fn pass_by(&mut self) {
        self.passed_by_until = Some(Instant::now() + PASSED_BY_FOR);
    }

    /// Whether somebody waits for whoever is writing to end.
    pub(super) fn is_somebody_waiting(&self) -> bool {
        let Some(file) = &self.file else { return false };
        if self.is_passed_by(Instant::now()) {
            return false;
        }
        match file.try_lock() {
            Ok(()) => {
                drop(Standing(file));
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    fn is_passed_by(&self, now: Instant) -> bool {
        self.passed_by_until.is_some_and(|until| now < until)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        // It cannot fail on a file that is open.
        if let Err(error) = self.0.unlock() {
            log::debug!("a turnstile could not be left: {error}");
        }
    }
}

fn open_beside(database: &Path) -> io::Result<File> {
    // Whatever name it is reached by.
    let mut path = OsString::from(database.canonicalize()?);
    path.push("-turn");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    // Another user's can be locked all the same.
    options.open(&path).or_else(|_| File::open(&path))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn database(folder: &tempfile::TempDir) -> PathBuf {
        let database = folder.path().join("test.db");
        std::fs::write(&database, "").unwrap();
        database
    }

    #[test]
    fn one_stands_in_it_and_the_others_see_that() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (one, other) = (Turnstile::beside(&database), Turnstile::beside(&database));
        assert!(!other.is_somebody_waiting());
        let standing = one.enter();
        assert!(standing.is_ok());
        assert!(other.is_somebody_waiting());
        drop(standing);
        assert!(!other.is_somebody_waiting());
        let _standing = other.enter();
        assert!(one.is_somebody_waiting());
    }

    #[test]
    fn whoever_is_stopped_in_it_is_passed_by() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (stopped, mut other) = (Turnstile::beside(&database), Turnstile::beside(&database));
        let standing = stopped.enter();
        assert_eq!(other.enter().unwrap_err(), NotStanding::InVain);
        other.pass_by();
        assert!(!other.is_somebody_waiting());
        assert_eq!(other.enter().unwrap_err(), NotStanding::PassedBy);
        other.passed_by_until = Some(Instant::now());
        assert!(other.is_somebody_waiting(), "not for ever");
        drop(standing);
        assert!(other.enter().is_ok());
    }

    #[test]
    fn a_database_with_two_names_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let other_name = folder.path().join("link.db");
        std::os::unix::fs::symlink(&database, &other_name).unwrap();
        let (one, other) = (Turnstile::beside(&database), Turnstile::beside(&other_name));
        let _standing = one.enter();
        assert!(other.is_somebody_waiting());
    }

    #[test]
    fn where_there_is_none_nobody_waits() {
        let nowhere = Turnstile::beside(Path::new("/nowhere/at/all/test.db"));
        assert!(!nowhere.is_somebody_waiting());
        assert_eq!(nowhere.enter().unwrap_err(), NotStanding::PassedBy);
    }
}
