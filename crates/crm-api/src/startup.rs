//! From a configuration to a server that answers.

use std::any::Any;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
#[cfg(target_os = "linux")]
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use secrecy::ExposeSecret;
use shared::clock::{Clock, DatabaseClock};
use shared::db::migrations::SchemaError;
use shared::db::{ConnectError, Database, DbError, PoolOptions, dialect, migrations};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use utoipa_swagger_ui::SwaggerUi;

use crate::assignment::{Entrance, Telling};
use crate::auth::bootstrap::{self, Bootstrap};
use crate::auth::password::{self, Passwords};
use crate::auth::token::Tokens;
use crate::auto_transfer::{self, Runner, Watch};
use crate::config::{Config, MigrateAtStart, SchedulerUse, WorkerCount};
use crate::error::ApiError;
use crate::events::deposit_for_ever;
use crate::extract::BODY_BYTES_MAX;
use crate::idempotency::Fingerprints;
use crate::imports::ImportRunner;
use crate::metrics::Metrics;
use crate::outward::Outward;
use crate::push::{Hub, Limits, Roster, prune_for_ever};
use crate::reminders::Reminder;
use crate::reports::{Report, Reporter};
use crate::schedule::{Schedule, Scheduler};
use crate::state::{AppState, State};
use crate::{openapi, request_frame, routes};

/// How long a connection may stay open without a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of its request.
const REQUEST_HEAD_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long requests in flight may take to finish when the server stops.
const SHUTDOWN_GRACE_SECONDS: u64 = 15;
/// How long imports may take to finish then. One that does not leaves nothing behind.
const IMPORTS_GRACE: Duration = Duration::from_secs(10);
/// How long open sockets may take to end when the server stops.
const SOCKETS_WAIT_MAX: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is gone, whatever its socket says: the system then drops
/// the connection, and what waits for it.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);
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
    roster: Arc<Roster>,
    /// What runs beside the requests, for ever.
    tasks: Vec<JoinHandle<()>>,
    state: State,
    agenda: Agenda,
}

/// What the process does without being asked.
struct Agenda {
    runner: Runner,
    running: JoinHandle<()>,
    stop_schedules: CancellationToken,
    scheduling: Option<JoinHandle<()>>,
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
        let telling = Telling {
            channels: config.channels(),
            time_zone: config.time_zone,
        };
        let metrics = Arc::new(Metrics::new()?);
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let counting = Arc::clone(&metrics);
        let runner = Runner::new(
            database.clone(),
            Arc::clone(&shared_clock),
            telling,
            move |moved| counting.count_assignments(Entrance::AutoTransfer, moved),
        );
        let schedules = schedules(&config, &database, &shared_clock, &runner);
        let roster = Roster::new(config.sockets_per_user.into());
        let hub = Hub::at_end_of_feed(database.clone(), Arc::clone(&roster)).await?;
        let state = web::Data::new(AppState {
            database: database.clone(),
            clock: Arc::clone(&shared_clock),
            tokens: Tokens::new(&config.jwt_secret),
            passwords,
            fingerprints: Fingerprints::new(&config.jwt_secret),
            telling,
            outward: Outward::of(&config),
            imports: ImportRunner::on(Handle::current()),
            notification_data_phone: config.notification_data_full_phone,
            trusted_proxies: config.trusted_proxies.clone(),
            customers_per_person_max: config.customers_per_person_max,
            metrics,
            transfer_runner: runner.clone(),
            schedules: schedules.clone(),
            roster: Arc::clone(&roster),
            socket_limits: Limits {
                ping_every: config.socket_ping,
                send_wait_max: config.socket_send_wait,
            },
        });
        let mut tasks = vec![
            tokio::spawn(hub.read_for_ever()),
            tokio::spawn(prune_for_ever(
                database.clone(),
                Arc::clone(&shared_clock),
                config.keep_notifications,
            )),
            tokio::spawn(keep_clock(database.clone(), clock)),
        ];
        if config.scheduler == SchedulerUse::On {
            tasks.push(tokio::spawn(deposit_for_ever(
                database.clone(),
                Arc::clone(&shared_clock),
                telling,
            )));
        }
        let address = listener.local_addr()?;
        let server = serve(listener, config.workers, state.clone())?;
        log::info!(
            address:%, database:% = database.url();
            "serving on http://{address} from {}", database.url()
        );
        Ok(Self {
            address,
            handle: server.handle(),
            serving: tokio::spawn(server),
            roster,
            tasks,
            agenda: Agenda::begin(
                runner,
                Scheduler::new(database, shared_clock, config.time_zone),
                schedules,
                config.scheduler,
            ),
            state,
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
        // An open socket would be waited for like a request.
        if timeout(SOCKETS_WAIT_MAX, self.roster.close())
            .await
            .is_err()
        {
            log::warn!("some sockets are still open");
        }
        self.handle.stop(true).await;
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("the server ended with an error: {error}"),
            Err(error) => log::warn!("the server ended with an error: {error}"),
        }
        self.agenda.end().await;
        self.state.imports.finish(IMPORTS_GRACE).await;
        for task in self.tasks {
            task.abort();
        }
        log::info!("stopped");
    }
}

impl Agenda {
    fn begin(
        runner: Runner,
        scheduler: Scheduler,
        schedules: Vec<Schedule>,
        use_of_it: SchedulerUse,
    ) -> Self {
        let stop_schedules = CancellationToken::new();
        let (watch, scheduling) = match use_of_it {
            SchedulerUse::Off => (Watch::OwnOrders, None),
            SchedulerUse::On => {
                let serving = scheduler.serve(schedules, stop_schedules.clone());
                (Watch::All, Some(tokio::spawn(serving)))
            }
        };
        Self {
            running: tokio::spawn(runner.clone().serve(watch)),
            runner,
            stop_schedules,
            scheduling,
        }
    }

    /// What is under way ends with its batch; others go on with the rest.
    async fn end(self) {
        self.stop_schedules.cancel();
        self.runner.stop();
        let grace = Duration::from_secs(SHUTDOWN_GRACE_SECONDS);
        for task in self.scheduling.into_iter().chain([self.running]) {
            if timeout(grace, task).await.is_err() {
                log::warn!("scheduled work did not end in time; another process goes on with it");
            }
        }
    }
}

/// What is done at fixed times.
fn schedules(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    runner: &Runner,
) -> Vec<Schedule> {
    let telling = Telling {
        channels: config.channels(),
        time_zone: config.time_zone,
    };
    let mut schedules = vec![auto_transfer::schedule(runner)];
    let reporter = Reporter::new(database.clone(), Arc::clone(clock), telling);
    schedules.extend(Report::ALL.map(|report| reporter.schedule(report)));
    let days = config.follow_up_reminder_days;
    if days > 0 {
        let reminder = Reminder::new(database.clone(), Arc::clone(clock), telling, days);
        schedules.push(reminder.schedule());
    }
    schedules
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
    .on_connect(|connection, _| drop_when_unacknowledged(connection))
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD_WAIT_MAX)
    .shutdown_timeout(SHUTDOWN_GRACE_SECONDS)
    .disable_signals();
    if let Some(WorkerCount(workers)) = workers {
        server = server.workers(workers);
    }
    Ok(server.listen(listener)?.run())
}

#[cfg(target_os = "linux")]
fn drop_when_unacknowledged(connection: &dyn Any) {
    let Some(connection) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    let set = SockRef::from(connection).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
    if let Err(error) = set {
        log::debug!("a connection has no time-out of the system: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_when_unacknowledged(_connection: &dyn Any) {}

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
