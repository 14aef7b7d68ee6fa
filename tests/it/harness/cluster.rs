//! A PostgreSQL server of a test's own: one that may be stopped, crashed and starved.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::BuildHasher;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A server in a temporary folder. Stopped and removed when dropped.
pub struct TestCluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Everybody is sent away, and everything is written: what an administrator does.
    Fast,
    /// No time for anything: as if its host had lost power. It recovers at the next start.
    Crash,
}

impl TestCluster {
    /// A new server with these lines in its configuration.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(&env::temp_dir(), settings)
    }

    /// The same with its data in a folder of its own in `place`.
    pub fn start_in(place: &Path, settings: &[&str]) -> Self {
        let programs = env::var("TEST_POSTGRES_BIN").unwrap_or_else(|_| {
            panic!("TEST_POSTGRES_BIN is not set: run ./scripts/test, which tells the tests where initdb and pg_ctl are")
        });
        let folder = tempfile::tempdir_in(place).unwrap();
        let port = free_port();
        let cluster = Self {
            folder,
            programs: PathBuf::from(programs),
            port,
        };
        cluster.give_to_its_user();
        cluster.run(
            "initdb",
            &[
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ],
        );
        // Every commit is written before it is confirmed, so that a crash of the server loses none;
        // that the disk has it matters only to a host that loses power.
        let folder = cluster.folder.path().display();
        let always = format!(
            "fsync = off\nport = {port}\nlisten_addresses = '127.0.0.1'\n\
             unix_socket_directories = '{folder}'\ntimezone = 'Asia/Kathmandu'\n"
        );
        let configuration = cluster.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&configuration).unwrap();
        text.push_str(&always);
        for setting in settings {
            text.push_str(setting);
            text.push('\n');
        }
        fs::write(&configuration, text).unwrap();
        cluster.start_again();
        cluster
    }

    /// Its address, for `TestDatabase::on_server`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it and waits until it has ended.
    pub fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "--mode=fast",
            Stop::Crash => "--mode=immediate",
        };
        self.run("pg_ctl", &["stop", "--wait", mode, "--pgdata"]);
    }

    /// Starts it and waits until it takes connections.
    pub fn start_again(&self) {
        let log = format!("--log={}", self.folder.path().join("server.log").display());
        self.run("pg_ctl", &["start", "--wait", &log, "--pgdata"]);
    }

    /// Starts it unless it runs: one whose disk is full may have given up, or not.
    pub fn start_if_down(&self) {
        if !self
            .try_to_run("pg_ctl", &["status", "--pgdata"])
            .status
            .success()
        {
            self.start_again();
        }
    }

    /// Its processes that write its data: all of them, the one that starts the others first. None
    /// while it is down.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(file) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return Vec::new();
        };
        let postmaster: u32 = file.lines().next().unwrap().parse().unwrap();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        std::iter::once(postmaster).chain(children).collect()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs one of the server's programs on its data; what it is called with comes before the
    /// folder. A failure fails the test.
    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.try_to_run(program, arguments);
        assert!(
            output.status.success(),
            "{program}: {}{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
        );
    }

    fn try_to_run(&self, program: &str, arguments: &[&str]) -> Output {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["--user", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command
            .args(arguments)
            .arg(self.data())
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program} could not be started: {error}"))
    }

    /// The server refuses to run as root; then the user `postgres` runs it, as in scripts/test.
    fn give_to_its_user(&self) {
        if is_root() {
            let chown = Command::new("chown")
                .arg("postgres")
                .arg(self.folder.path())
                .status();
            assert!(
                chown.unwrap().success(),
                "PostgreSQL does not run as root and there is no user named postgres to run it as"
            );
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.try_to_run(
                "pg_ctl",
                &["stop", "--wait", "--mode=immediate", "--pgdata"],
            );
        }
    }
}

/// A port that was free a moment ago, and that stays free while its server is away: below those
/// that the system hands out to whoever connects to somewhere.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(0_u8) % 12_000;
        let port = 20_000 + u16::try_from(random).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether this process is root's: then the folder of every process belongs to root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).map_or_else(
        |_| env::var("USER").is_ok_and(|user| user == "root"),
        |metadata| metadata.uid() == 0,
    )
}
