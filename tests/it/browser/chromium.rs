//! Chromium without a window, over its DevTools protocol.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::eventually;

/// What the browser is called on various systems. `CHROMIUM` names another.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser; it ends when it is dropped.
pub struct Browser {
    process: Child,
    port: u16,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let program = program();
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(&program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-port=0",
                "--window-size=1100,800",
                "about:blank",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut browser = Self {
            process,
            port: 0,
            _profile: profile,
        };
        let told = browser._profile.path().join("DevToolsActivePort");
        eventually("the browser tells its port", async || {
            let ended = browser.process.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended at once", program.display());
            let port = fs::read_to_string(&told).ok();
            let port = port.and_then(|text| text.lines().next()?.parse().ok());
            browser.port = port.unwrap_or(0);
            browser.port != 0
        })
        .await;
        browser
    }

    /// A new page at this address. Screenshots of it are called `name`.
    pub async fn open(&self, url: &str, name: &str) -> Page {
        let address = format!("127.0.0.1:{}", self.port);
        let new = format!("http://{address}/json/new?about:blank");
        let answer = reqwest::Client::new().put(new).send().await.unwrap();
        let target: Value = answer.json().await.unwrap();
        let debugger = target["webSocketDebuggerUrl"].as_str().unwrap();
        let connection = TcpStream::connect(&address).await.unwrap();
        let (stream, _) = client_async(debugger, connection).await.unwrap();
        let mut page = Page {
            stream,
            commands: 0,
            name: name.to_owned(),
        };
        page.command("Page.enable", json!({})).await;
        page.command("Page.navigate", json!({ "url": url })).await;
        while page.message().await["method"] != "Page.loadEventFired" {}
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A page in a browser.
pub struct Page {
    stream: WebSocketStream<TcpStream>,
    commands: u64,
    name: String,
}

impl Page {
    /// The value of an expression.
    pub async fn value(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.command("Runtime.evaluate", parameters).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. If that does not happen, the screenshot is kept.
    pub async fn until(&mut self, what: &str, expression: &str) {
        let waiting = format!(
            "new Promise((done) => {{ const since = Date.now(); const look = () => {{ \
             let is; try {{ is = {expression}; }} catch {{ is = false; }} \
             if (is) done(true); else if (Date.now() - since > 30000) done(false); \
             else setTimeout(look, 10); }}; look(); }})"
        );
        if self.value(&waiting).await != true {
            let kept = self.screenshot().await;
            panic!("still not after 30 s: {what}; see {}", kept.display());
        }
    }

    /// Loads it anew, as whoever presses the button does.
    pub async fn reload(&mut self) {
        self.command("Page.reload", json!({})).await;
        while self.message().await["method"] != "Page.loadEventFired" {}
    }

    /// Keeps a picture of it below the folder of the build; answers where.
    pub async fn screenshot(&mut self) -> PathBuf {
        self.keep_picture(&self.name.clone()).await
    }

    /// The same of something in particular, beside the others.
    pub async fn screenshot_of(&mut self, what: &str) -> PathBuf {
        self.keep_picture(&format!("{}-{what}", self.name)).await
    }

    async fn keep_picture(&mut self, name: &str) -> PathBuf {
        let picture = self.command("Page.captureScreenshot", json!({})).await;
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        fs::write(&file, decoded(picture["data"].as_str().unwrap())).unwrap();
        file
    }

    async fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.commands += 1;
        let id = self.commands;
        let command = json!({ "id": id, "method": method, "params": parameters });
        self.stream
            .send(Message::text(command.to_string()))
            .await
            .unwrap();
        loop {
            let answer = self.message().await;
            if answer["id"] == id {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].clone();
            }
        }
    }

    async fn message(&mut self) -> Value {
        loop {
            let message = self.stream.next().await.expect("the browser is gone");
            if let Message::Text(text) = message.unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}

fn program() -> PathBuf {
    if let Some(named) = env::var_os("CHROMIUM") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|folder| NAMES.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("no Chromium in the PATH: run ./scripts/test, which installs it, or name one by CHROMIUM")
    })
}

/// Base64, as the browser sends pictures.
fn decoded(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter_map(|byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    });
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = (bits << 6) | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).unwrap());
        }
    }
    bytes
}
