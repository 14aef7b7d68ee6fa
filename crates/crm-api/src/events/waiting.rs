use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::db::schema::events;
use shared::db::{Database, DbConnection, DbError, WriteTransaction, dialect};
use shared::domain::{EventId, RequestId, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, NotificationPriority, Reach, Terms, notify};

use super::accept::subject_of;
use crate::assignment::Telling;

/// How often to look whether an event has become due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What goes into notification centres when its time has come.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waiting {
    recipients: Vec<UserId>,
    data: Map<String, Value>,
    priority: Option<NotificationPriority>,
}

impl Waiting {
    pub(super) fn of(notice: &Notice) -> Self {
        Self {
            recipients: notice.recipients.clone(),
            data: notice.data.clone(),
            priority: notice.terms.priority,
        }
    }
}

/// Writes the next event that has become due into the notification centres of those it tells; answers
/// which, if there was one. Its messages wait in the outbox by themselves. What has expired meanwhile,
/// because nobody looked, is not shown any more.
///
/// # Errors
/// What the database says.
pub fn deposit_next(
    transaction: &mut WriteTransaction<'_>,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Option<EventId>, DbError> {
    type Row = (
        Kind,
        Option<UtcTimestamp>,
        Option<String>,
        Option<RequestId>,
    );
    let Some(id) = dialect::lock_due_event(transaction.connection(), now)? else {
        return Ok(None);
    };
    let (kind, expires_at, waiting, request_id): Row = events::table
        .find(&id)
        .select((
            events::kind,
            events::expires_at,
            events::waiting,
            events::request_id,
        ))
        .first(transaction.connection())?;
    diesel::update(events::table.find(&id))
        .set(events::waiting.eq(None::<String>))
        .execute(transaction.connection())?;
    let waiting: Waiting = serde_json::from_str(&waiting.unwrap_or_default())
        .map_err(|error| DieselError::DeserializationError(error.into()))?;
    if expires_at.is_some_and(|end| end <= now) {
        return Ok(Some(id));
    }
    let notice = Notice {
        kind,
        recipients: waiting.recipients,
        data: waiting.data,
        subject: Some(subject_of(&id)),
        reach: Reach::InboxOnly,
        terms: Terms {
            priority: waiting.priority,
            ..Terms::default()
        },
        request_id,
    };
    notify(transaction, &notice, telling.channels, now)?;
    Ok(Some(id))
}

/// Writes events into notification centres as they become due, for as long as the process runs. Of
/// several processes each takes what no other one has.
pub(crate) async fn deposit_for_ever(database: Database, clock: Arc<dyn Clock>, telling: Telling) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = deposit_due(&database, &*clock, telling).await {
            log::warn!("an event that is due could not be shown: {error}");
        }
    }
}

async fn deposit_due(
    database: &Database,
    clock: &dyn Clock,
    telling: Telling,
) -> Result<(), DbError> {
    loop {
        let now = clock.now();
        // Nobody waits for a write, mostly.
        if !database
            .run(move |connection| is_due(connection, now))
            .await?
        {
            return Ok(());
        }
        let shown = database
            .write(move |transaction| deposit_next(transaction, telling, now))
            .await?;
        let Some(event) = shown else {
            // Another process has it in hand.
            return Ok(());
        };
        log::debug!(event = event.as_str(); "the event {event} is due, and was shown");
    }
}

fn is_due(connection: &mut DbConnection, now: UtcTimestamp) -> Result<bool, DbError> {
    let due: Option<EventId> = events::table
        .filter(events::waiting.is_not_null())
        .filter(events::due_at.le(now))
        .select(events::id)
        .first(connection)
        .optional()?;
    Ok(due.is_some())
}
