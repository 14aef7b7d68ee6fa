//! Members captured by the database: all that is written here is written by `psql` and `sqlite3`.

mod concurrency;
mod privileges;
mod registration;
mod texts;
mod update;

use serde_json::Value;
use shared::outbox::{Message, Status};

use crate::harness::TestDatabase;

/// Switches the routes of both kinds on, for everybody in the WeCom application.
fn route(database: &TestDatabase) {
    database.shell(
        "UPDATE notification_routes SET enabled = TRUE, recipients = '@all' \
         WHERE kind IN ('member.registered', 'member.updated') AND channel = 'wecom_app'",
    );
}

/// Enters a member about whom nothing waits any more. The other columns are as given: `, city` and
/// `, '杭州'`.
async fn settled_member(database: &TestDatabase, columns: &str, values: &str) {
    database.shell(&format!(
        "INSERT INTO members (member_no, wechat, phone{columns}) VALUES ('M1', 'wx1', '13800138999'{values})"
    ));
    withdraw(database);
    assert!(pending(database).await.is_empty());
}

/// Nothing that waits now will be sent.
fn withdraw(database: &TestDatabase) {
    database.shell(
        "UPDATE outbox_messages SET status = 'cancelled', finished_at = created_at WHERE status = 'pending'",
    );
}

/// What waits, oldest first.
async fn pending(database: &TestDatabase) -> Vec<Message> {
    let messages = database.messages().await.into_iter();
    messages
        .filter(|message| message.status == Status::Pending)
        .collect()
}

/// The one message that waits, and what it says.
async fn only_pending(database: &TestDatabase) -> (Message, Value) {
    let mut pending = pending(database).await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    let message = pending.remove(0);
    let payload = payload(&message);
    (message, payload)
}

fn payload(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}
