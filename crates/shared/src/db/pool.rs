use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::connection::{ConnectionManager, Trust};
use super::transaction::in_transaction;
use super::url::Target;
use super::wake::{self, Signaller, Topic, Topics};
use super::writer::Writer;
use super::{ConnectError, DatabaseUrl, DbConnection, DbError, WriteTransaction};

/// How many connections, and how long to wait for one.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Connections at most. Four were a third slower than sixteen for the API's transactions on
    /// PostgreSQL; more gained nothing on two cores.
    pub connections_max: u32,
    /// How long a request may wait for a connection before it fails as unavailable.
    pub wait_max: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connections_max: 16,
            wait_max: Duration::from_secs(5),
        }
    }
}

/// A connection that nobody has needed for so long is closed, down to one: an idle process keeps one.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The database, shared by everything in a process. Cloning it is cheap.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    pool: r2d2::Pool<ConnectionManager>,
    /// Present where the database has one writer anyway.
    writer: Option<Writer>,
    /// Started with the first commit that concerns somebody. Not needed where every commit shows itself.
    signaller: OnceLock<Signaller>,
}

impl Database {
    /// Opens the database, without looking at its schema.
    ///
    /// # Errors
    /// If it cannot be reached or opened now; the text names the address and the reason.
    pub async fn connect(url: &DatabaseUrl, options: PoolOptions) -> Result<Self, ConnectError> {
        let url = url.clone();
        blocking(move || Self::connect_now(url, options))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Unreachable("connecting panicked".to_owned())))
    }

    fn connect_now(url: DatabaseUrl, options: PoolOptions) -> Result<Self, ConnectError> {
        // One connection by hand first: the pool would only say "timed out", not why.
        DbConnection::establish(&url)?;
        let pool = r2d2::Pool::builder()
            .max_size(options.connections_max)
            .min_idle(Some(1))
            .connection_timeout(options.wait_max)
            .idle_timeout(Some(IDLE_MAX))
            .test_on_check_out(true)
            .error_handler(Box::new(LogPoolError))
            .build_unchecked(ConnectionManager { url: url.clone() });
        let writer = match &url.0 {
            Target::Sqlite { file } => Some(Writer::start(file.clone()).map_err(|error| {
                ConnectError::Unreachable(format!("database {url}: no writer thread: {error}"))
            })?),
            Target::Postgres { .. } => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                url,
                pool,
                writer,
                signaller: OnceLock::new(),
            }),
        })
    }

    /// The address, without its password when printed.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// Runs reading queries on a connection of the pool, off the async threads.
    ///
    /// # Errors
    /// What `work` returns, or [`DbError::Unavailable`] if no connection can be had in time.
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.with_connection(work))
            .await
            .unwrap_or_else(|_| Err(DbError::Panicked.into()))
    }

    /// Wakes whoever waits on the receiver when something was committed that concerns this, in
    /// whatever process. Signals may come without reason, and may be lost.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if no thread can be started. A database that is away is no error:
    /// the listener goes on trying.
    pub async fn listen(&self, topic: Topic) -> Result<watch::Receiver<()>, DbError> {
        let url = self.inner.url.clone();
        let listening = blocking(move || wake::listen(url, topic))
            .await
            .map_err(|_| DbError::Panicked)?;
        listening.map_err(|error| DbError::Unavailable(format!("no listener thread: {error}")))
    }

    /// Runs `work` in one transaction: committed when it returns `Ok`, rolled back when it returns
    /// `Err` or panics. The answer comes after the commit.
    ///
    /// # Errors
    /// What `work` returns, or a [`DbError`] if there is no connection or the commit fails.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &self.inner.writer {
            Some(writer) => writer.write(work).await,
            None => {
                let (value, concerns) = self
                    .run(|connection| in_transaction(connection, work))
                    .await?;
                if !concerns.is_empty() {
                    self.inner.signal(concerns);
                }
                Ok(value)
            }
        }
    }
}

impl Inner {
    fn signal(&self, topics: Topics) {
        if self.signaller.get().is_none() {
            match Signaller::start(self.url.clone()) {
                // Another request may have been faster; its thread stays, this one ends.
                Ok(signaller) => drop(self.signaller.set(signaller)),
                Err(error) => return log::warn!("nobody can be signalled: {error}"),
            }
        }
        if let Some(signaller) = self.signaller.get() {
            signaller.signal(topics);
        }
    }

    fn with_connection<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&mut DbConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pooled = self
            .pool
            .get()
            .map_err(|error| DbError::Unavailable(error.to_string()))?;
        // Until the work has succeeded; it may also panic.
        pooled.trust = Trust::Suspect;
        let result = work(&mut pooled.connection);
        if result.is_ok() {
            pooled.trust = Trust::Works;
        }
        pooled.last_used = Instant::now();
        result
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}

/// The pool's own attempts at reconnecting fail many times a minute while the database is away;
/// whoever needed a connection says so once, at its own level.
#[derive(Debug)]
struct LogPoolError;

impl<E: std::error::Error> r2d2::HandleError<E> for LogPoolError {
    fn handle_error(&self, error: E) {
        log::debug!("database connection: {}", error.to_string().trim());
    }
}
