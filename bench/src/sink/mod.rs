//! The platform as far as a relay needs one: a server that gives a token, accepts every message and
//! remembers which. It does as little as possible, so that it is not what is measured.

mod request;
mod tally;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use request::{Reading, Request};
pub use tally::{Count, Tally};

/// What every message is answered with.
const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 55\r\n\r\n\
    {\"errcode\":0,\"errmsg\":\"ok\",\"msgid\":1000000000000000001}";

/// What every request for a token is answered with.
const TOKEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 42\r\n\r\n\
    {\"access_token\":\"bench\",\"expires_in\":7200}";

/// The runtime's timers go off at the millisecond after the one that was asked for: half of one too
/// late in the mean.
const TIMER_LATENESS: Duration = Duration::from_micros(500);

/// A running sink, on a thread of its own. It ends when it is dropped.
pub struct Sink {
    address: SocketAddr,
    tally: Arc<Mutex<Tally>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts a sink that lets every message wait that long for its answer.
    ///
    /// # Errors
    /// If there is no port or no thread to be had.
    pub fn start(delay: Duration) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let kept = Arc::clone(&tally);
        let thread = thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, &kept, delay) => {}
                    }
                });
            })
            .context("no thread for the sink")?;
        Ok(Self {
            address,
            tally,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has arrived so far. Held only for a moment: nothing arrives meanwhile.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Forgets what has arrived.
    pub fn clear(&self) {
        *self.tally() = Tally::default();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Ended already, perhaps.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, tally: &Arc<Mutex<Tally>>, delay: Duration) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("the sink cannot listen: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let tally = Arc::clone(tally);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &tally, delay).await {
                        // A relay that is killed leaves its connections like this.
                        log::debug!("a connection to the sink broke: {error}");
                    }
                });
            }
            Err(error) => return log::error!("the sink cannot listen any more: {error}"),
        }
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(
    mut stream: TcpStream,
    tally: &Mutex<Tally>,
    delay: Duration,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut arrived = Vec::with_capacity(4_096);
    loop {
        match request::read(&arrived) {
            Reading::Incomplete => {
                if stream.read_buf(&mut arrived).await? == 0 {
                    return Ok(());
                }
            }
            Reading::Complete(Request::Token, length) => {
                arrived.drain(..length);
                stream.write_all(TOKEN.as_bytes()).await?;
            }
            Reading::Complete(Request::Message(number), length) => {
                arrived.drain(..length);
                lock(tally).arrive(number, Instant::now());
                if !delay.is_zero() {
                    tokio::time::sleep(delay.saturating_sub(TIMER_LATENESS)).await;
                }
                lock(tally).answer(Instant::now());
                stream.write_all(ACCEPTED.as_bytes()).await?;
            }
            Reading::Unknown => {
                let said = String::from_utf8_lossy(&arrived);
                log::error!("the sink does not know this request: {said}");
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(http: &reqwest::Client, sink: &Sink, number: usize) -> serde_json::Value {
        let url = format!("{}/cgi-bin/message/subscribe/send", sink.url());
        let body = crate::message::body(number);
        let answer = http.post(url).body(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    #[tokio::test]
    async fn messages_that_came_twice_or_not_at_all_are_counted() {
        let sink = Sink::start(Duration::ZERO).unwrap();
        let http = reqwest::Client::new();
        for number in [0, 1, 1, 4, 1] {
            let answer = send(&http, &sink, number).await;
            assert_eq!(answer["errcode"], 0);
            assert!(answer["msgid"].is_u64(), "{answer}");
        }
        let expected = Count {
            arrived: 3,
            duplicates: 2,
            losses: 2,
            strangers: 0,
        };
        assert_eq!(sink.tally().count(0..5), expected);
        sink.clear();
        assert_eq!(sink.tally().requests(), 0);
    }

    #[tokio::test]
    async fn a_token_is_given_and_is_no_message() {
        let sink = Sink::start(Duration::ZERO).unwrap();
        let url = format!("{}/cgi-bin/stable_token", sink.url());
        let answer = reqwest::Client::new().post(url).body("{}").send().await;
        let answer: serde_json::Value = answer.unwrap().json().await.unwrap();
        assert_eq!(answer["access_token"], "bench");
        assert_eq!(sink.tally().requests(), 0);
    }

    #[tokio::test]
    async fn an_answer_comes_after_the_delay() {
        let delay = Duration::from_millis(30);
        let sink = Sink::start(delay).unwrap();
        let asked_at = Instant::now();
        send(&reqwest::Client::new(), &sink, 0).await;
        assert!(asked_at.elapsed() >= delay - Duration::from_millis(1));
        assert!(sink.tally().span() >= delay - Duration::from_millis(1));
    }
}
