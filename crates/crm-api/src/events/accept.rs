use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use serde_json::{Value, json};
use shared::db::schema::events;
use shared::db::{DbError, WriteTransaction, dialect, each_backend};
use shared::domain::{Channel, EventId, UtcTimestamp, mask_phones};
use shared::notification::{Notice, Reach, Terms, notify_all};

use super::error::EventError;
use super::order::EventOrder;
use super::receipt::{Acceptance, EventReceipt};
use super::waiting::Waiting;
use super::{recipients, wording};
use crate::assignment::Telling;

/// How many people one event tells, at most: what is written for them is one transaction.
pub const RECIPIENTS_MAX: usize = 1_000;

/// What is due no longer ago than this is due at once: the clocks of two hosts differ, and a request
/// takes its time.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// How far ahead an event may be due: beyond, somebody has miscalculated.
pub const DUE_AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long an event, and with it its `dedupKey`, is known after it was due.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many old events each new one takes with it: more than one, so that they become fewer, and few,
/// because somebody waits.
const PRUNED_AT_ONCE: i64 = 10;

/// Takes an event over: what it tells is written with it, or kept until it is due.
///
/// The key is written first: who tells of the same event at the same moment waits for the end of the
/// first transaction, and gets its receipt. One that was refused keeps nothing, and may be told again.
///
/// # Errors
/// [`EventError`]; then nothing may be committed.
pub fn accept(
    transaction: &mut WriteTransaction<'_>,
    order: &EventOrder,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<Acceptance, EventError> {
    if !wording::is_sendable(order.kind) {
        return Err(EventError::NotSendable(order.kind));
    }
    let id = EventId::generate();
    let due_at = order.due_at.map_or(now, |due_at| due_at.max(now));
    if insert(transaction, &id, order, due_at, now)? == 0 {
        return Ok(Acceptance::Duplicate(first_receipt(transaction, order)?));
    }
    check_times(order, due_at, now)?;
    wording::check_data(transaction.connection(), order.kind, &order.data)?;
    let found = recipients::find(transaction.connection(), &order.recipients)?;
    if found.served.len() > RECIPIENTS_MAX {
        return Err(EventError::TooManyRecipients {
            count: found.served.len(),
        });
    }
    if found.served.is_empty() {
        return Err(EventError::NobodyToTell {
            not_served: found.not_served,
        });
    }
    let mut notice = Notice {
        kind: order.kind,
        recipients: found.served,
        data: told_data(order, telling, due_at),
        subject: Some(subject_of(&id)),
        reach: Reach::AllChannels,
        terms: Terms {
            due_at: Some(due_at),
            expires_at: order.expires_at,
            priority: order.priority,
        },
        request_id: Some(order.request_id.clone()),
    };
    let waiting = (due_at > now).then(|| {
        notice.reach = Reach::ChannelsOnly;
        Waiting::of(&notice)
    });
    let messages = notify_all(
        transaction,
        std::slice::from_ref(&notice),
        telling.channels,
        now,
    )?;
    let mut by_channel: BTreeMap<Channel, usize> = BTreeMap::new();
    for message in &messages {
        *by_channel.entry(message.channel).or_default() += 1;
    }
    let receipt = EventReceipt {
        event_id: id,
        kind: order.kind,
        recipients: notice.recipients.len(),
        messages: by_channel,
        not_served: found.not_served,
        due_at,
        expires_at: order.expires_at,
    };
    diesel::update(events::table.find(&receipt.event_id))
        .set((
            events::receipt.eq(json!(receipt).to_string()),
            events::waiting.eq(waiting.map(|waiting| json!(waiting).to_string())),
        ))
        .execute(transaction.connection())?;
    prune(transaction, now)?;
    Ok(Acceptance::Accepted(receipt))
}

/// What the messages of an event are about.
pub(super) fn subject_of(event: &EventId) -> String {
    format!("event:{event}")
}

fn check_times(
    order: &EventOrder,
    due_at: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<(), EventError> {
    if order
        .due_at
        .is_some_and(|wanted| wanted < now.before(CLOCK_SKEW_MAX))
    {
        return Err(EventError::DueInThePast);
    }
    if due_at > now.after(DUE_AHEAD_MAX) {
        return Err(EventError::DueTooLate);
    }
    if order.expires_at.is_some_and(|end| end <= due_at) {
        return Err(EventError::ExpiresTooEarly);
    }
    Ok(())
}

fn insert(
    transaction: &mut WriteTransaction<'_>,
    id: &EventId,
    order: &EventOrder,
    due_at: UtcTimestamp,
    now: UtcTimestamp,
) -> Result<usize, DbError> {
    let row = (
        events::id.eq(id),
        events::kind.eq(order.kind),
        events::user_id.eq(order.sender.user()),
        events::service_token_id.eq(order.sender.service()),
        events::dedup_key.eq(order.dedup_key.as_deref()),
        events::due_at.eq(due_at),
        events::expires_at.eq(order.expires_at),
        events::request_id.eq(&order.request_id),
        events::created_at.eq(now),
    );
    Ok(each_backend!(transaction.connection(), |c| {
        diesel::insert_into(events::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(c)
    })?)
}

/// What became of the event of the same kind and key.
fn first_receipt(
    transaction: &mut WriteTransaction<'_>,
    order: &EventOrder,
) -> Result<EventReceipt, EventError> {
    let receipt: String = events::table
        .filter(events::kind.eq(order.kind))
        .filter(events::dedup_key.eq(order.dedup_key.as_deref()))
        .select(events::receipt.assume_not_null())
        .first(transaction.connection())?;
    receipt_of(&receipt)
}

pub(super) fn receipt_of(json: &str) -> Result<EventReceipt, EventError> {
    serde_json::from_str(json).map_err(|error| {
        EventError::Database(DieselError::DeserializationError(error.into()).into())
    })
}

/// The data as staff see it: no whole phone number, and a moment. Ids and numbers of things are left
/// as they are, whatever they look like: links are made of them.
fn told_data(
    order: &EventOrder,
    telling: Telling,
    due_at: UtcTimestamp,
) -> serde_json::Map<String, Value> {
    let mut data: serde_json::Map<String, Value> = order
        .data
        .iter()
        .map(|(name, value)| {
            let identifies = name.ends_with("Id") || name.ends_with("Number");
            let value = match value {
                Value::String(text) if !identifies => Value::String(mask_phones(text)),
                other => other.clone(),
            };
            (name.clone(), value)
        })
        .collect();
    data.entry(wording::TIME)
        .or_insert_with(|| json!(telling.time_text(due_at)));
    data
}

/// What is no longer known as a repetition goes.
fn prune(transaction: &mut WriteTransaction<'_>, now: UtcTimestamp) -> Result<(), DbError> {
    let connection = transaction.connection();
    let old = dialect::lock_old_events(connection, now.before(KEPT_FOR), PRUNED_AT_ONCE)?;
    if !old.is_empty() {
        diesel::delete(events::table.filter(events::id.eq_any(old))).execute(connection)?;
    }
    Ok(())
}
