//! Starts and stops a relay.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use shared::clock::{Clock, DatabaseClock};
use shared::db::{Database, PoolOptions, Topic, dialect, migrations};
use shared::domain::{Channel, ChannelSet, RelayName};
use shared::outbox::{deregister_relay, register_relay};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::channel::Platforms;
pub use crate::claimer::Until;
use crate::claimer::claim_messages;
use crate::context::Context;
use crate::controls::Controls;
use crate::digester::make_digests;
use crate::dispatcher::dispatch_messages;
use crate::health::{self, Health};
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::pruner::prune_messages;
use crate::pulse::keep_pulse;
use crate::settler::settle_messages;

/// How long the heartbeat and the health endpoints may take to end.
const BACKGROUND_GRACE: Duration = Duration::from_secs(1);

/// A running relay.
pub struct Relay {
    context: Arc<Context>,
    address: Option<SocketAddr>,
    /// Taken when it has ended.
    delivery: Option<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay on the database's clock.
    ///
    /// # Errors
    /// If a setting, the database or the port cannot be used; one sentence each.
    pub async fn start(config: Config, until: Until) -> anyhow::Result<Self> {
        let database = open_database(&config).await?;
        let database_time = database.run(dialect::database_time).await?;
        let clock = DatabaseClock::new(database_time);
        Self::start_on(
            config,
            until,
            database,
            Arc::new(clock.clone()),
            Some(clock),
        )
        .await
    }

    /// Starts a relay on a clock of the caller's: tests move it by hand.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub async fn start_with_clock(
        config: Config,
        until: Until,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let database = open_database(&config).await?;
        Self::start_on(config, until, database, clock, None).await
    }

    async fn start_on(
        config: Config,
        until: Until,
        database: Database,
        clock: Arc<dyn Clock>,
        database_clock: Option<DatabaseClock>,
    ) -> anyhow::Result<Self> {
        config.validate()?;
        let name = RelayName::for_this_run(&host_name());
        let (registered, now) = (name.clone(), clock.now());
        database
            .write(move |transaction| register_relay(transaction, &registered, now))
            .await?;
        let controls = database
            .run(move |connection| Controls::read(connection, now))
            .await?;
        let listener = match config.listen.0 {
            Some(address) => Some(health::bind(address).await?),
            None => None,
        };
        let address = listener
            .as_ref()
            .map(tokio::net::TcpListener::local_addr)
            .transpose()?;
        let channels = config.configured_channels();
        let context = Arc::new(Context {
            platforms: Platforms::new(&config)
                .context("WECHAT_API_URL, WECOM_API_URL or a time-out")?,
            metrics: Metrics::new()?,
            liveness: Liveness::new(),
            health: Health::default(),
            stopping: CancellationToken::new(),
            grace_over: CancellationToken::new(),
            finished: CancellationToken::new(),
            held: AtomicU8::new(0),
            without_digests: AtomicU8::new(0),
            controls: RwLock::new(Arc::new(controls)),
            breakers: Default::default(),
            wake: database
                .listen(Topic::Outbox)
                .await
                .context("listening for signals")?,
            due: Default::default(),
            quiet_over: watch::Sender::new(()),
            name,
            config,
            database,
            clock,
            database_clock,
        });
        announce(&context, channels, address);
        let delivery = tokio::spawn(deliver(Arc::clone(&context), channels, until));
        let mut background = vec![tokio::spawn(keep_pulse(Arc::clone(&context)))];
        background.push(tokio::spawn(prune_messages(Arc::clone(&context))));
        background.push(tokio::spawn(make_digests(Arc::clone(&context))));
        if let Some(listener) = listener {
            background.push(tokio::spawn(health::serve_health(
                Arc::clone(&context),
                listener,
            )));
        }
        Ok(Self {
            context,
            address,
            delivery: Some(delivery),
            background,
        })
    }

    /// The name of this run.
    pub fn name(&self) -> &RelayName {
        &self.context.name
    }

    /// Where the health endpoints are served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Waits until the delivery ends by itself: until nothing is due any more, for a relay started
    /// with [`Until::Drained`]. To be followed by [`Relay::stop`].
    pub async fn ended(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            let ended = delivery.await;
            self.delivery = None;
            log_if_panicked(ended);
        }
    }

    /// Stops: claims nothing more, lets requests under way end within the grace period, settles,
    /// gives the rest back without using up an attempt.
    pub async fn stop(mut self) {
        let asked_at = Instant::now();
        self.context.stopping.cancel();
        let context = Arc::clone(&self.context);
        tokio::select! {
            () = self.ended() => {}
            () = tokio::time::sleep(context.config.shutdown_grace) => {
                context.grace_over.cancel();
                self.ended().await;
            }
        }
        context.finished.cancel();
        sign_off(&context).await;
        for task in self.background {
            // A client may hold half a request on the health port for as long as it likes.
            if let Ok(ended) = tokio::time::timeout(BACKGROUND_GRACE, task).await {
                log_if_panicked(ended);
            }
        }
        log::info!(duration_ms = asked_at.elapsed().as_millis() as u64; "relay {} stopped", context.name);
    }
}

/// What it might still hold is free at once; without this the others wait for its silence.
async fn sign_off(context: &Context) {
    let name = context.name.clone();
    let left = context
        .database
        .write(move |transaction| deregister_relay(transaction, &name));
    match tokio::time::timeout(Duration::from_secs(1), left).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("could not sign off: {error}"),
        Err(_) => log::warn!("could not sign off within a second"),
    }
}

fn log_if_panicked(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        log::error!("a task of the relay ended badly: {error}");
    }
}

/// Runs the pipelines to their end. What has gone on to a channel that was drained by then is due there
/// now: they run once more for it, and chains of fallbacks are finite.
async fn deliver(context: Arc<Context>, channels: ChannelSet, until: Until) {
    loop {
        let fallbacks = run_pipelines(&context, channels, until).await;
        if until == Until::Stopped || fallbacks == 0 || context.stopping.is_cancelled() {
            return;
        }
    }
}

/// Runs the pipeline of every channel to its end, claimers first, the settler last. Answers how many
/// messages took over from others.
async fn run_pipelines(context: &Arc<Context>, channels: ChannelSet, until: Until) -> usize {
    let (finished, settlements) = mpsc::unbounded_channel();
    let settler = tokio::spawn(settle_messages(Arc::clone(context), settlements));
    let mut tasks = Vec::new();
    for channel in channels.iter() {
        let (claimed, messages) = mpsc::unbounded_channel();
        tasks.push(tokio::spawn(claim_messages(
            Arc::clone(context),
            channel,
            until,
            claimed,
        )));
        tasks.push(tokio::spawn(dispatch_messages(
            Arc::clone(context),
            channel,
            messages,
            finished.clone(),
        )));
    }
    drop(finished);
    if channels.iter().next().is_none() && until == Until::Stopped {
        context.stopping.cancelled().await;
    }
    for task in tasks {
        log_if_panicked(task.await);
    }
    match settler.await {
        Ok(fallbacks) => fallbacks,
        Err(error) => {
            log_if_panicked(Err(error));
            0
        }
    }
}

fn announce(context: &Context, channels: ChannelSet, address: Option<SocketAddr>) {
    let mut on: Vec<&str> = channels.iter().map(Channel::as_str).collect();
    if on.is_empty() {
        on.push("none");
    }
    let where_ = address.map_or_else(
        || "nowhere".to_owned(),
        |address| format!("http://{address}"),
    );
    log::info!(relay:% = context.name; "relay {} started on {}, channels: {}, health: {where_}", context.name, context.database.url(), on.join(", "));
    for &channel in Channel::ALL {
        let missing = context.config.lacks(channel);
        if !missing.is_empty() {
            log::warn!(channel:%; "channel {channel} is disabled: {} not given", missing.join(", "));
        }
    }
}

/// Waits until the database can be reached and has the schema this program was built for.
pub(crate) async fn open_database(config: &Config) -> anyhow::Result<Database> {
    let options = PoolOptions {
        connections_max: config.database_pool_size,
        ..PoolOptions::default()
    };
    let deadline = Instant::now() + config.database_wait;
    loop {
        let problem = match try_open(config, options).await {
            Ok(database) => return Ok(database),
            Err(problem) => problem,
        };
        let too_new = matches!(
            problem,
            shared::db::ConnectError::Schema(migrations::SchemaError::TooNew { .. })
        );
        if too_new || Instant::now() >= deadline {
            return Err(problem.into());
        }
        log::warn!("waiting for the database: {problem}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn try_open(
    config: &Config,
    options: PoolOptions,
) -> Result<Database, shared::db::ConnectError> {
    let database = Database::connect(&config.database_url, options).await?;
    database.run(migrations::check).await?;
    Ok(database)
}

fn host_name() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map_or_else(String::new, |name| name.trim().to_owned())
}
