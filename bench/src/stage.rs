//! A database for one measurement: fresh, migrated, with people and routes in it, and gone
//! afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use diesel::connection::SimpleConnection;
use shared::clock::{Clock, DatabaseClock};
use shared::db::{Database, DatabaseUrl, DbConnection, DbError, PoolOptions, dialect, migrations};
use shared::domain::{Channel, OutboxMessageId, UtcTimestamp};
use shared::notification::{Kind, Route, RouteSettings, put_route};
use shared::outbox::{Priority, enqueue};
use tempfile::TempDir;

use crate::message::{TEMPLATE_ID, new_message};
use crate::people::{Person, hire};
use crate::server::Server;

/// Messages enqueued in one transaction where nothing is measured yet.
const ENQUEUED_AT_ONCE: usize = 2_000;

/// A database of the bench's own.
pub struct Stage {
    url: DatabaseUrl,
    /// The same place, perhaps with settings for whoever connects there.
    programs_url: DatabaseUrl,
    database: Database,
    clock: DatabaseClock,
    people: Vec<Person>,
    // Last, so that the database is closed before it goes away.
    place: Place,
}

/// What is to be cleared away.
enum Place {
    Folder(TempDir),
    Schema {
        name: String,
        server: DatabaseUrl,
        logs: TempDir,
    },
}

impl Stage {
    /// A database with so many people in it: a new schema on the server of `url`, or a new file
    /// beside the one of `url`, or, without one, a file below the folder of the build.
    ///
    /// # Errors
    /// If there is no such server or folder.
    pub async fn open(url: Option<&DatabaseUrl>, people: usize) -> anyhow::Result<Self> {
        let (url, place) = match url {
            Some(server) if !server.is_embedded() => new_schema(server)?,
            embedded => new_file(embedded.and_then(DatabaseUrl::file))?,
        };
        let migrated = url.clone();
        tokio::task::spawn_blocking(move || {
            migrations::run(&mut DbConnection::establish(&migrated)?)?;
            anyhow::Ok(())
        })
        .await??;
        let database = Database::connect(&url, PoolOptions::default()).await?;
        let clock = DatabaseClock::new(database.run(dialect::database_time).await?);
        let mut stage = Self {
            programs_url: url.clone(),
            url,
            database,
            clock,
            people: Vec::new(),
            place,
        };
        stage.put_routes().await?;
        stage.hire(people).await?;
        Ok(stage)
    }

    /// Puts so many people into the database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hire(&mut self, count: usize) -> Result<(), DbError> {
        self.people = hire(&self.database, count, self.now()).await?;
        Ok(())
    }

    /// Its address.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Its address for a program, as a flag.
    pub fn program_flag(&self) -> String {
        format!("--database-url={}", self.programs_url.reveal())
    }

    /// The database as the services use it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A connection outside the pool.
    ///
    /// # Errors
    /// If the database does not answer.
    pub fn connection(&self) -> anyhow::Result<DbConnection> {
        Ok(DbConnection::establish(&self.url)?)
    }

    /// Those in the database.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The database's time.
    pub fn now(&self) -> UtcTimestamp {
        self.clock.now()
    }

    /// What is measured on, for the head of the figures.
    ///
    /// # Errors
    /// If the database does not answer.
    pub fn describe(&self) -> anyhow::Result<String> {
        match Server::of(&self.url)? {
            Some(mut server) => server.describe(),
            None => Ok("SQLite, write-ahead log, synchronous FULL".to_owned()),
        }
    }

    /// A folder for what programs say.
    pub fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder.path(),
            Place::Schema { logs, .. } => logs.path(),
        }
    }

    /// Enqueues the messages of these numbers, due now, in large transactions.
    ///
    /// # Errors
    /// What the database says.
    pub async fn enqueue(
        &self,
        numbers: std::ops::Range<usize>,
        priority: Priority,
    ) -> Result<(), DbError> {
        let now = self.now();
        for from in numbers.clone().step_by(ENQUEUED_AT_ONCE) {
            let messages = (from..numbers.end.min(from + ENQUEUED_AT_ONCE))
                .map(|number| new_message(number, &self.people, priority, now))
                .collect();
            self.database
                .write(move |transaction| enqueue(transaction, messages, now))
                .await?;
        }
        Ok(())
    }

    /// Runs statements one after the other, each for as long as it takes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute(&self, statements: Vec<String>) -> anyhow::Result<()> {
        let url = self.url.clone();
        tokio::task::spawn_blocking(move || {
            let mut connection = DbConnection::establish(&url)?;
            if let DbConnection::Postgres(c) = &mut connection {
                c.batch_execute("SET statement_timeout = 0")?;
            }
            for statement in statements {
                connection.batch_execute(&statement)?;
            }
            anyhow::Ok(())
        })
        .await?
    }

    /// Brings the database to rest after much was written, as it does by itself in time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let statements: &[&str] = if self.url.is_embedded() {
            &["PRAGMA wal_checkpoint(TRUNCATE)"]
        } else {
            &["VACUUM (ANALYZE) outbox_messages", "CHECKPOINT"]
        };
        let statements = statements.iter().map(ToString::to_string);
        self.execute(statements.collect()).await
    }

    /// From now on the server logs the plans of programs that are started.
    ///
    /// # Errors
    /// If the database has no server.
    pub fn log_plans(&mut self) -> anyhow::Result<()> {
        ensure!(
            !self.url.is_embedded(),
            "only PostgreSQL explains its plans"
        );
        let settings = [
            "session_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
            "auto_explain.log_analyze=on",
            "auto_explain.log_buffers=on",
        ];
        let options = settings.map(|setting| format!("%20-c{}", setting.replace('=', "%3D")));
        self.programs_url = format!("{}{}", self.url.reveal(), options.concat()).parse()?;
        Ok(())
    }

    async fn put_routes(&self) -> Result<(), DbError> {
        let now = self.now();
        self.database
            .write(move |transaction| {
                for &kind in Kind::ALL {
                    let settings = RouteSettings {
                        enabled: true,
                        template_id: Some(TEMPLATE_ID.to_owned()),
                        ..RouteSettings::default()
                    };
                    let route = Route {
                        kind,
                        channel: Channel::WechatSubscribe,
                        settings,
                    };
                    put_route(transaction, &route, now)?;
                }
                Ok(())
            })
            .await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Place::Schema { name, server, .. } = &self.place else {
            return;
        };
        // A program that was killed a moment ago may not have let go of its locks yet.
        let drop_schema = format!("SET lock_timeout = '10s'; DROP SCHEMA {name} CASCADE");
        let dropped = DbConnection::establish(server)
            .map_err(anyhow::Error::from)
            .and_then(|mut connection| Ok(connection.batch_execute(&drop_schema)?));
        if let Err(error) = dropped {
            log::error!("the schema {name} could not be dropped: {error}");
        }
    }
}

fn new_schema(server: &DatabaseUrl) -> anyhow::Result<(DatabaseUrl, Place)> {
    // Sortable, unique, and valid as a name without quotes.
    let name = format!("bench_{}", OutboxMessageId::generate()).replace('-', "_");
    let address = server.reveal();
    if address.contains("options=") {
        bail!("the database URL must have no options: the bench puts its own schema there");
    }
    let separator = if address.contains('?') { '&' } else { '?' };
    let url = format!("{address}{separator}options=-csearch_path%3D{name}").parse()?;
    DbConnection::establish(server)?.batch_execute(&format!("CREATE SCHEMA {name}"))?;
    let place = Place::Schema {
        name,
        server: server.clone(),
        logs: tempfile::tempdir()?,
    };
    Ok((url, place))
}

/// On the disk the programs are built on: the usual temporary folder may be kept in memory, where a
/// commit costs nothing.
fn new_file(beside: Option<&Path>) -> anyhow::Result<(DatabaseUrl, Place)> {
    let parent = match beside {
        Some(file) => file.parent().map(Path::to_owned),
        None => std::env::current_exe()?.parent().map(Path::to_owned),
    };
    let parent = parent.filter(|folder| !folder.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| PathBuf::from("."));
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("no folder can be made in {}", parent.display()))?;
    let url = DatabaseUrl::sqlite_file(&folder.path().join("bench.db"));
    Ok((url, Place::Folder(folder)))
}
