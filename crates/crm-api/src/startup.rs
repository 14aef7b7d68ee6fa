//! From a configuration to a server that answers.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use secrecy::ExposeSecret;
use shared::clock::{Clock, DatabaseClock};
use shared::db::migrations::SchemaError;
use shared::db::{ConnectError, Database, DbError, PoolOptions, dialect, migrations};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use utoipa_swagger_ui::SwaggerUi;

use crate::assignment::Telling;
use crate::auth::bootstrap::{self, Bootstrap};
use crate::auth::password::{self, Passwords};
use crate::auth::token::Tokens;
use crate::config::{Config, MigrateAtStart, WorkerCount};
use crate::error::ApiError;
use crate::extract::BODY_BYTES_MAX;
use crate::metrics::Metrics;
use crate::state::{AppState, State};
use crate::{openapi, request_frame, routes};

/// How long a connection may stay open without a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of its request.
const REQUEST_HEAD_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long requests in flight may take to finish when the server stops.
const SHUTDOWN_GRACE_SECONDS: u64 = 15;
/// How often the database is asked for its time. Clocks of hosts differ by much, but drift by
/// microseconds in such a time.
const CLOCK_SAMPLED_EVERY: Duration = Duration::from_secs(10);
/// How long to wait between two attempts at reaching the database at start.
const CONNECT_RETRY_DELAY: Duration = Duration::from_secs(2);

/// A server that answers requests.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    clock_keeper: JoinHandle<()>,
}

impl Server {
    /// Connects to the database, checks its schema (and brings an embedded one up to date), makes
    /// the first user if there is none, and begins to serve on `listener`.
    ///
    /// # Errors
    /// One sentence that says what is wrong and what to do.
    pub async fn start(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        config.validate()?;
        let database = connect(&config).await?;
        prepare_schema(&config, &database).await?;
        let clock = DatabaseClock::new(database_time(&database).await?);
        let passwords = Passwords::prepare().await?;
        make_first_user(&config, &database, &passwords, &clock).await?;
        let state = web::Data::new(AppState {
            database: database.clone(),
            clock: Arc::new(clock.clone()),
            tokens: Tokens::new(&config.jwt_secret),
            passwords,
            telling: Telling {
                channels: config.channels(),
                time_zone: config.time_zone,
            },
            notification_data_phone: config.notification_data_full_phone,
            metrics: Metrics::new()?,
        });
        let address = listener.local_addr()?;
        let server = serve(listener, config.workers, state)?;
        log::info!(
            address:%, database:% = database.url();
            "serving on http://{address} from {}", database.url()
        );
        Ok(Self {
            address,
            handle: server.handle(),
            serving: tokio::spawn(server),
            clock_keeper: tokio::spawn(keep_clock(database, clock)),
        })
    }

    /// Waits until the server ends by itself, which it does only if something is very wrong.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn finished(&mut self) -> anyhow::Result<()> {
        (&mut self.serving).await??;
        Ok(())
    }

    /// Takes no more requests, finishes those in flight, and ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("the server ended with an error: {error}"),
            Err(error) => log::warn!("the server ended with an error: {error}"),
        }
        self.clock_keeper.abort();
        log::info!("stopped");
    }
}

fn serve(
    listener: TcpListener,
    workers: Option<WorkerCount>,
    state: State,
) -> anyhow::Result<actix_web::dev::Server> {
    let api_description = openapi::description();
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .app_data(web::PathConfig::default().error_handler(|_, _| ApiError::NoSuchRoute.into()))
            .wrap(from_fn(request_frame::frame))
            .configure(routes::mount)
            .service(web::redirect("/docs", "/docs/"))
            .service(
                SwaggerUi::new("/docs/{_:.*}")
                    .url("/api-docs/openapi.json", api_description.clone())
                    // Else the page shows the description to a validator of Swagger's makers.
                    .config(utoipa_swagger_ui::Config::default().validator_url("none")),
            )
            .default_service(web::to(routes::no_such_route))
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_WAIT_MAX)
    .shutdown_timeout(SHUTDOWN_GRACE_SECONDS)
    .disable_signals();
    if let Some(WorkerCount(workers)) = workers {
        server = server.workers(workers);
    }
    Ok(server.listen(listener)?.run())
}

/// Brings the schema of the configured database up to date; answers how many migrations were run.
///
/// # Errors
/// One sentence that says what is wrong and what to do.
pub async fn migrate(config: &Config) -> anyhow::Result<usize> {
    let database = connect(config).await?;
    Ok(database.run(migrations::run).await?)
}

/// Connects; a database server that does not answer yet is waited for.
async fn connect(config: &Config) -> Result<Database, ConnectError> {
    let options = PoolOptions {
        connections_max: config.database_pool_size,
        ..PoolOptions::default()
    };
    let began_at = Instant::now();
    loop {
        let error = match Database::connect(&config.database_url, options).await {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        // A file that cannot be opened now will not be there later.
        let pointless = config.database_url.is_embedded();
        if pointless || began_at.elapsed() + CONNECT_RETRY_DELAY > config.database_wait {
            return Err(error);
        }
        log::warn!("waiting for the database: {error}");
        sleep(CONNECT_RETRY_DELAY).await;
    }
}

async fn prepare_schema(config: &Config, database: &Database) -> Result<(), SchemaError> {
    let migrates = match config.migrate {
        MigrateAtStart::Auto => config.database_url.is_embedded(),
        MigrateAtStart::Always => true,
        MigrateAtStart::Never => false,
    };
    if migrates {
        let run = database.run(migrations::run).await?;
        if run > 0 {
            log::info!(migrations = run; "ran {run} migration(s)");
        }
        return Ok(());
    }
    database.run(migrations::check).await
}

async fn make_first_user(
    config: &Config,
    database: &Database,
    passwords: &Passwords,
    clock: &DatabaseClock,
) -> anyhow::Result<()> {
    if !database.run(bootstrap::is_needed).await? {
        return Ok(());
    }
    let password = config
        .admin_password
        .clone()
        .unwrap_or_else(password::random);
    let hash = passwords.hash(&password).await?;
    let now = clock.now();
    let made = database
        .write(move |transaction| bootstrap::create_admin(transaction, &hash, now))
        .await?;
    match made {
        Bootstrap::NotNeeded => {}
        Bootstrap::Created => {
            let username = bootstrap::USERNAME;
            log::info!("created the first user, {username}");
            if config.admin_password.is_none() {
                // To the terminal and not to the log, which is kept.
                writeln!(
                    std::io::stdout(),
                    "First user: {username}  password: {}  (shown once)",
                    password.expose_secret()
                )
                .context("the password of the first user could not be shown")?;
            }
        }
    }
    Ok(())
}

async fn database_time(database: &Database) -> Result<shared::domain::UtcTimestamp, DbError> {
    database.run(dialect::database_time).await
}

/// Keeps the clock on the database's time.
async fn keep_clock(database: Database, clock: DatabaseClock) {
    loop {
        sleep(CLOCK_SAMPLED_EVERY).await;
        match database_time(&database).await {
            Ok(time) => clock.set(time),
            // It goes on from the last sample; whoever needs the database now says so.
            Err(error) => log::debug!("the database did not tell the time: {error}"),
        }
    }
}
