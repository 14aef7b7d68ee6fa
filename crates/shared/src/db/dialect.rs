//! The only place where the two databases are asked differently.
//!
//! Session set-up, the start of a write transaction, the time, the lock that keeps two relays off
//! one row, and settling a batch in as few statements as the database allows.

use std::time::{Duration, Instant};

use diesel::BoxableExpression;
use diesel::connection::{
    AnsiTransactionManager, SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamp};
use diesel::sqlite::Sqlite;

use super::schema::{
    channel_holds, customers, notification_templates, outbox_messages, relays, users,
};
use super::statement::Statement;
use super::wake::Topic;
use super::{DbConnection, DbError, each_backend};
use crate::domain::{
    Channel, CustomerId, EventId, MemberId, NotificationId, OutboxMessageId, RecipientId,
    RelayName, UserId, UtcTimestamp,
};

/// How long a new connection waits for others that open the same new file.
const SWITCH_WAIT_MAX: Duration = Duration::from_secs(15);
const SWITCH_RETRY_DELAY: Duration = Duration::from_millis(5);

/// Prepares a new connection.
///
/// SQLite: write-ahead log so that readers and the writer do not block each other; `FULL` because
/// a committed change must survive a power cut; 15 s of patience with a foreign writer.
/// PostgreSQL: limits, so that no query and no forgotten transaction holds the others up for ever;
/// and no compiling of queries, which takes longer than any query here.
pub(super) fn set_up_session(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => {
            c.batch_execute(
                "PRAGMA busy_timeout = 15000; PRAGMA foreign_keys = ON; \
                 PRAGMA temp_store = MEMORY;",
            )?;
            switch_to_write_ahead_log(c)?;
            c.batch_execute("PRAGMA synchronous = FULL;")
        }
        DbConnection::Postgres(c) => c.batch_execute(
            "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '30s'; SET TIME ZONE 'UTC'; SET jit = off;",
        ),
    }
}

/// Processes that open a new file at the same moment get in each other's way here, and SQLite does
/// not wait for the others in this case, whatever the time-out: one of 240 connections failed when
/// eight were opened at once on a busy machine.
fn switch_to_write_ahead_log(connection: &mut SqliteConnection) -> Result<(), DieselError> {
    let asked_since = Instant::now();
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(error)
                if is_somebody_else_writing(&error) && asked_since.elapsed() < SWITCH_WAIT_MAX =>
            {
                std::thread::sleep(SWITCH_RETRY_DELAY);
            }
            outcome => return outcome,
        }
    }
}

/// Whether the connection still works.
pub(super) fn ping(connection: &mut DbConnection) -> Result<(), DieselError> {
    diesel::sql_query("SELECT 1")
        .execute(connection)
        .map(|_| ())
}

/// Begins a transaction that will write.
///
/// SQLite: `IMMEDIATE`, which takes the write lock at once. A deferred transaction that reads first
/// cannot wait for the lock later and fails at once with "database is locked" whatever the
/// time-out: 3,145 times in 20,000 claims when measured, none with `IMMEDIATE`.
pub(super) fn begin_write(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
        }
        // Whatever writes finds its rows by an index. Without this, a statement that was prepared
        // while a table was nearly empty goes on reading the whole of it when it has a million rows,
        // until the server gathers statistics again.
        DbConnection::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(
            c,
            "BEGIN; SET LOCAL enable_seqscan = off",
        ),
    }
}

/// Makes a connection say at once that somebody else is writing, instead of waiting.
///
/// SQLite's own waiting sleeps up to 100 ms between two looks, so that a process that writes without
/// a break takes the lock again each time before anybody looks: a heartbeat of another process waited
/// over 5 s. PostgreSQL queues those who wait.
pub(super) fn refuse_to_wait_for_writers(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => c.batch_execute("PRAGMA busy_timeout = 0"),
        DbConnection::Postgres(_) => Ok(()),
    }
}

/// Whether this says that somebody else is writing. The driver has no kind for it.
pub(super) fn is_somebody_else_writing(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, said) if said.message().contains("database is locked"))
}

/// Commits what [`begin_write`] began.
///
/// PostgreSQL gives up a transaction at its first failed statement, and answers a COMMIT of it with
/// success although it rolls back. Work that swallowed the failure would be told that everything was
/// written. The query in front fails then; it costs no round trip of its own.
pub(super) fn commit_write(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(c) => AnsiTransactionManager::commit_transaction(c),
        DbConnection::Postgres(c) => {
            c.batch_execute("SELECT 1; COMMIT")?;
            *AnsiTransactionManager::transaction_manager_status_mut(c) =
                TransactionManagerStatus::default();
            Ok(())
        }
    }
}

/// Lets one process at a time migrate: held until the transaction ends.
pub(super) fn lock_migrations(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction itself is the lock.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "migrations of this schema".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492811)").execute(c)?;
            // An index of a table with a million rows takes minutes, and more so with little memory.
            c.batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '256MB'",
            )?;
            Ok(())
        }
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The versions the database has; none if it was never migrated.
pub(super) fn applied_migrations(connection: &mut DbConnection) -> Result<Vec<String>, DbError> {
    let table_exists = match connection {
        DbConnection::Sqlite(_) => {
            "SELECT count(*) AS count FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
        }
        DbConnection::Postgres(_) => {
            "SELECT count(*) AS count FROM pg_tables \
             WHERE tablename = '__diesel_schema_migrations' AND schemaname = current_schema()"
        }
    };
    let exists: Count = diesel::sql_query(table_exists).get_result(connection)?;
    if exists.count == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version")
            .load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamp)]
    now: UtcTimestamp,
}

/// The database's own time: the one clock on which all processes agree.
///
/// # Errors
/// If the database does not answer.
pub fn database_time(connection: &mut DbConnection) -> Result<UtcTimestamp, DbError> {
    let now: Now = match connection {
        DbConnection::Sqlite(c) => {
            diesel::sql_query("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now").get_result(c)?
        }
        DbConnection::Postgres(c) => {
            diesel::sql_query("SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now").get_result(c)?
        }
    };
    Ok(now.now)
}

/// How many commits of others a connection to SQLite has seen. Only whether it has changed says
/// something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(super) struct CommitCount {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

/// Changes with every commit of another connection to the same SQLite database. Kept prepared: it is
/// asked thousands of times a second while something happens.
pub(super) fn commit_count(connection: &mut DbConnection) -> Result<CommitCount, DieselError> {
    match connection {
        DbConnection::Sqlite(c) => Statement::new("PRAGMA data_version").get_result(c),
        DbConnection::Postgres(_) => Err(DieselError::QueryBuilderError(
            "this database has no count of commits".into(),
        )),
    }
}

/// The name of the signals about this, as `LISTEN` takes it. Installations in different schemas of one
/// database do not wake each other. A name has 63 bytes at most.
pub(super) fn signal_name(topic: Topic) -> &'static str {
    match topic {
        Topic::Outbox => "SELECT quote_ident(left('yizhan_outbox:' || current_schema(), 63))",
        Topic::Inboxes => "SELECT quote_ident(left('yizhan_inbox:' || current_schema(), 63))",
    }
}

/// Makes the commit of this transaction show itself to listeners, also where nothing else is written.
///
/// SQLite: the counter that listeners watch changes with what is written, and a row that is given
/// what it holds already is not written. Where there is no relay, nothing is, and nobody listens.
pub(super) fn let_commit_show(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        DbConnection::Sqlite(c) => {
            for difference in [1, -1] {
                diesel::update(relays::table)
                    .set(relays::in_flight.eq(relays::in_flight + difference))
                    .execute(c)?;
            }
            Ok(())
        }
        // The signal is sent after the commit.
        DbConnection::Postgres(_) => Ok(()),
    }
}

/// Prepares a connection for sending signals: one that a power cut swallows is as good as one that
/// was never sent, so nobody waits for the disk.
pub(super) fn start_signalling(connection: &mut DbConnection) -> Result<(), DieselError> {
    match connection {
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => c.batch_execute("SET synchronous_commit = off"),
    }
}

/// Sends a signal to all who listen for this on this database. Outside a transaction, on a connection
/// of its own.
pub(super) fn signal(connection: &mut DbConnection, topic: Topic) -> Result<(), DieselError> {
    let signal = match topic {
        Topic::Outbox => "SELECT pg_notify(left('yizhan_outbox:' || current_schema(), 63), '')",
        Topic::Inboxes => "SELECT pg_notify(left('yizhan_inbox:' || current_schema(), 63), '')",
    };
    match connection {
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => c.batch_execute(signal),
    }
}

/// A place in the record of what changed in notification centres, in the database's own words.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(crate) struct InboxCursor {
    #[diesel(sql_type = Text)]
    cursor: String,
}

/// Something that was committed after a cursor was given, or nothing but the next cursor.
#[derive(Debug, QueryableByName)]
pub(crate) struct InboxChangeRow {
    #[diesel(embed)]
    pub(crate) next: InboxCursor,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) user_id: Option<UserId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) notification_id: Option<NotificationId>,
}

/// The present place: what is committed from now on comes after it.
pub(crate) fn inbox_cursor(connection: &mut DbConnection) -> Result<InboxCursor, DbError> {
    Ok(match connection {
        DbConnection::Sqlite(c) => diesel::sql_query(
            "SELECT CAST(COALESCE(MAX(seq), 0) AS TEXT) AS cursor FROM sqlite_sequence \
             WHERE name = 'inbox_changes'",
        )
        .get_result(c)?,
        DbConnection::Postgres(c) => {
            diesel::sql_query("SELECT pg_current_snapshot()::TEXT AS cursor").get_result(c)?
        }
    })
}

/// What was committed after this place and before the next, whichever transaction began first: at
/// least one row, and at most `limit`; each has the next place.
///
/// PostgreSQL: a place is the state in which the database was then, with the transactions that were
/// under way. What one of them wrote is found when it has been committed, also if others that began
/// later were faster.
pub(crate) fn inbox_changes_after(
    connection: &mut DbConnection,
    cursor: &InboxCursor,
    limit: i64,
) -> Result<Vec<InboxChangeRow>, DbError> {
    let look = |text| {
        Statement::new(text)
            .bind::<Text, _>("cursor", cursor.cursor.as_str())
            .bind::<BigInt, _>("limit", limit)
    };
    Ok(match connection {
        DbConnection::Sqlite(c) => {
            look(include_str!("dialect/inbox_changes.sqlite.sql")).load(c)?
        }
        DbConnection::Postgres(c) => {
            look(include_str!("dialect/inbox_changes.postgres.sql")).load(c)?
        }
    })
}

/// Lets one process at a time clear old notifications away, until the transaction ends; answers
/// whether it is this one.
pub(crate) fn try_to_prune_inboxes(connection: &mut DbConnection) -> Result<bool, DbError> {
    #[derive(QueryableByName)]
    struct Granted {
        #[diesel(sql_type = Bool)]
        granted: bool,
    }
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(true),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "notifications", with the schema it is about.
            let granted: Granted = diesel::sql_query(
                "SELECT pg_try_advisory_xact_lock(7492813, hashtext(current_schema())) AS granted",
            )
            .get_result(c)?;
            Ok(granted.granted)
        }
    }
}

/// That a message is pending, said in the words of the partial indexes: with the status as a
/// parameter, neither database can know that the index holds all that is asked for.
pub(crate) fn is_pending() -> diesel::expression::SqlLiteral<Bool> {
    has_status("pending")
}

/// The same for any status, which must be one of the words of this program and never a text from
/// outside: it becomes part of the query.
pub(crate) fn has_status(status: &'static str) -> diesel::expression::SqlLiteral<Bool> {
    diesel::dsl::sql(&format!("outbox_messages.status = '{status}'"))
}

/// What a claim asks for.
#[derive(Debug)]
pub(crate) struct ClaimParameters<'a> {
    pub(crate) channel: Channel,
    pub(crate) busy_recipients: &'a [RecipientId],
    /// Messages at most, and how many of them may be below the highest priority.
    pub(crate) limit: i64,
    pub(crate) limit_below_high: i64,
    /// How many of each priority come first, and with which priority these begin.
    pub(crate) share: i64,
    pub(crate) rotation: i64,
    pub(crate) hold: HoldCheck,
    pub(crate) relay: &'a RelayName,
    pub(crate) lease_expires_at: UtcTimestamp,
}

/// Whether a hold on the channel keeps a claim from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldCheck {
    /// It does.
    Respected,
    /// It does not: the claim is a probe.
    PassedOver,
}

/// Leases due messages in one statement. Rows that another relay has locked are passed over.
pub(crate) fn claim_messages<M>(
    connection: &mut DbConnection,
    order: &ClaimParameters<'_>,
    now: UtcTimestamp,
) -> Result<Vec<M>, DbError>
where
    M: QueryableByName<Pg> + QueryableByName<Sqlite> + 'static,
{
    let claim = |text| {
        Statement::new(text)
            .bind::<Text, _>("channel", order.channel)
            .bind::<Timestamp, _>("now", now)
            .bind::<BigInt, _>("limit", order.limit)
            .bind::<BigInt, _>("limit_below_high", order.limit_below_high)
            .bind::<BigInt, _>("share", order.share)
            .bind::<BigInt, _>("rotation", order.rotation)
            .bind::<Bool, _>("may_be_held", order.hold == HoldCheck::PassedOver)
            .bind::<Text, _>("relay", order.relay)
            .bind::<Timestamp, _>("lease_expires_at", order.lease_expires_at)
    };
    let claimed = match connection {
        DbConnection::Postgres(c) => {
            let text = concat!(
                include_str!("dialect/claim.postgres.sql"),
                include_str!("dialect/claim.sql")
            );
            let busy = order.busy_recipients.iter().map(RecipientId::as_str);
            claim(text)
                .bind::<Array<Text>, _>("busy_recipients", busy.collect::<Vec<_>>())
                .load(c)?
        }
        DbConnection::Sqlite(c) => {
            let text = concat!(
                include_str!("dialect/claim.sqlite.sql"),
                include_str!("dialect/claim.sql")
            );
            let busy = serde_json::json!(order.busy_recipients).to_string();
            claim(text)
                .bind::<Text, _>("busy_recipients", busy)
                .load(c)?
        }
    };
    Ok(claimed)
}

/// Locks these messages until the transaction ends, and answers which ones: those that somebody else
/// has locked are passed over, because they are moving already.
pub(crate) fn lock_messages(
    connection: &mut DbConnection,
    ids: &[OutboxMessageId],
) -> Result<Vec<OutboxMessageId>, DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(ids.to_vec()),
        DbConnection::Postgres(c) => Ok(outbox_messages::table
            .filter(outbox_messages::id.eq_any(ids))
            .order(outbox_messages::id)
            .select(outbox_messages::id)
            .for_update()
            .skip_locked()
            .load(c)?),
    }
}

/// A message that waits, by itself or in a digest.
#[derive(Debug, Queryable)]
pub(crate) struct WaitingMessage {
    pub(crate) id: OutboxMessageId,
    pub(crate) channel: Channel,
    pub(crate) digest_id: Option<OutboxMessageId>,
}

/// The messages about these subjects, of these kinds or any, that wait and have certainly not been
/// delivered by themselves, and those that a digest tells of, be it sent or not; locked until the
/// transaction ends, in the order of their ids. What a relay is just claiming is waited for, and is not
/// among them then.
pub(crate) fn lock_waiting_about(
    connection: &mut DbConnection,
    subjects: &[String],
    kinds: Option<&[&str]>,
) -> Result<Vec<WaitingMessage>, DbError> {
    let waiting = outbox_messages::table
        // In the words of the partial index.
        .filter(diesel::dsl::sql::<Bool>(
            "(outbox_messages.status = 'pending' OR outbox_messages.digest_id IS NOT NULL)",
        ))
        .filter(outbox_messages::subject.eq_any(subjects))
        .filter(outbox_messages::outcome_unknown.eq(false))
        .order(outbox_messages::id)
        .select((
            outbox_messages::id,
            outbox_messages::channel,
            outbox_messages::digest_id,
        ));
    let locked = match (connection, kinds) {
        // The write transaction holds the only write lock there is.
        (DbConnection::Sqlite(c), None) => waiting.load(c)?,
        (DbConnection::Sqlite(c), Some(kinds)) => waiting
            .filter(outbox_messages::kind.eq_any(kinds))
            .load(c)?,
        (DbConnection::Postgres(c), None) => waiting.for_update().load(c)?,
        (DbConnection::Postgres(c), Some(kinds)) => waiting
            .filter(outbox_messages::kind.eq_any(kinds))
            .for_update()
            .load(c)?,
    };
    Ok(locked)
}

/// The messages about these subjects, of these kinds or any, that are under way and would go on to another
/// channel; locked until the transaction ends. What somebody else has locked is being settled, and
/// passed over: who settles locks in no order, and two who wait for each other would never end.
pub(crate) fn lock_sending_with_fallbacks(
    connection: &mut DbConnection,
    subjects: &[String],
    kinds: Option<&[&str]>,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let under_way = outbox_messages::table
        .filter(has_status("sending"))
        .filter(outbox_messages::fallbacks.is_not_null())
        .filter(outbox_messages::subject.eq_any(subjects))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    let locked = match (connection, kinds) {
        // The write transaction holds the only write lock there is.
        (DbConnection::Sqlite(c), None) => under_way.load(c)?,
        (DbConnection::Sqlite(c), Some(kinds)) => under_way
            .filter(outbox_messages::kind.eq_any(kinds))
            .load(c)?,
        (DbConnection::Postgres(c), None) => under_way.for_update().skip_locked().load(c)?,
        (DbConnection::Postgres(c), Some(kinds)) => under_way
            .filter(outbox_messages::kind.eq_any(kinds))
            .for_update()
            .skip_locked()
            .load(c)?,
    };
    Ok(locked)
}

/// Writes down on these messages which one took over from each, in one statement.
pub(crate) fn name_fallbacks(
    connection: &mut DbConnection,
    ids: &[&OutboxMessageId],
) -> Result<(), DbError> {
    match connection {
        DbConnection::Postgres(c) => {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            Statement::new(
                "UPDATE outbox_messages AS m SET fell_back_to = f.id FROM outbox_messages AS f \
                 WHERE f.fallback_of = m.id AND m.id = ANY ({ids})",
            )
            .bind::<Array<Text>, _>("ids", ids)
            .execute(c)?;
        }
        DbConnection::Sqlite(c) => {
            let ids = serde_json::json!(ids).to_string();
            Statement::new(
                "UPDATE outbox_messages SET fell_back_to = f.id \
                 FROM json_each({ids}) AS named, outbox_messages AS f \
                 WHERE outbox_messages.id = named.value AND f.fallback_of = named.value",
            )
            .bind::<Text, _>("ids", ids)
            .execute(c)?;
        }
    }
    Ok(())
}

/// That a message waits until its recipient may be disturbed again, in the words of the partial indexes.
pub(crate) fn is_quiet() -> diesel::expression::SqlLiteral<Bool> {
    diesel::dsl::sql(
        "(outbox_messages.status = 'pending' AND outbox_messages.quiet_until IS NOT NULL)",
    )
}

/// All messages of a channel for these recipients that waited until they may be disturbed again, and
/// have not expired; locked until the transaction ends, in the order of their ids. Whoever comes second
/// waits, and finds those that are left.
pub(crate) fn lock_quiet(
    connection: &mut DbConnection,
    channel: Channel,
    recipients: &[RecipientId],
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let quiet = outbox_messages::table
        .filter(is_quiet())
        .filter(outbox_messages::channel.eq(channel))
        .filter(outbox_messages::recipient_id.eq_any(recipients))
        .filter(outbox_messages::due_at.le(now))
        .filter(
            outbox_messages::expires_at
                .is_null()
                .or(outbox_messages::expires_at.gt(now)),
        )
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => quiet.load(c)?,
        DbConnection::Postgres(c) => quiet.for_update().load(c)?,
    };
    Ok(locked)
}

/// The messages for a recipient that wait until they may be disturbed again, which is later than `now`;
/// locked until the transaction ends, in the order of their ids.
pub(crate) fn lock_quiet_of(
    connection: &mut DbConnection,
    recipient: &RecipientId,
    now: UtcTimestamp,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let quiet = outbox_messages::table
        .filter(is_quiet())
        .filter(outbox_messages::channel.eq_any(Channel::ALL))
        .filter(outbox_messages::recipient_id.eq(recipient))
        .filter(outbox_messages::due_at.gt(now))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => quiet.load(c)?,
        DbConnection::Postgres(c) => quiet.for_update().load(c)?,
    };
    Ok(locked)
}

/// What these digests tell of, locked until the transaction ends, in the order of their ids.
pub(crate) fn lock_members(
    connection: &mut DbConnection,
    digests: &[&OutboxMessageId],
) -> Result<Vec<OutboxMessageId>, DbError> {
    let members = outbox_messages::table
        .filter(outbox_messages::digest_id.eq_any(digests.iter().copied()))
        .order(outbox_messages::id)
        .select(outbox_messages::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => members.load(c)?,
        DbConnection::Postgres(c) => members.for_update().load(c)?,
    };
    Ok(locked)
}

/// A lease that is over: who had it, and how often this message was rescued already.
#[derive(Debug, Queryable)]
pub(crate) struct OverLease {
    pub(crate) id: OutboxMessageId,
    pub(crate) channel: Channel,
    pub(crate) attempt: i32,
    pub(crate) attempts_max: i32,
    pub(crate) fence: i64,
    pub(crate) rescues: i32,
    pub(crate) claimed_by: Option<RelayName>,
    pub(crate) lease_expires_at: Option<UtcTimestamp>,
}

/// The messages whose lease has passed its deadline, or whose relay has been silent since
/// `silent_since`; locked until the transaction ends.
pub(crate) fn lock_over_leases(
    connection: &mut DbConnection,
    now: UtcTimestamp,
    silent_since: UtcTimestamp,
    limit: i64,
) -> Result<Vec<OverLease>, DbError> {
    let live = relays::table
        .filter(relays::heartbeat_at.gt(silent_since))
        .select(relays::name.nullable());
    let over = outbox_messages::table
        .filter(diesel::dsl::sql::<Bool>(
            "outbox_messages.status = 'sending'",
        ))
        .filter(
            outbox_messages::lease_expires_at
                .le(now)
                .assume_not_null()
                .or(diesel::dsl::not(outbox_messages::claimed_by.eq_any(live)).assume_not_null()),
        )
        // In the order of the partial index of leases; by anything else, the whole table is read.
        .order(outbox_messages::lease_expires_at)
        .limit(limit)
        .select((
            outbox_messages::id,
            outbox_messages::channel,
            outbox_messages::attempt,
            outbox_messages::attempts_max,
            outbox_messages::fence,
            outbox_messages::rescues,
            outbox_messages::claimed_by,
            outbox_messages::lease_expires_at,
        ));
    let leases = match connection {
        DbConnection::Sqlite(c) => over.load(c)?,
        DbConnection::Postgres(c) => over.for_update().skip_locked().load(c)?,
    };
    Ok(leases)
}

#[derive(QueryableByName)]
struct Matter {
    #[diesel(sql_type = Text)]
    matter: String,
}

/// What there is to do in the outbox, each matter by its word.
pub(crate) fn matters(
    connection: &mut DbConnection,
    due_until: UtcTimestamp,
    now: UtcTimestamp,
    silent_since: UtcTimestamp,
) -> Result<Vec<String>, DbError> {
    let look = Statement::new(include_str!("dialect/agenda.sql"))
        .bind::<Timestamp, _>("due_until", due_until)
        .bind::<Timestamp, _>("now", now)
        .bind::<Timestamp, _>("silent_since", silent_since);
    let matters: Vec<Matter> = match connection {
        DbConnection::Postgres(c) => look.load(c)?,
        DbConnection::Sqlite(c) => look.load(c)?,
    };
    Ok(matters.into_iter().map(|row| row.matter).collect())
}

/// Messages of a final status that were finished before a moment, the oldest first; locked until the
/// transaction ends. Rows that somebody else has locked are passed over.
pub(crate) fn lock_finished(
    connection: &mut DbConnection,
    status: &'static str,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<OutboxMessageId>, DbError> {
    let old = outbox_messages::table
        .filter(outbox_messages::status.eq(status))
        .filter(outbox_messages::finished_at.lt(before))
        // What a digest tells of is kept as long as the digest.
        .filter(outbox_messages::digest_id.is_null())
        .order(outbox_messages::finished_at)
        .limit(limit)
        .select(outbox_messages::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => old.load(c)?,
        DbConnection::Postgres(c) => old.for_update().skip_locked().load(c)?,
    };
    Ok(locked)
}

/// Answers of requests that were stored before a moment and are kept no longer; locked until the
/// transaction ends. Rows that somebody else has locked are passed over.
///
/// # Errors
/// If the database does not answer.
pub fn lock_old_idempotency_keys(
    connection: &mut DbConnection,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    use super::schema::idempotency_keys;
    let old = idempotency_keys::table
        .filter(idempotency_keys::created_at.le(before))
        .order(idempotency_keys::created_at)
        .limit(limit)
        .select(idempotency_keys::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => old.load(c)?,
        DbConnection::Postgres(c) => old.for_update().skip_locked().load(c)?,
    };
    Ok(locked)
}

/// Locks events that were due before this, the oldest first, at most `limit`. Passes over those that
/// somebody else has locked, and those that are still to be shown.
///
/// # Errors
/// If the database does not answer.
pub fn lock_old_events(
    connection: &mut DbConnection,
    before: UtcTimestamp,
    limit: i64,
) -> Result<Vec<EventId>, DbError> {
    use super::schema::events;
    let old = events::table
        .filter(events::due_at.le(before))
        .filter(events::waiting.is_null())
        .order(events::due_at)
        .limit(limit)
        .select(events::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => old.load(c)?,
        DbConnection::Postgres(c) => old.for_update().skip_locked().load(c)?,
    };
    Ok(locked)
}

/// Locks the event that has been due for longest and is still to be shown, if there is one that
/// nobody else has locked.
///
/// # Errors
/// If the database does not answer.
pub fn lock_due_event(
    connection: &mut DbConnection,
    now: UtcTimestamp,
) -> Result<Option<EventId>, DbError> {
    use super::schema::events;
    let due = events::table
        .filter(events::waiting.is_not_null())
        .filter(events::due_at.le(now))
        .order(events::due_at)
        .limit(1)
        .select(events::id);
    let locked = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => due.first(c).optional()?,
        DbConnection::Postgres(c) => due.for_update().skip_locked().first(c).optional()?,
    };
    Ok(locked)
}

/// Locks these customers until the transaction ends, in the order of their ids: two transactions
/// that want the same ones then wait for each other instead of deadlocking.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_customers(connection: &mut DbConnection, ids: &[CustomerId]) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _locked: Vec<CustomerId> = customers::table
                .filter(customers::id.eq_any(ids))
                .order(customers::id)
                .select(customers::id)
                .for_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// A condition on customers.
pub type CustomerCondition = Box<
    dyn BoxableExpression<customers::table, <DbConnection as Connection>::Backend, SqlType = Bool>,
>;

/// How a database finds customers by what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerLookup {
    /// It keeps an index of the terms of each customer; see the migration `customer_search`.
    Terms,
    /// It compares the columns of one row after the other.
    Columns,
}

impl CustomerLookup {
    /// That of this database.
    pub fn of(connection: &DbConnection) -> Self {
        match connection {
            DbConnection::Postgres(_) => Self::Terms,
            DbConnection::Sqlite(_) => Self::Columns,
        }
    }
}

/// That a customer has all of these terms, capitals or not. Only for [`CustomerLookup::Terms`].
///
/// With values in it, and not parameters of a kept statement: the plan depends on how frequent the
/// terms are.
pub fn has_customer_terms(terms: &[String]) -> CustomerCondition {
    let condition = diesel::dsl::sql::<Bool>(
        "customer_terms(customers.name, customers.phone, customers.wechat_id, customers.number, \
         customers.lead_source, customers.service_category, customers.lead_level, \
         customers.contract_status, customers.in_public_pool) @> string_to_array(lower(",
    );
    Box::new(
        condition
            .bind::<Text, _>(terms.join("\n"))
            .sql("), E'\\n')"),
    )
}

/// Keeps a user as they are until the transaction ends: nobody deactivates them meanwhile.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn keep_user(connection: &mut DbConnection, id: &UserId) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _kept: Vec<UserId> = users::table
                .filter(users::id.eq(id))
                .select(users::id)
                .for_share()
                .load(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time count what a user has and give them more, until it ends. It waits
/// for those who keep the user as they are ([`keep_user`]), and they for it. Take it before the
/// customers are locked, as they do: then nobody waits in a circle.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_user(connection: &mut DbConnection, id: &UserId) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // Rows that merely refer to the user can be written meanwhile.
            let _locked: Vec<UserId> = users::table
                .filter(users::id.eq(id))
                .select(users::id)
                .for_no_key_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Keeps a member as they are until the transaction ends: nobody else changes them meanwhile.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_member(connection: &mut DbConnection, id: &MemberId) -> Result<(), DbError> {
    use super::schema::members;
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _locked: Vec<MemberId> = members::table
                .filter(members::id.eq(id))
                .select(members::id)
                .for_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time look at the routes of a kind and change them, until it ends. Every kind
/// has a template, also where it has no route yet; who edits its words waits as well.
pub(crate) fn lock_routes(connection: &mut DbConnection, kind: &str) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            let _locked: Vec<String> = notification_templates::table
                .find(kind)
                .select(notification_templates::kind)
                .for_no_key_update()
                .load(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time see whether a member's number or account is in use, and use it,
/// until it ends. The table itself does not ask: other programs may have their reasons.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_member_contacts(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "contacts of members".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492813)").execute(c)?;
            Ok(())
        }
    }
}

#[derive(QueryableByName)]
struct MemberCard {
    #[diesel(sql_type = Text)]
    card: String,
}

/// What a message says of a member (JSON): the triggers of the table say the same.
pub(crate) fn member_card(
    connection: &mut DbConnection,
    id: &MemberId,
) -> Result<Option<String>, DbError> {
    let cards: Vec<MemberCard> = each_backend!(connection, |c| Statement::new(
        "SELECT CAST(card AS TEXT) AS card FROM member_cards WHERE id = {id}"
    )
    .bind::<Text, _>("id", id)
    .load(c))?;
    Ok(cards.into_iter().next().map(|row| row.card))
}

#[derive(QueryableByName)]
struct Trigger {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The triggers of `members` that fire when somebody writes it.
pub(crate) fn active_member_triggers(
    connection: &mut DbConnection,
) -> Result<Vec<String>, DbError> {
    let active = match connection {
        DbConnection::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'members'"
        }
        // `O` and `A`: those that are not switched off.
        DbConnection::Postgres(_) => {
            "SELECT CAST(tgname AS TEXT) AS name FROM pg_trigger \
             WHERE tgrelid = to_regclass('members') AND tgenabled IN ('O', 'A') AND NOT tgisinternal"
        }
    };
    let triggers: Vec<Trigger> = diesel::sql_query(active).load(connection)?;
    Ok(triggers.into_iter().map(|trigger| trigger.name).collect())
}

/// Lets one transaction at a time count and record the logins under a name, until it ends. There
/// need be no row of that name to lock.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_logins(connection: &mut DbConnection, username: &str) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "logins". Two names with one hash only wait longer.
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492812, hashtext($1))")
                .bind::<Text, _>(username)
                .execute(c)?;
            Ok(())
        }
    }
}

/// Lets one transaction at a time count and record who has sent the website's form, until it ends.
///
/// # Errors
/// If the database does not answer, or the lock is not granted in time.
pub fn lock_website_lead_requests(connection: &mut DbConnection) -> Result<(), DbError> {
    match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(_) => Ok(()),
        DbConnection::Postgres(c) => {
            // An arbitrary number that means "leads of the website".
            diesel::sql_query("SELECT pg_advisory_xact_lock(7492820)").execute(c)?;
            Ok(())
        }
    }
}

/// Whether it is time to probe a held channel, and nobody else is about to: the turn is the
/// caller's until the transaction ends.
pub(crate) fn lock_probe(
    connection: &mut DbConnection,
    channel: Channel,
    now: UtcTimestamp,
) -> Result<bool, DbError> {
    let turn = channel_holds::table
        .filter(channel_holds::channel.eq(channel))
        .filter(channel_holds::probe_at.le(now))
        .select(channel_holds::channel);
    let locked: Vec<Channel> = match connection {
        // The write transaction holds the only write lock there is.
        DbConnection::Sqlite(c) => turn.load(c)?,
        DbConnection::Postgres(c) => turn.for_update().load(c)?,
    };
    Ok(!locked.is_empty())
}

/// What a settlement writes into one row. `None` leaves what is there where the row goes back to
/// pending, and clears it where the row is finished.
#[derive(Debug, Clone)]
pub(crate) struct SettledRow {
    pub(crate) id: OutboxMessageId,
    pub(crate) fence: i64,
    pub(crate) status: &'static str,
    /// 1 where the attempt must not count, else 0.
    pub(crate) attempts_given_back: i32,
    pub(crate) due_at: Option<UtcTimestamp>,
    pub(crate) outcome_unknown: Option<bool>,
    pub(crate) errcode: Option<i64>,
    pub(crate) error: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) finished_at: Option<UtcTimestamp>,
}

#[derive(QueryableByName)]
struct SettledLease {
    #[diesel(sql_type = Text)]
    id: OutboxMessageId,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

/// Ends the leases that `relay` holds on these rows, in one statement, and answers the id and fence
/// of those it still held.
pub(crate) fn settle_rows(
    connection: &mut DbConnection,
    relay: &RelayName,
    rows: &[SettledRow],
) -> Result<Vec<(OutboxMessageId, i64)>, DbError> {
    let settled: Vec<SettledLease> = match connection {
        DbConnection::Postgres(c) => Statement::new(include_str!("dialect/settle.postgres.sql"))
            .bind::<Array<Text>, _>("id", column(rows, |row| row.id.as_str()))
            .bind::<Array<BigInt>, _>("fence", column(rows, |row| row.fence))
            .bind::<Array<Text>, _>("status", column(rows, |row| row.status))
            .bind::<Array<Integer>, _>(
                "attempts_given_back",
                column(rows, |row| row.attempts_given_back),
            )
            .bind::<Array<Nullable<Timestamp>>, _>("due_at", column(rows, |row| row.due_at))
            .bind::<Array<Nullable<Bool>>, _>(
                "outcome_unknown",
                column(rows, |row| row.outcome_unknown),
            )
            .bind::<Array<Nullable<BigInt>>, _>("errcode", column(rows, |row| row.errcode))
            .bind::<Array<Nullable<Text>>, _>("error", column(rows, |row| row.error.as_deref()))
            .bind::<Array<Nullable<Text>>, _>(
                "provider_message_id",
                column(rows, |row| row.provider_message_id.as_deref()),
            )
            .bind::<Array<Nullable<Timestamp>>, _>(
                "finished_at",
                column(rows, |row| row.finished_at),
            )
            .bind::<Text, _>("relay", relay)
            .load(c)?,
        DbConnection::Sqlite(c) => {
            let batch: Vec<serde_json::Value> = rows.iter().map(as_json).collect();
            Statement::new(include_str!("dialect/settle.sqlite.sql"))
                .bind::<Text, _>("batch", serde_json::Value::Array(batch).to_string())
                .bind::<Text, _>("relay", relay)
                .load(c)?
        }
    };
    Ok(settled.into_iter().map(|row| (row.id, row.fence)).collect())
}

/// A row of the batch, in the order in which the statement takes it apart.
fn as_json(row: &SettledRow) -> serde_json::Value {
    // As the driver writes moments, or they would not compare.
    let moment = |at: UtcTimestamp| at.as_naive_utc().format("%F %T%.f").to_string();
    serde_json::json!([
        row.id,
        row.fence,
        row.status,
        row.attempts_given_back,
        row.due_at.map(moment),
        row.outcome_unknown,
        row.errcode,
        row.error,
        row.provider_message_id,
        row.finished_at.map(moment),
    ])
}

fn column<'rows, T>(rows: &'rows [SettledRow], value: impl Fn(&'rows SettledRow) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
