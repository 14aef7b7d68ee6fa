//! The real programs, as an operator starts them.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a program may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program and what it has said so far. Killed when dropped.
pub struct TestProcess {
    child: Child,
    said: Arc<Mutex<String>>,
    printed: Arc<Mutex<String>>,
    listeners: Vec<JoinHandle<()>>,
}

/// How a program ended.
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output and standard error, line by line as they came.
    pub said: String,
    /// Standard output alone.
    pub printed: String,
}

impl Ended {
    /// What it has printed, if it ended well.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert!(self.status.success(), "{}", self.said);
        serde_json::from_str(&self.printed).unwrap()
    }
}

impl TestProcess {
    /// Starts a program of this workspace with an empty environment.
    pub fn start(program: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(path_of(program));
        command.args(arguments);
        Self::start_command(command, &[])
    }

    /// Starts a program of this workspace with nothing but this in its environment.
    pub fn start_with(program: &str, arguments: &[String], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path_of(program));
        command.args(arguments);
        Self::start_command(command, environment)
    }

    /// Starts a program that is told of a file that became too large, and not killed for it.
    pub fn start_despite_size_limits(program: &str, arguments: &[String]) -> Self {
        let mut command = Command::new("/bin/sh");
        // What is ignored stays ignored across an exec.
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(path_of(program))
            .args(arguments);
        Self::start_command(command, &[])
    }

    fn start_command(mut command: Command, environment: &[(&str, &str)]) -> Self {
        let mut child = command
            .env_clear()
            .env("USER", "tester")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, printed) = (Arc::default(), Arc::default());
        let listeners = vec![
            listen(
                child.stdout.take().unwrap(),
                vec![Arc::clone(&said), Arc::clone(&printed)],
            ),
            listen(child.stderr.take().unwrap(), vec![Arc::clone(&said)]),
        ];
        Self {
            child,
            said,
            printed,
            listeners,
        }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// `kill -9`: no chance to clean up.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// SIGTERM, and waits until it has ended.
    pub fn terminate(self) -> Ended {
        self.ask_to_end();
        self.end()
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// SIGSTOP: it stands still and does not know it.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on where it stood.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(kill.unwrap().success(), "SIG{name}");
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub fn end(mut self) -> Ended {
        let waiting_since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                waiting_since.elapsed() < PATIENCE,
                "does not end; it said:\n{}",
                self.said()
            );
            thread::yield_now();
        };
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        Ended {
            status,
            said: self.said(),
            printed: self.printed.lock().unwrap().clone(),
        }
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        // Ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[String]) -> Ended {
    TestProcess::start(program, arguments).end()
}

fn listen(
    pipe: impl std::io::Read + Send + 'static,
    heard: Vec<Arc<Mutex<String>>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            for text in &heard {
                let mut text = text.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        }
    })
}

/// The programs lie beside the folder of the test binary.
fn path_of(program: &str) -> PathBuf {
    let test_binary = env::current_exe().unwrap();
    let path = test_binary
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join(program);
    assert!(
        path.exists(),
        "{} is not built: run ./scripts/test, which builds the programs first",
        path.display()
    );
    path
}
