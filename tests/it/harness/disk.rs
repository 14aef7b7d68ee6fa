//! A disk of a test's own that can be full.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A small disk where this process may mount one. Elsewhere a folder, and a disk that is full is
/// played by a limit on the size of the files that certain processes may write: the same refusal to
/// the same writes, with another number ("file too large" for "no space left").
pub struct SmallDisk {
    folder: TempDir,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mounted,
    Limited,
}

/// What takes the room of a full disk.
const BALLAST: &str = "ballast";

impl SmallDisk {
    /// An empty one of this size.
    pub fn of_megabytes(megabytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A server that does not run as this user has its data here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        let kind = if mounted {
            Kind::Mounted
        } else {
            Kind::Limited
        };
        Self { folder, kind }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What it is, for the table.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Mounted => "a tmpfs",
            Kind::Limited => "a file size limit",
        }
    }

    /// From now on nothing more can be written; where it is no real disk, by these processes.
    pub fn fill(&self, writers: impl Fn() -> Vec<u32>) {
        match self.kind {
            Kind::Mounted => {
                let mut ballast = File::create(self.path().join(BALLAST)).unwrap();
                while ballast.write_all(&[0; 4096]).is_ok() {}
            }
            Kind::Limited => limit_file_size(writers, "0:unlimited"),
        }
    }

    /// Somebody has made room.
    pub fn make_room(&self, writers: impl Fn() -> Vec<u32>) {
        match self.kind {
            Kind::Mounted => fs::remove_file(self.path().join(BALLAST)).unwrap(),
            Kind::Limited => limit_file_size(writers, "unlimited:unlimited"),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.kind == Kind::Mounted {
            // Lazily: after a failure somebody may still be using it.
            let unmounted = Command::new("umount")
                .arg("--lazy")
                .arg(self.path())
                .status();
            assert!(
                std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
                "the small disk could not be unmounted"
            );
        }
    }
}

fn limit_file_size(processes: impl Fn() -> Vec<u32>, limits: &str) {
    // A second time for those that were started meanwhile by one that had its old limits.
    for process in processes().into_iter().chain(processes()) {
        let limited = Command::new("prlimit")
            .args(["--pid", &process.to_string(), &format!("--fsize={limits}")])
            .output()
            .expect("prlimit of util-linux is needed where no disk can be mounted");
        // A process that has ended meanwhile needs no limit.
        let gone = !Path::new(&format!("/proc/{process}")).exists();
        assert!(
            limited.status.success() || gone,
            "{}",
            String::from_utf8_lossy(&limited.stderr)
        );
    }
}
