//! The page that shows delivered messages on a drawn phone, and the stream that feeds it.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{Bytes, Data};
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;

use crate::control::SandboxControl;
use crate::record::{Message, MessageFilter};
use crate::world::World;

const PAGE: &str = include_str!("../assets/phone.html");

/// Everything is in the one file; the browser may fetch nothing but the stream.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:";

/// Most cards in one event; a page shows no more than that of a burst.
const MOST_CARDS: usize = 200;
/// Most recipients that are offered before they have got anything.
const MOST_RECIPIENTS: usize = 50;
/// Pause between two events, so that a burst becomes a few large ones.
const PAUSE: Duration = Duration::from_millis(100);

/// Labels of what the demo cloud function is told.
const NOTIFICATION_LABELS: [(&str, &str); 7] = [
    ("customerName", "客户姓名"),
    ("customerPhone", "联系电话"),
    ("customerCount", "客户数量"),
    ("leadSource", "客户来源"),
    ("source", "分配方式"),
    ("assignerName", "分配人"),
    ("assignTime", "分配时间"),
];

/// What is new for a page since what it has seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Feed {
    /// Another number than before: everything was reset.
    generation: u32,
    last: u64,
    /// Messages that were shown.
    count: u64,
    repeats: u64,
    recipients: Vec<Recipient>,
    /// Oldest first.
    cards: Vec<Card>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Recipient {
    name: String,
    openid: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    seq: u64,
    openid: String,
    recipient: String,
    app: String,
    title: String,
    rows: Vec<Row>,
    page: Option<String>,
    repeat: bool,
    received_at: u64,
}

#[derive(Debug, Serialize)]
struct Row {
    label: String,
    value: String,
}

impl Feed {
    pub(crate) fn of(world: &World, since: u64) -> Self {
        let filter = MessageFilter {
            since,
            ..Default::default()
        };
        let cards = world
            .journal
            .messages(&filter, MOST_CARDS)
            .iter()
            .filter(|message| message.is_shown())
            .map(|message| Card::of(message, world))
            .collect();
        let mut recipients: Vec<Recipient> = world
            .users
            .values()
            .filter_map(|user| {
                user.name.clone().map(|name| Recipient {
                    name,
                    openid: user.openid.clone(),
                })
            })
            .take(MOST_RECIPIENTS)
            .collect();
        recipients.sort();
        let stats = world.journal.stats(0);
        Self {
            generation: world.journal.generation(),
            last: stats.accepted,
            count: world.journal.shown(),
            repeats: stats.duplicates,
            recipients,
            cards,
        }
    }
}

impl Card {
    fn of(message: &Message, world: &World) -> Self {
        let app = world
            .accounts
            .iter()
            .find(|account| account.app.appid == message.appid)
            .map_or_else(|| message.appid.clone(), |account| account.app.name.clone());
        let recipient = world
            .users
            .get(&message.openid)
            .and_then(|user| user.name.clone())
            .unwrap_or_else(|| message.openid.clone());
        let template = message
            .template_id
            .as_deref()
            .and_then(|id| world.templates.get(id));
        let data = message.data();
        let (title, rows) = match template {
            Some(owned) => {
                let rows = owned.template.fields.iter().map(|field| Row {
                    label: field.name.clone(),
                    value: shown(data.get(&field.key).and_then(|d| d.get("value"))),
                });
                (owned.template.title.clone(), rows.collect())
            }
            None => notification_card(&data),
        };
        Self {
            seq: message.seq,
            openid: message.openid.clone(),
            recipient,
            app,
            title,
            rows,
            page: message.page.clone(),
            repeat: message.repeat,
            received_at: message.received_at,
        }
    }
}

fn notification_card(data: &Value) -> (String, Vec<Row>) {
    let rows: Vec<Row> = NOTIFICATION_LABELS
        .iter()
        .filter_map(|(key, label)| {
            let value = data.get(key).filter(|value| !value.is_null())?;
            Some(Row {
                label: (*label).to_owned(),
                value: shown(Some(value)),
            })
        })
        .collect();
    ("客户分配通知".to_owned(), rows)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

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
