use diesel::dsl::count_star;
use diesel::prelude::*;
use serde_json::{Map, json};
use shared::db::schema::{lead_transfer_records, lead_transfer_rules, users};
use shared::db::{DbConnection, DbError, WriteTransaction};
use shared::domain::{TransferRuleId, UserId, UtcTimestamp};
use shared::notification::{Kind, Notice, Reach, Terms, notify_all};

use super::batch::ACTOR_NAME;
use super::run::{self, Run};
use super::runner::RunError;
use crate::assignment::Telling;
use crate::schedule::Lease;

/// Ends a run: everybody whose leads went, and everybody who got some, is told once, in the
/// transaction that marks the run as over. Whoever is not active any more is not told.
pub(super) fn finish(
    transaction: &mut WriteTransaction<'_>,
    lease: &Lease,
    run: &Run,
    error: Option<&str>,
    telling: Telling,
    now: UtcTimestamp,
) -> Result<(), RunError> {
    use lead_transfer_records as records;

    lease.confirm(transaction, now)?;
    let of_run = records::table
        .filter(records::run_id.eq(&run.id))
        .inner_join(users::table.on(users::id.eq(records::from_user_id)))
        .filter(users::active);
    let given: Vec<(UserId, i64)> = of_run
        .group_by(records::from_user_id)
        .order(records::from_user_id)
        .select((records::from_user_id, count_star()))
        .load(transaction.connection())
        .map_err(DbError::from)?;
    let of_run = records::table
        .filter(records::run_id.eq(&run.id))
        .inner_join(users::table.on(users::id.eq(records::to_user_id)))
        .filter(users::active);
    let received: Vec<(UserId, i64)> = of_run
        .group_by(records::to_user_id)
        .order(records::to_user_id)
        .select((records::to_user_id, count_star()))
        .load(transaction.connection())
        .map_err(DbError::from)?;
    let time = telling.time_text(now);
    let about = |kind, user, count| notice(run, kind, user, count, &time);
    let losses = given
        .into_iter()
        .map(|(user, count)| about(Kind::LeadAutoTransferOut, user, count));
    let gains = received
        .into_iter()
        .map(|(user, count)| about(Kind::LeadAutoTransferIn, user, count));
    let notices: Vec<Notice> = losses.chain(gains).collect();
    notify_all(transaction, &notices, telling.channels, now)?;
    next_round(transaction.connection(), run)?;
    run::end(transaction, &run.id, error, now)?;
    Ok(())
}

fn notice(run: &Run, kind: Kind, user: UserId, count: i64, time: &str) -> Notice {
    let source = match kind {
        Kind::LeadAutoTransferOut => "已自动流转给其他同事",
        _ => "自动流转",
    };
    let mut data = Map::new();
    let mut put = |name: &str, value| data.insert(name.to_owned(), value);
    put("count", json!(count));
    put("time", json!(time));
    // What the fields of a card are called.
    put("customerName", json!(format!("{count}条线索")));
    put("customerCount", json!(count));
    put("source", json!(source));
    put("assignerName", json!(ACTOR_NAME));
    put("assignTime", json!(time));
    Notice {
        kind,
        recipients: vec![user],
        data,
        subject: Some(format!("lead_transfer_run:{}", run.id)),
        reach: Reach::AllChannels,
        terms: Terms::default(),
        request_id: Some(run.request_id.clone()),
    }
}

/// Chance is to prefer others the next time.
fn next_round(connection: &mut DbConnection, run: &Run) -> Result<(), DbError> {
    let used: Vec<TransferRuleId> = lead_transfer_records::table
        .filter(lead_transfer_records::run_id.eq(&run.id))
        .select(lead_transfer_records::rule_id)
        .distinct()
        .load(connection)?;
    diesel::update(lead_transfer_rules::table.filter(lead_transfer_rules::id.eq_any(used)))
        .set(lead_transfer_rules::round.eq(lead_transfer_rules::round + 1))
        .execute(connection)?;
    Ok(())
}
