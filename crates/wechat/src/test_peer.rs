//! A small HTTP server for tests: the other end of the wire, with the ways it can misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::client::{ApiClient, ApiClientConfig};

/// What the peer does with one request.
#[derive(Clone)]
pub enum Reply {
    /// HTTP 200 with this body.
    Body(String),
    /// This status and body.
    Status(u16, String),
    /// HTTP 200 with this body once the gate lets it through.
    Gated(String, Arc<Semaphore>),
    /// Reads the request and never answers.
    Hang,
    /// Promises a longer body than it sends, then resets the connection.
    ResetMidBody,
    /// Closes the connection without a word.
    Close,
}

impl Reply {
    pub fn body(text: impl Into<String>) -> Self {
        Self::Body(text.into())
    }
}

#[derive(Debug, Clone)]
pub struct SeenRequest {
    pub line: String,
    pub head: String,
    pub body: String,
}

pub struct TestPeer {
    base_url: String,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    arrived: watch::Receiver<usize>,
    connections: Arc<AtomicUsize>,
}

impl TestPeer {
    /// Answers the n-th request with the n-th reply, and the last reply for ever after.
    pub async fn with(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (announce, arrived) = watch::channel(0);
        let announce = Arc::new(announce);
        let script = Arc::new(replies);
        let record = Arc::clone(&seen);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (script, record) = (Arc::clone(&script), Arc::clone(&record));
                let announce = Arc::clone(&announce);
                tokio::spawn(serve(stream, script, record, announce));
            }
        });
        Self {
            base_url,
            seen,
            arrived,
            connections,
        }
    }

    pub async fn always(reply: Reply) -> Self {
        Self::with(vec![reply]).await
    }

    /// Patient enough for a busy machine.
    pub fn client(&self) -> ApiClient {
        client_of(
            &self.base_url,
            Duration::from_secs(10),
            Duration::from_secs(20),
        )
    }

    /// For replies that never come.
    pub fn impatient_client(&self) -> ApiClient {
        client_of(
            &self.base_url,
            Duration::from_millis(150),
            Duration::from_millis(300),
        )
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }

    pub async fn request_arrived(&self, count: usize) {
        self.arrived
            .clone()
            .wait_for(|arrived| *arrived >= count)
            .await
            .unwrap();
    }
}

pub fn client_of(
    base_url: &str,
    connect_timeout: Duration,
    request_timeout: Duration,
) -> ApiClient {
    ApiClient::new(&ApiClientConfig {
        base_url: base_url.to_owned(),
        connect_timeout,
        request_timeout,
    })
    .unwrap()
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Vec<Reply>>,
    record: Arc<Mutex<Vec<SeenRequest>>>,
    announce: Arc<watch::Sender<usize>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut seen = record.lock().unwrap();
            seen.push(request);
            seen.len()
        };
        announce.send_modify(|arrived| *arrived = number);
        let (status, body) = match script[(number - 1).min(script.len() - 1)].clone() {
            Reply::Body(body) => (200, body),
            Reply::Status(status, body) => (status, body),
            Reply::Gated(body, gate) => {
                gate.acquire().await.unwrap().forget();
                (200, body)
            }
            Reply::Hang => std::future::pending().await,
            Reply::ResetMidBody => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"err")
                    .await
                    .unwrap();
                stream.set_zero_linger().unwrap();
                return;
            }
            Reply::Close => return,
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // The client may have given up meanwhile; that is its right.
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<SeenRequest> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            let line = head.lines().next().unwrap_or_default().to_owned();
            return Some(SeenRequest {
                line,
                head: head.to_owned(),
                body: body.to_owned(),
            });
        }
    }
}
