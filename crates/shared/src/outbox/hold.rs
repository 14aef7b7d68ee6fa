use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::db::schema::{channel_holds, outbox_messages};
use crate::db::{DbConnection, DbError, WriteTransaction, dialect};
use crate::domain::{Channel, UtcTimestamp, text_enum};
use crate::operation_log::{self, Actor, Operation};

text_enum! {
    /// Why a channel is held, the strongest reason last: a weaker one does not replace it.
    pub enum HoldCause ("cause of a hold") {
        /// The platform could not be reached several times in a row.
        Breaker => "breaker",
        /// The platform said so: a wrong secret, a quota used up.
        Platform => "platform",
        /// A person said so.
        Operator => "operator",
    }
}

/// A channel on which nothing is sent for now, and why. It is shared by all relays.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = channel_holds, treat_none_as_default_value = false)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Which channel.
    pub channel: Channel,
    /// Who is behind it.
    pub cause: HoldCause,
    /// What is wrong and what to do, for an operator.
    pub reason: String,
    /// The platform's code, if it was the platform that said so.
    pub errcode: Option<i64>,
    /// From then on one message is let through to see whether it works again.
    pub probe_at: Option<UtcTimestamp>,
    /// Which relay, or who.
    pub held_by: String,
    /// Since when.
    pub held_since: UtcTimestamp,
}

/// Why a channel is to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldOrder {
    /// Which channel.
    pub channel: Channel,
    /// Who is behind it.
    pub cause: HoldCause,
    /// What is wrong and what to do.
    pub reason: String,
    /// The platform's code, if it has one.
    pub errcode: Option<i64>,
    /// When to try one message; `None` waits until somebody lifts the hold.
    pub probe_at: Option<UtcTimestamp>,
    /// Which relay, or who.
    pub held_by: String,
}

/// Holds a channel, or renews the reason of a hold. The moment it began stays, and so does a hold
/// with a stronger cause.
///
/// # Errors
/// What the database says.
pub fn hold_channel(
    transaction: &mut WriteTransaction<'_>,
    order: HoldOrder,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let connection = transaction.connection();
    let no_stronger = HoldCause::ALL
        .iter()
        .copied()
        .filter(|cause| *cause <= order.cause);
    let renewable = channel_holds::table
        .filter(channel_holds::channel.eq(order.channel))
        .filter(channel_holds::cause.eq_any(no_stronger));
    let renewed = diesel::update(renewable)
        .set((
            channel_holds::cause.eq(order.cause),
            channel_holds::reason.eq(&order.reason),
            channel_holds::errcode.eq(order.errcode),
            channel_holds::probe_at.eq(order.probe_at),
            channel_holds::held_by.eq(&order.held_by),
        ))
        .execute(connection)?;
    if renewed == 0 {
        let hold = Hold {
            channel: order.channel,
            cause: order.cause,
            reason: order.reason,
            errcode: order.errcode,
            probe_at: order.probe_at,
            held_by: order.held_by,
            held_since: now,
        };
        // There is a stronger one, or another relay holds it at the same moment.
        crate::db::each_backend!(connection, |c| diesel::insert_into(channel_holds::table)
            .values(&hold)
            .on_conflict_do_nothing()
            .execute(c))?;
    }
    Ok(())
}

/// Holds a channel on an operator's word, until a person lifts it.
///
/// # Errors
/// What the database says.
pub fn hold_by_operator(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    reason: &str,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let order = HoldOrder {
        channel,
        cause: HoldCause::Operator,
        reason: reason.to_owned(),
        errcode: None,
        probe_at: None,
        held_by: actor.to_string(),
    };
    hold_channel(transaction, order, now)?;
    record(transaction, "channel.hold", channel, reason, actor, now)
}

/// Ends a hold on an operator's word; false if there was none. See [`lift_hold`].
///
/// # Errors
/// What the database says.
pub fn lift_by_operator(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    reason: &str,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    if !lift_hold(transaction, channel, now)? {
        return Ok(false);
    }
    record(transaction, "channel.lift", channel, reason, actor, now)?;
    Ok(true)
}

fn record(
    transaction: &mut WriteTransaction<'_>,
    action: &'static str,
    channel: Channel,
    reason: &str,
    actor: &Actor,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    let operation = Operation {
        action,
        entity: "channel",
        entity_id: channel.to_string(),
        detail: json!({ "reason": reason }),
        request_id: None,
    };
    operation_log::record(transaction, actor, vec![operation], now)
}

/// Ends a hold; false if there was none. The messages that caused it, which waited for the next
/// probe, are due at once.
///
/// # Errors
/// What the database says.
pub fn lift_hold(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    let connection = transaction.connection();
    let held_for: Option<(Option<i64>, String)> = channel_holds::table
        .find(channel)
        .select((channel_holds::errcode, channel_holds::reason))
        .first(connection)
        .optional()?;
    let Some((errcode, reason)) = held_for else {
        return Ok(false);
    };
    // By the code where there is one: the platform's words differ with every request.
    let same_cause = outbox_messages::last_errcode
        .eq(errcode)
        .or(outbox_messages::last_error.eq(reason));
    let waiting_for_the_probe = outbox_messages::table
        .filter(dialect::is_pending())
        .filter(outbox_messages::channel.eq(channel))
        .filter(outbox_messages::due_at.gt(now))
        .filter(same_cause);
    diesel::update(waiting_for_the_probe)
        .set(outbox_messages::due_at.eq(now))
        .execute(connection)?;
    let lifted = diesel::delete(channel_holds::table.find(channel)).execute(connection)?;
    transaction.wake_relays_after_commit();
    Ok(lifted > 0)
}

/// Ends a hold because the platform took, or answered, an attempt that began under it: a probe got
/// through. An attempt that was under way already when the channel was held proves nothing, and a
/// hold without probes is a person's to lift.
pub(super) fn lift_proven_wrong(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    attempt_started_at: UtcTimestamp,
) -> Result<(), DbError> {
    let proven_wrong = channel_holds::table
        .find(channel)
        .filter(channel_holds::held_since.le(attempt_started_at))
        .filter(channel_holds::probe_at.is_not_null());
    diesel::delete(proven_wrong).execute(transaction.connection())?;
    Ok(())
}

/// Moves the turn of the next probe: the one who calls this has a probe in hand.
pub(super) fn put_off_probe(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    next_probe_at: UtcTimestamp,
) -> Result<(), DbError> {
    diesel::update(channel_holds::table.find(channel))
        .set(channel_holds::probe_at.eq(next_probe_at))
        .execute(transaction.connection())?;
    Ok(())
}

/// All holds.
///
/// # Errors
/// What the database says.
pub fn holds(connection: &mut DbConnection) -> Result<Vec<Hold>, DbError> {
    Ok(channel_holds::table
        .order(channel_holds::channel)
        .select(Hold::as_select())
        .load(connection)?)
}

/// What may be claimed on a channel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// It is not held.
    All,
    /// It is held, and one message may see whether it works again, for whoever takes the turn.
    Probe,
    /// It is held.
    Nothing,
}

pub(super) fn allowance(
    transaction: &mut WriteTransaction<'_>,
    channel: Channel,
    now: UtcTimestamp,
) -> Result<Allowance, DbError> {
    let held: Option<Option<UtcTimestamp>> = channel_holds::table
        .find(channel)
        .select(channel_holds::probe_at)
        .first(transaction.connection())
        .optional()?;
    Ok(match held {
        None => Allowance::All,
        Some(Some(probe_at)) if probe_at <= now => Allowance::Probe,
        Some(_) => Allowance::Nothing,
    })
}
