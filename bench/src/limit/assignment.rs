//! The statements of one assignment, written by hand on plain connections: no HTTP, no pool, no
//! JSON to read, no grouped commits. They are kept prepared by the same means as those of the programs.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error::NotFound;
use shared::db::schema::{
    assignments, customers, inbox_changes, notification_routes, notifications, operation_logs,
    outbox_messages, users,
};
use shared::db::{
    DatabaseUrl, DbConnection, DbError, dialect, each_backend, insert_rows, keep_prepared,
    load_locked,
};
use shared::domain::{
    AssignmentId, Channel, CustomerId, NotificationId, OperationLogId, OutboxMessageId, UserId,
    UtcTimestamp,
};
use shared::notification::Kind;
use shared::outbox::{Priority, Status};

use crate::load::{Load, Worked};
use crate::message::payload;

/// Runs assignments on so many connections at once for so long, so many of them in each commit.
///
/// # Errors
/// If the database refuses one.
pub fn run(
    url: &DatabaseUrl,
    load: &Arc<Load>,
    connections: usize,
    in_a_commit: usize,
    time: Duration,
) -> anyhow::Result<Worked> {
    let mut workers = Vec::new();
    for worker in 0..connections {
        let mut connection = DbConnection::establish(url)?;
        let load = Arc::clone(load);
        workers.push(thread::spawn(move || {
            let mut took = Vec::new();
            let began_at = Instant::now();
            let mut turns = load.turns(worker);
            while began_at.elapsed() < time {
                let asked_at = Instant::now();
                let now = load.now();
                in_transaction(&mut connection, |connection| {
                    turns.by_ref().take(in_a_commit).try_for_each(|turn| {
                        assign(connection, &load.actor, &turn.customer, &turn.owner, now)
                    })
                })?;
                took.extend(std::iter::repeat_n(asked_at.elapsed(), in_a_commit));
            }
            anyhow::Ok(took)
        }));
    }
    let began_at = Instant::now();
    let mut took = Vec::new();
    for worker in workers {
        let ended = worker.join();
        took.extend(ended.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??);
    }
    Ok(Worked::new(took, began_at.elapsed()))
}

/// As the programs begin theirs.
pub(super) fn in_transaction(
    connection: &mut DbConnection,
    work: impl FnOnce(&mut DbConnection) -> Result<(), DbError>,
) -> Result<(), DbError> {
    connection.batch_execute(match connection {
        DbConnection::Postgres(_) => "BEGIN",
        DbConnection::Sqlite(_) => "BEGIN IMMEDIATE",
    })?;
    work(connection)?;
    Ok(connection.batch_execute("COMMIT")?)
}

/// What the API does for `PATCH /api/customers/{id}/assign`, statement by statement.
fn assign(
    connection: &mut DbConnection,
    actor: &UserId,
    customer: &CustomerId,
    owner: &UserId,
    now: UtcTimestamp,
) -> Result<(), DbError> {
    // Who asks.
    let _: (UserId, String) = users::table
        .find(actor)
        .filter(users::active.eq(true))
        .select((users::id, users::name))
        .first(connection)?;
    // Who gets it.
    dialect::keep_user(connection, owner)?;
    // What is given.
    let given = customers::table
        .filter(customers::id.eq(customer))
        .select((customers::name, customers::assigned_to));
    let given: Vec<(String, Option<UserId>)> = load_locked!(&mut *connection, given, for_update)?;
    let (name, previous) = given.into_iter().next().ok_or(NotFound)?;
    let give = diesel::update(customers::table.find(customer)).set((
        customers::assigned_to.eq(owner),
        customers::assigned_by.eq(actor),
        customers::assigned_at.eq(now),
        customers::in_public_pool.eq(false),
        customers::last_activity_at.eq(now),
        customers::updated_at.eq(now),
        customers::version.eq(customers::version + 1),
    ));
    each_backend!(&mut *connection, |c| keep_prepared(give).run(c))?;
    // What is remembered.
    diesel::insert_into(assignments::table)
        .values((
            assignments::id.eq(AssignmentId::generate()),
            assignments::customer_id.eq(customer),
            assignments::from_user_id.eq(&previous),
            assignments::to_user_id.eq(owner),
            assignments::assigned_by.eq(actor),
            assignments::entrance.eq("single"),
            assignments::created_at.eq(now),
        ))
        .execute(connection)?;
    diesel::insert_into(operation_logs::table)
        .values((
            operation_logs::id.eq(OperationLogId::generate()),
            operation_logs::actor_id.eq(actor),
            operation_logs::action.eq("customer.assign"),
            operation_logs::entity.eq("customer"),
            operation_logs::entity_id.eq(customer.as_str()),
            operation_logs::detail.eq("{\"entrance\":\"single\"}"),
            operation_logs::created_at.eq(now),
        ))
        .execute(connection)?;
    // What is no longer true.
    let subject = format!("customer:{customer}");
    let overtaken = match previous {
        Some(_) => take_back(connection, &subject, now)?,
        None => Vec::new(),
    };
    // Who is told.
    let told = std::iter::once((Kind::CustomerAssigned, owner.clone()))
        .chain(previous.map(|previous| (Kind::CustomerTransferredAway, previous)));
    let told: Vec<_> = told.collect();
    let told = tell(
        connection,
        &told,
        &subject,
        &payload(&name).to_string(),
        now,
    )?;
    if let ([successor, ..], [_, ..]) = (told.as_slice(), overtaken.as_slice()) {
        let overtaken = dialect::among(connection, outbox_messages::id, &overtaken);
        let name = diesel::update(outbox_messages::table.filter(overtaken))
            .set(outbox_messages::superseded_by.eq(successor));
        each_backend!(&mut *connection, |c| keep_prepared(name).run(c))?;
    }
    // What is answered.
    let _: (String, i32, UtcTimestamp) = customers::table
        .find(customer)
        .select((customers::name, customers::version, customers::updated_at))
        .first(connection)?;
    let _: Vec<(UserId, String)> = users::table
        .filter(dialect::among(connection, users::id, [actor, owner]))
        .select((users::id, users::name))
        .load(connection)?;
    Ok(())
}

/// What is under way about the subject stays on its channel, and what waits is cancelled.
fn take_back(
    connection: &mut DbConnection,
    subject: &str,
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let _: Vec<OutboxMessageId> = outbox_messages::table
        .filter(dialect::has_status("sending"))
        .filter(outbox_messages::fallbacks.is_not_null())
        .filter(outbox_messages::subject.eq(subject))
        .select(outbox_messages::id)
        .load(connection)?;
    let waiting: Vec<OutboxMessageId> = outbox_messages::table
        .filter(dialect::is_waiting())
        .filter(outbox_messages::subject.eq(subject))
        .filter(outbox_messages::outcome_unknown.eq(false))
        .select(outbox_messages::id)
        .load(connection)?;
    if !waiting.is_empty() {
        let waiting = dialect::among(connection, outbox_messages::id, &waiting);
        let cancel = diesel::update(outbox_messages::table.filter(waiting)).set((
            outbox_messages::status.eq(Status::Cancelled),
            outbox_messages::finished_at.eq(now),
            outbox_messages::last_error.eq("superseded: reassigned"),
        ));
        each_backend!(&mut *connection, |c| keep_prepared(cancel).run(c))?;
    }
    Ok(waiting)
}

/// Answers the messages.
fn tell(
    connection: &mut DbConnection,
    told: &[(Kind, UserId)],
    subject: &str,
    payload: &str,
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let numbered: Vec<_> = told
        .iter()
        .map(|(kind, user)| (NotificationId::generate(), kind, user))
        .collect();
    let entries: Vec<_> = numbered
        .iter()
        .map(|(id, kind, user)| {
            (
                notifications::id.eq(id.clone()),
                notifications::user_id.eq((*user).clone()),
                notifications::kind.eq(**kind),
                notifications::title.eq("新客户分配"),
                notifications::content.eq("您有一个新的客户，请及时跟进"),
                notifications::priority.eq("high"),
                notifications::data.eq(payload.to_owned()),
                notifications::created_at.eq(now),
            )
        })
        .collect();
    insert_rows!(&mut *connection, notifications::table, &entries)?;
    let changes: Vec<_> = numbered
        .iter()
        .map(|(id, _, user)| {
            (
                inbox_changes::user_id.eq((*user).clone()),
                inbox_changes::notification_id.eq(id.clone()),
                inbox_changes::changed_at.eq(now),
            )
        })
        .collect();
    insert_rows!(&mut *connection, inbox_changes::table, &changes)?;
    let _: Vec<(Kind, Channel)> = notification_routes::table
        .filter(notification_routes::enabled.eq(true))
        .select((notification_routes::kind, notification_routes::channel))
        .load(connection)?;
    let ids: Vec<OutboxMessageId> = told.iter().map(|_| OutboxMessageId::generate()).collect();
    let messages: Vec<_> = std::iter::zip(told, &ids)
        .map(|((kind, user), id)| {
            (
                outbox_messages::id.eq(id.clone()),
                outbox_messages::kind.eq(kind.as_str()),
                outbox_messages::channel.eq(Channel::WechatSubscribe),
                outbox_messages::recipient_id.eq(user.as_str()),
                outbox_messages::subject.eq(subject.to_owned()),
                outbox_messages::payload.eq(payload.to_owned()),
                outbox_messages::status.eq(Status::Pending),
                outbox_messages::priority.eq(Priority::High),
                outbox_messages::attempts_max.eq(10),
                outbox_messages::due_at.eq(now),
                outbox_messages::created_at.eq(now),
            )
        })
        .collect();
    insert_rows!(&mut *connection, outbox_messages::table, &messages)?;
    Ok(ids)
}
