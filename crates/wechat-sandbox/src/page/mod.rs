//! The page that shows delivered messages on a drawn phone, and the stream that feeds it.

mod card;
mod description;
mod feed;

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{Bytes, Data};
use futures_util::stream;

use crate::control::SandboxControl;

pub(crate) use self::feed::Feed;

const PAGE: &str = include_str!("../../assets/phone.html");

/// Everything is in the one file; the browser may fetch nothing but the stream.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:";

/// Pause between two events, so that a burst becomes a few large ones.
const PAUSE: Duration = Duration::from_millis(100);

/// `GET /`.
pub(crate) async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(PAGE)
}

/// `GET /events`: server-sent events, first what is there, then whatever comes.
pub(crate) async fn events(control: Data<SandboxControl>) -> HttpResponse {
    let viewer = Viewer {
        changes: control.changes(),
        control: (**control).clone(),
        seen: None,
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(stream::unfold(viewer, |mut viewer| async move {
            let event = viewer.next_event().await?;
            Some((Ok::<Bytes, actix_web::Error>(event), viewer))
        }))
}

struct Viewer {
    control: SandboxControl,
    changes: tokio::sync::watch::Receiver<()>,
    seen: Option<Seen>,
}

/// What the page knows after the last event.
#[derive(PartialEq, Eq)]
struct Seen {
    generation: u32,
    last: u64,
    recipients: usize,
}

impl Viewer {
    /// The next event; `None` when the sandbox is gone.
    async fn next_event(&mut self) -> Option<Bytes> {
        if self.seen.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let since = self.seen.as_ref().map_or(0, |seen| seen.last);
            let mut feed = self.control.feed(since);
            if self
                .seen
                .as_ref()
                .is_some_and(|seen| seen.generation != feed.generation)
            {
                feed = self.control.feed(0);
            }
            let news = Some(Seen {
                generation: feed.generation,
                last: feed.last,
                recipients: feed.recipients.len(),
            });
            if news != self.seen {
                self.seen = news;
                let json = serde_json::to_string(&feed).ok()?;
                return Some(Bytes::from(format!("data: {json}\n\n")));
            }
            self.changes.changed().await.ok()?;
        }
    }
}
