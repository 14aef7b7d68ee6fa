use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{Connection, TransactionManager};
use diesel::result::Error as DieselError;

use super::wake::{Topic, Topics};
use super::{DbConnection, DbError, dialect};

/// An open transaction that may change data.
///
/// Only [`Database::write`](super::Database::write) makes one. A function that takes it, such as
/// `outbox::enqueue`, therefore cannot be called outside a transaction: what it writes stands or
/// falls with the business change.
pub struct WriteTransaction<'connection> {
    connection: &'connection mut DbConnection,
    /// Whom to wake once this has been committed.
    concerns: Topics,
}

/// What became of the transaction around a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OuterTransaction {
    Stands,
    /// The database gave it up by itself, with everything in it: a full disk, a failing one, too
    /// little memory. What is run on the connection now would be committed at once.
    Lost,
}

impl WriteTransaction<'_> {
    /// The connection, for queries inside this transaction.
    pub fn connection(&mut self) -> &mut DbConnection {
        self.connection
    }

    /// Relays are to look for due messages as soon as this is committed.
    pub(crate) fn wake_relays_after_commit(&mut self) {
        self.concerns.add(Topic::Outbox);
    }

    /// Open sockets are to be told what changed in notification centres as soon as this is committed.
    pub(crate) fn wake_inboxes_after_commit(&mut self) {
        self.concerns.add(Topic::Inboxes);
    }

    /// The same where this transaction has perhaps written nothing, or only what triggers wrote.
    ///
    /// # Errors
    /// What the database says.
    pub fn wake_relays(&mut self) -> Result<(), DbError> {
        self.wake_relays_after_commit();
        dialect::let_commit_show(self.connection)
    }
}

type Manager = <DbConnection as Connection>::TransactionManager;

/// How a transaction over `connection` ends: committed if `work` succeeds, else rolled back.
pub(super) fn in_transaction<T, E: From<DbError>>(
    connection: &mut DbConnection,
    work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
) -> Result<(T, Topics), E> {
    dialect::begin_write(connection).map_err(DbError::from)?;
    let (result, concerns) = run_guarded(connection, work);
    match result {
        Ok(value) => {
            let committed = dialect::commit_write(connection);
            let committed = committed.inspect_err(|_| roll_back(connection));
            committed.map_err(DbError::from)?;
            Ok((value, concerns))
        }
        Err(error) => {
            roll_back(connection);
            Err(error)
        }
    }
}

/// The same as a part of an outer transaction, with a savepoint: a failure undoes only this part,
/// as long as the outer transaction stands.
pub(super) fn in_savepoint<T, E: From<DbError>>(
    connection: &mut DbConnection,
    work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
) -> (Result<T, E>, OuterTransaction) {
    if let Err(error) = Manager::begin_transaction(connection) {
        return (Err(DbError::from(error).into()), OuterTransaction::Lost);
    }
    // Whoever commits the outer transaction wakes everybody there is to wake.
    let (result, _) = run_guarded(connection, work);
    // There is no savepoint to end if the transaction it belongs to has gone.
    let ended = match &result {
        Ok(_) => Manager::commit_transaction(connection),
        Err(_) => Manager::rollback_transaction(connection),
    };
    match (result, ended) {
        (result, Ok(())) => (result, OuterTransaction::Stands),
        (Err(error), Err(_)) => (Err(error), OuterTransaction::Lost),
        (Ok(_), Err(_)) => (Err(transaction_lost().into()), OuterTransaction::Lost),
    }
}

/// For everybody whose changes were in it.
pub(super) fn transaction_lost() -> DbError {
    DbError::Unavailable("the database gave up the transaction this was part of".to_owned())
}

fn run_guarded<T, E: From<DbError>>(
    connection: &mut DbConnection,
    work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
) -> (Result<T, E>, Topics) {
    let mut transaction = WriteTransaction {
        connection,
        concerns: Topics::default(),
    };
    let result = catch_unwind(AssertUnwindSafe(|| work(&mut transaction)))
        .unwrap_or_else(|_| Err(DbError::Panicked.into()));
    (result, transaction.concerns)
}

fn roll_back(connection: &mut DbConnection) {
    match Manager::rollback_transaction(connection) {
        // A failed commit may have rolled back already.
        Ok(()) | Err(DieselError::NotInTransaction) => {}
        Err(failure) => {
            log::warn!(
                "a transaction could not be rolled back, its connection is dropped: {failure}"
            );
        }
    }
}

/// How long to wait between two looks whether another process has ended its transaction.
const LOCK_LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Whether somebody else was writing when a group began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteLock {
    WasFree,
    WasTaken,
}

/// Begins a transaction on a connection that refuses to wait for writers; waits for them here, up
/// to `lock_wait_max`.
pub(super) fn begin_group(
    connection: &mut DbConnection,
    lock_wait_max: Duration,
) -> Result<WriteLock, DbError> {
    let asked_at = Instant::now();
    let mut lock = WriteLock::WasFree;
    loop {
        match dialect::begin_write(connection) {
            Err(error)
                if dialect::is_somebody_else_writing(&error)
                    && asked_at.elapsed() < lock_wait_max =>
            {
                lock = WriteLock::WasTaken;
                thread::sleep(LOCK_LOOK_PAUSE);
            }
            begun => return begun.map(|()| lock).map_err(DbError::from),
        }
    }
}

pub(super) fn commit_group(connection: &mut DbConnection) -> Result<(), DbError> {
    let committed = Manager::commit_transaction(connection);
    if committed.is_err() && Manager::rollback_transaction(connection).is_err() {
        log::warn!("a group of transactions could not be rolled back");
    }
    committed.map_err(DbError::from)
}
