//! Sleeps until the write-ahead log of a database file is written to.

#[cfg(target_os = "linux")]
pub(super) use linux::FileEvents;
#[cfg(not(target_os = "linux"))]
pub(super) use other::FileEvents;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

    /// What the system tells of writes to one file.
    pub(in crate::db) struct FileEvents {
        events: OwnedFd,
        file_name: OsString,
    }

    impl FileEvents {
        /// Of the log beside this database file. The folder is watched: the log comes and goes.
        pub(in crate::db) fn of_log(database: &Path) -> io::Result<Self> {
            let mut file_name = database.file_name().unwrap_or_default().to_owned();
            file_name.push("-wal");
            let folder = match database.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            inotify::add_watch(&events, folder, WatchFlags::MODIFY | WatchFlags::CREATE)?;
            Ok(Self { events, file_name })
        }

        /// Waits for a write, at most so long; answers whether there was one.
        pub(in crate::db) fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
            let patience = Timespec::try_from(at_most).map_err(io::Error::other)?;
            let mut wanted = [PollFd::new(&self.events, PollFlags::IN)];
            match poll(&mut wanted, Some(&patience)) {
                // A signal to the process; whoever waits looks again.
                Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            self.take_events()
        }

        /// Whether one of the events that have come is of the file.
        fn take_events(&mut self) -> io::Result<bool> {
            let mut buffer = [MaybeUninit::uninit(); 4_096];
            let mut reader = Reader::new(&self.events, &mut buffer);
            let mut was_written = false;
            loop {
                match reader.next() {
                    Ok(event) => {
                        was_written |= event
                            .file_name()
                            .is_some_and(|name| name.to_bytes() == self.file_name.as_bytes());
                    }
                    Err(rustix::io::Errno::AGAIN) => return Ok(was_written),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    /// This system is not asked: there is none.
    pub(in crate::db) enum FileEvents {}

    impl FileEvents {
        pub(in crate::db) fn of_log(_database: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(in crate::db) fn wait(&mut self, _at_most: Duration) -> io::Result<bool> {
            match *self {}
        }
    }
}
