//! The real programs, built for release and started as an operator does.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::process::{self, Usage};

/// How long a program may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// How much of what a program has said is shown if it fails.
const LINES_SHOWN: usize = 20;

/// A running program. Killed when dropped.
pub struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Brings the programs up to date, so that no stale ones are measured. Quick where nothing has
/// changed.
///
/// # Errors
/// If the bench itself was not built for release, or the build fails.
pub fn build() -> anyhow::Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this bench was built for debugging, and so would its limits be; run: cargo run --release -p bench -- …"
    );
    let release = folder()?;
    let target = release.parent().context("no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--bins"])
        .args(["-p", "outbox-relay", "-p", "crm-api", "--target-dir"])
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .status()
        .context("cargo cannot be run")?;
    ensure!(built.success(), "the programs could not be built");
    Ok(())
}

/// The programs lie beside this one.
fn folder() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().context("this program lies nowhere")?;
    Ok(folder.to_owned())
}

/// An address that nobody listens on at this moment.
///
/// # Errors
/// If there is none.
pub fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.to_string())
}

impl Program {
    /// Starts a program with an empty environment. What it says goes into a file in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &'static str, arguments: &[String], logs: &Path) -> anyhow::Result<Self> {
        let log = tempfile::Builder::new()
            .prefix(name)
            .suffix(".log")
            .tempfile_in(logs)?
            .into_temp_path()
            .keep()?;
        let out = File::create(&log)?;
        let child = Command::new(folder()?.join(name))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name, child, log })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// If it does not run any more; with its last words.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let used = process::usage(self.child.id())?;
        // One that has ended but is not waited for has no memory.
        ensure!(
            used.memory > 0,
            "{} has ended: {}",
            self.name,
            self.last_words()
        );
        Ok(used)
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// If it does not in time; with its last words.
    pub async fn until_ready(&mut self, address: &str) -> anyhow::Result<()> {
        let url = format!("http://{address}/readyz");
        let http = reqwest::Client::builder().no_proxy().build()?;
        let asked_since = Instant::now();
        loop {
            if let Ok(answer) = http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if asked_since.elapsed() > PATIENCE || self.child.try_wait()?.is_some() {
                bail!("{} is not ready: {}", self.name, self.last_words());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// SIGTERM, and waits until it has ended in good order.
    ///
    /// # Errors
    /// If it does not; with its last words.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let asked_at = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{}: {status}: {}", self.name, self.last_words()),
                None if asked_at.elapsed() > PATIENCE => {
                    bail!("{} does not end: {}", self.name, self.last_words())
                }
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The end of what it has said.
    pub fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        format!("it said\n{}", shown.join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
