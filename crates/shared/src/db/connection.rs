use std::path::Path;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::{PgConnection, SqliteConnection};

use super::url::{DatabaseUrl, Target, with_time_limits};
use super::{ConnectError, dialect};

/// A connection to either database. Queries written for it run on both.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// PostgreSQL, through libpq.
    Postgres(PgConnection),
    /// The embedded SQLite.
    Sqlite(SqliteConnection),
}

/// Type-checks one expression against each concrete connection: for what both databases know but
/// the common connection does not (`ON CONFLICT`, multi-row inserts).
#[macro_export]
#[doc(hidden)]
macro_rules! each_backend {
    ($connection:expr, |$concrete:ident| $body:expr) => {
        match $connection {
            $crate::db::DbConnection::Postgres($concrete) => $body,
            $crate::db::DbConnection::Sqlite($concrete) => $body,
        }
    };
}
#[doc(inline)]
pub use each_backend;

/// Loads the rows of a query and locks them until the transaction ends, with clauses that only one of the
/// databases knows. On the other one the write transaction holds the only write lock there is.
#[macro_export]
#[doc(hidden)]
macro_rules! load_locked {
    ($connection:expr, $query:expr $(, $clause:ident)+) => {
        match $connection {
            $crate::db::DbConnection::Sqlite(c) => $query.load(c),
            $crate::db::DbConnection::Postgres(c) => $query$(.$clause())+.load(c),
        }
    };
}
#[doc(inline)]
pub use load_locked;

/// Inserts a slice of rows into a table, perhaps with another clause, and answers how many came in.
///
/// PostgreSQL gets them in one statement. For a few rows, as in most changes of the business, it is kept
/// prepared; that for many is read and planned anew each time, as their number is part of its text. On
/// SQLite, to which there is no way to be saved, each row goes by itself. A row that is refused leaves
/// those before it to the end of the transaction.
///
/// A row must write all its columns, also those that are empty (`treat_none_as_default_value = false`):
/// else each pattern of empty ones is a statement of its own that is kept.
#[macro_export]
#[doc(hidden)]
macro_rules! insert_rows {
    ($connection:expr, $table:expr, $rows:expr $(, $clause:ident)?) => {{
        let rows: &[_] = $rows;
        match $connection {
            $crate::db::DbConnection::Postgres(c) => {
                let insert = diesel::insert_into($table).values(rows)$(.$clause())?;
                match rows.len() {
                    0 => Ok(0),
                    1..=$crate::db::ROWS_KEPT_PREPARED_MAX => $crate::db::keep_prepared(insert).count(c),
                    _ => insert.execute(c),
                }
            }
            $crate::db::DbConnection::Sqlite(c) => rows.iter().try_fold(0, |inserted, row| {
                let insert = diesel::insert_into($table).values(row)$(.$clause())?;
                Ok::<usize, diesel::result::Error>(inserted + insert.execute(c)?)
            }),
        }
    }};
}
#[doc(inline)]
pub use insert_rows;

/// Each number of rows up to this one has a statement of its own on each connection that inserts so many.
#[doc(hidden)]
pub const ROWS_KEPT_PREPARED_MAX: usize = 8;

impl DbConnection {
    /// Opens one connection outside any pool: for migrations, listeners and tests. It stands before
    /// the derived function of the same name, which tries each database in turn.
    ///
    /// # Errors
    /// If the database cannot be reached or opened now; the text names the address and the reason.
    pub fn establish(url: &DatabaseUrl) -> Result<Self, ConnectError> {
        establish(url).map_err(|error| {
            // One driver breaks its reasons into lines.
            let reason = error.to_string();
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            ConnectError::Unreachable(format!("database {url}: {reason}"))
        })
    }
}

/// Opens and sets up one connection.
pub(super) fn establish(url: &DatabaseUrl) -> Result<DbConnection, ConnectionError> {
    let mut connection = match &url.0 {
        Target::Sqlite { file } => {
            check_folder(file)?;
            DbConnection::Sqlite(SqliteConnection::establish(&file.to_string_lossy())?)
        }
        Target::Postgres { url } => {
            let opened = PgConnection::establish(&with_time_limits(url));
            DbConnection::Postgres(opened.map_err(without_parts_of_the_url)?)
        }
    };
    dialect::set_up_session(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// libpq quotes what it cannot read of a URL, which may be a part of a password. What it says about
/// a server it has tried begins with the server's address.
fn without_parts_of_the_url(error: ConnectionError) -> ConnectionError {
    let ConnectionError::BadConnection(said) = &error else {
        return error;
    };
    let is_about_a_server = ["connection to server", "could not translate host name"]
        .iter()
        .any(|beginning| said.starts_with(beginning));
    match (said.split_once('"'), said.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) if !is_about_a_server => {
            ConnectionError::BadConnection(format!("{before}\"…\"{after}"))
        }
        _ => error,
    }
}

/// SQLite says "unable to open database file" for everything; this names what is missing.
fn check_folder(file: &Path) -> Result<(), ConnectionError> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(ConnectionError::BadConnection(format!(
            "the folder {} does not exist",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// Keeps a pool of connections to the database of one URL.
#[derive(Debug)]
pub(super) struct ConnectionManager {
    pub(super) url: DatabaseUrl,
}

/// A pooled connection that remembers whether it should be trusted.
pub(super) struct PooledConnection {
    pub(super) connection: DbConnection,
    pub(super) trust: Trust,
    pub(super) last_used: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The last thing it did worked.
    Works,
    /// The last thing it did failed: perhaps the connection itself is gone.
    Suspect,
}

/// A connection idle for longer is tried before it is handed out. A server that was restarted
/// leaves a pool full of dead ones, and each would fail one request; a trial before every use would
/// add a round trip to each transaction.
const TRUSTED_WHILE_USED_WITHIN: Duration = Duration::from_secs(1);

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = PooledConnection;
    type Error = ConnectionError;

    fn connect(&self) -> Result<PooledConnection, ConnectionError> {
        let connection = establish(&self.url)?;
        Ok(PooledConnection {
            connection,
            trust: Trust::Works,
            last_used: Instant::now(),
        })
    }

    fn is_valid(&self, pooled: &mut PooledConnection) -> Result<(), ConnectionError> {
        if pooled.last_used.elapsed() < TRUSTED_WHILE_USED_WITHIN {
            return Ok(());
        }
        dialect::ping(&mut pooled.connection)
            .map_err(|error| ConnectionError::BadConnection(error.to_string()))
    }

    fn has_broken(&self, pooled: &mut PooledConnection) -> bool {
        pooled.trust == Trust::Suspect && dialect::ping(&mut pooled.connection).is_err()
    }
}
