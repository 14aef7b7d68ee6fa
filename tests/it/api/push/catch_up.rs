use std::collections::BTreeSet;
use std::sync::mpsc;

use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::domain::{ChannelSet, NotificationId};
use shared::notification::notify;

use crate::api::Office;
use crate::harness::{Gate, Session, TestDatabase, notice, on_each_database};

on_each_database!(
    what_was_missed_comes_once_and_in_order,
    what_is_committed_while_a_page_opens_is_not_missed,
    what_is_committed_while_a_page_asks_comes_once,
    a_smaller_id_that_is_committed_later_still_arrives,
    nothing_is_missed_by_a_page_that_keeps_coming_and_going,
    more_than_can_be_sent_becomes_a_refresh,
    an_id_that_tells_no_time_is_refused,
);

async fn what_was_missed_comes_once_and_in_order(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    database.tell(&office.li, "甲").await;
    let seen = page.entry().await;
    drop(page);
    database.tell(&office.li, "乙").await;
    database.tell(&office.wang, "别人").await;
    database.tell(&office.li, "丙").await;
    let (mut page, _) = office.api.page(&office.li).await;
    page.since(&seen).await;
    assert_eq!(name(&page.message().await), "乙");
    assert_eq!(name(&page.message().await), "丙");
    assert_eq!(page.count().await, 3);
    // Asked again, it has nothing to add.
    page.since(&seen).await;
    assert_eq!(page.count().await, 3);
}

async fn what_is_committed_while_a_page_opens_is_not_missed(database: &TestDatabase) {
    let office = Office::open(database).await;
    let under_way = Gate::behind(database, &entry_under_way(database, &office.li));
    // It has its seat, and waits for the count.
    let mut page = office.api.socket(&office.li).await;
    under_way.open_when_waiting(1).await;
    assert_eq!(page.count().await, 1);
    if !database.url().is_embedded() {
        // It was committed after the page had its seat: the page is told.
        assert_eq!(page.entry().await["title"], "在途");
    }
}

async fn what_is_committed_while_a_page_asks_comes_once(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    database.tell(&office.li, "甲").await;
    let seen = page.entry().await;
    page.count().await;
    let under_way = Gate::behind(database, &entry_under_way(database, &office.li));
    page.since(&seen).await;
    under_way.open_when_waiting(1).await;
    assert_eq!(page.entry().await["title"], "在途");
    // Both the answer and the feed have it; the page hears it once.
    database.tell(&office.li, "乙").await;
    assert_eq!(name(&page.entry().await), "乙");
}

async fn a_smaller_id_that_is_committed_later_still_arrives(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    for way in [Way::Live, Way::Since] {
        let late = LateCommit::begin(database, &office.li).await;
        database.tell(&office.li, "快").await;
        let fast = page.entry().await;
        assert_eq!(name(&fast), "快");
        if way == Way::Since {
            drop(page);
            late.commit().await;
            let opened = office.api.page(&office.li).await;
            page = opened.0;
            page.since(&fast).await;
        } else {
            late.commit().await;
        }
        let slow = page.entry().await;
        if !database.url().is_embedded() {
            assert!(slow["id"].as_str() < fast["id"].as_str());
        }
        // What was made shortly before is told again to a page that does not say it has it.
        assert!(["慢", "快"].contains(&name(&slow)), "{slow}");
        let mut last = slow;
        while name(&last) != "慢" {
            last = page.entry().await;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Live,
    Since,
}

async fn nothing_is_missed_by_a_page_that_keeps_coming_and_going(database: &TestDatabase) {
    const WRITERS: usize = 4;
    const ENTRIES: usize = 40;
    let office = Office::open(database).await;
    database.tell(&office.li, "first").await;
    let list = office
        .api
        .get(&office.li, "/api/notifications")
        .await
        .data();
    let mut seen = list["items"][0].clone();
    let mut names = BTreeSet::new();
    let writing = async {
        let writers = (0..WRITERS).map(|writer| {
            let li = &office.li;
            async move {
                for entry in 0..ENTRIES {
                    database.tell(li, &format!("{writer}-{entry}")).await;
                }
            }
        });
        futures_util::future::join_all(writers).await;
    };
    let reading = async {
        let all = i64::try_from(WRITERS * ENTRIES + 1).unwrap();
        loop {
            let (mut page, _) = office.api.page(&office.li).await;
            page.since(&seen).await;
            // It is closed in the middle of things: as soon as a second count has come, be it the end
            // of the answer or another entry.
            let mut counts = 0;
            while counts < 2 {
                let message = page.message().await;
                match message["type"].as_str() {
                    Some("notification") => {
                        names.insert(name(&message).to_owned());
                        if message["id"].as_str() > seen["id"].as_str() {
                            seen = message;
                        }
                    }
                    Some("unreadCount") if message["count"] == all => return page,
                    Some("unreadCount") => counts += 1,
                    Some("refresh") => break,
                    _ => panic!("{message}"),
                }
            }
        }
    };
    let ((), page) = tokio::join!(writing, reading);
    drop(page);
    // Everything is committed: what is still lacking is told to the next page that asks.
    let (mut page, _) = office.api.page(&office.li).await;
    page.since(&seen).await;
    names.remove("first");
    while names.len() < WRITERS * ENTRIES {
        let message = page.message().await;
        if message["type"] == "notification" && name(&message) != "first" {
            names.insert(name(&message).to_owned());
        }
    }
}

async fn more_than_can_be_sent_becomes_a_refresh(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    database.tell(&office.li, "甲").await;
    let seen = page.entry().await;
    drop(page);
    let notices: Vec<_> = (0..201)
        .map(|n| notice(&office.li, &format!("客户{n}")))
        .collect();
    let now = SystemClock.now();
    database
        .write(move |transaction| {
            shared::notification::notify_all(transaction, &notices, ChannelSet::default(), now)
        })
        .await;
    let (mut page, count) = office.api.page(&office.li).await;
    assert_eq!(count, 202);
    page.since(&seen).await;
    let refresh = page.message().await;
    assert_eq!(refresh, json!({ "type": "refresh", "reason": "tooMany" }));
    assert_eq!(page.count().await, 202);
}

async fn an_id_that_tells_no_time_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let (mut page, _) = office.api.page(&office.li).await;
    page.since(&json!({ "id": "7b6d8a3e-3c43-4f5a-9f0e-5d0a4c1b2a3d" }))
        .await;
    let error = page.message().await;
    assert_eq!(
        error,
        json!({ "type": "error", "code": "unknownId", "message": "通知编号不正确" })
    );
    // The id of an entry that is gone by now is as good as any.
    let gone = NotificationId::generate().to_string();
    database.tell(&office.li, "甲").await;
    page.entry().await;
    page.count().await;
    page.since(&json!({ "id": gone })).await;
    assert_eq!(page.count().await, 1);
}

fn name(entry: &Value) -> &str {
    entry["data"]["customerName"].as_str().unwrap()
}

/// An entry, made in a transaction that has nobody read meanwhile; titled 在途.
fn entry_under_way(database: &TestDatabase, to: &Session) -> String {
    let (id, user) = (NotificationId::generate(), &to.id);
    let now = SystemClock.now().to_datetime().format("%Y-%m-%d %H:%M:%S");
    let lock = if database.url().is_embedded() {
        ""
    } else {
        "LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE;"
    };
    format!(
        "{lock} INSERT INTO notifications (id, user_id, kind, title, content, priority, data, created_at) \
         VALUES ('{id}', '{user}', 'customer.assigned', '在途', '', 'high', '{{\"customerName\":\"在途\"}}', '{now}'); \
         INSERT INTO inbox_changes (user_id, notification_id, changed_at) VALUES ('{user}', '{id}', '{now}')"
    )
}

/// A transaction that has made its entry (慢) and takes its time to commit. Where there is one
/// transaction at a time, it makes it when it is told to commit.
enum LateCommit<'database> {
    UnderWay {
        go: mpsc::Sender<()>,
        committed: tokio::task::JoinHandle<()>,
    },
    NotBegun {
        database: &'database TestDatabase,
        to: Session,
    },
}

impl<'database> LateCommit<'database> {
    async fn begin(database: &'database TestDatabase, to: &Session) -> Self {
        if database.url().is_embedded() {
            let to = to.clone();
            return Self::NotBegun { database, to };
        }
        let (go, told) = mpsc::channel::<()>();
        let (made, is_made) = tokio::sync::oneshot::channel();
        let (notice, now) = (notice(to, "慢"), SystemClock.now());
        let other = database.database().clone();
        let committed = tokio::spawn(async move {
            other
                .write(move |transaction| {
                    notify(transaction, &notice, ChannelSet::default(), now)?;
                    let _ = made.send(());
                    let _ = told.recv();
                    Ok::<_, shared::db::DbError>(())
                })
                .await
                .unwrap();
        });
        is_made.await.unwrap();
        Self::UnderWay { go, committed }
    }

    async fn commit(self) {
        match self {
            Self::UnderWay { go, committed } => {
                go.send(()).unwrap();
                committed.await.unwrap();
            }
            Self::NotBegun { database, to } => database.tell(&to, "慢").await,
        }
    }
}
