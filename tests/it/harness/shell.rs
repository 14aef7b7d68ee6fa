//! The databases' own shells: what another program does that knows nothing of this one.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use shared::db::DatabaseUrl;

use super::TestDatabase;

/// A shell that is running.
pub struct Shell {
    child: Child,
}

impl Shell {
    /// `psql` or `sqlite3` on this database, running this SQL, each statement by itself unless the SQL
    /// says otherwise. It ends at the first error.
    pub fn start(url: &DatabaseUrl, sql: &str) -> Self {
        let (mut command, begin) = match url.file() {
            Some(file) => (sqlite3(file), ".timeout 15000\n"),
            None => (psql(&url.reveal()), ""),
        };
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{program:?} could not be started: {error}; ./scripts/test installs it")
        });
        let mut input = child.stdin.take().unwrap();
        // Both read everything before they answer more than a pipe holds.
        input
            .write_all(format!("{begin}{sql}\n").as_bytes())
            .unwrap();
        Self { child }
    }

    /// What it has printed, or what was wrong.
    pub fn end(self) -> Result<String, String> {
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

fn psql(url: &str) -> Command {
    let beside_the_server =
        env::var("TEST_POSTGRES_BIN").map(|folder| Path::new(&folder).join("psql"));
    let mut command = match beside_the_server {
        Ok(program) if program.exists() => Command::new(program),
        _ => Command::new("psql"),
    };
    command
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--dbname",
            url,
        ])
        .env("PGCLIENTENCODING", "UTF8");
    command
}

fn sqlite3(file: &Path) -> Command {
    let mut command = Command::new("sqlite3");
    // Without the settings of whoever runs the tests.
    command
        .args(["-batch", "-bail", "-init", "/dev/null"])
        .arg(file);
    command
}

impl TestDatabase {
    /// Runs SQL in the database's own shell; answers what it printed. An error fails the test.
    #[track_caller]
    pub fn shell(&self, sql: &str) -> String {
        self.try_shell(sql)
            .unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// The same, and the error is the answer.
    pub fn try_shell(&self, sql: &str) -> Result<String, String> {
        Shell::start(self.url(), sql).end()
    }
}
