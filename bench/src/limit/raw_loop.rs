//! A loop that sends the same messages to the same sink through the same HTTP library, and does
//! nothing else: no database, no leases, no record of what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use tokio::task::JoinSet;

use crate::message;
use crate::sink::Sink;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends messages and answers from the first request to the last answer: the better of one thread,
/// which leaves the others to the sink, and a thread for every processor.
///
/// # Errors
/// If a message is not taken.
pub async fn fastest(sink: &Sink, messages: usize, in_flight: u32) -> anyhow::Result<Duration> {
    let processors = thread::available_parallelism()?.get();
    let mut fastest = Duration::MAX;
    for threads in [1, processors] {
        sink.clear();
        let url = address(sink)?;
        tokio::task::spawn_blocking(move || send(&url, messages, in_flight, threads)).await??;
        let tally = sink.tally();
        ensure!(tally.requests() == messages, "the loop was not counted");
        fastest = fastest.min(tally.span());
    }
    sink.clear();
    Ok(fastest)
}

/// Where messages go.
pub(super) fn address(sink: &Sink) -> anyhow::Result<Url> {
    let url = sink.url();
    Ok(format!("{url}/cgi-bin/message/subscribe/send?access_token=bench").parse()?)
}

/// A client set up as the relay's is.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .no_proxy()
        .build()
}

/// Sends one message and reads the answer.
pub(super) async fn post(http: &Client, url: &Url, body: String) -> reqwest::Result<()> {
    let request = http
        .post(url.clone())
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

fn send(url: &Url, messages: usize, in_flight: u32, threads: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let http = client()?;
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..in_flight {
            let (http, url, next) = (http.clone(), url.clone(), Arc::clone(&next));
            senders.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= messages {
                        return anyhow::Ok(());
                    }
                    post(&http, &url, message::body(number)).await?;
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    })
}
