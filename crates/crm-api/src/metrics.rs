use std::time::{Duration, Instant};

use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use shared::db::{Database, DbError};
use shared::domain::{Channel, UtcTimestamp};
use shared::notification::Kind;
use shared::outbox::{self, Backlog, Status};
use tokio::sync::Mutex;

use crate::assignment::{Assigned, Entrance, Released};

/// The figures of this process, and those of the outbox.
pub(crate) struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    assignments: IntCounterVec,
    events: IntCounterVec,
    backlog: IntGaugeVec,
    oldest_due_age: Gauge,
    open_sockets: IntGauge,
    /// When the outbox was last counted.
    backlog_read_at: Mutex<Option<Instant>>,
}

/// Counting the outbox reads an index: several collectors share one count.
const BACKLOG_KEPT_FOR: Duration = Duration::from_secs(1);

impl Metrics {
    /// # Errors
    /// Never in practice: the names are right and registered once.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = HistogramVec::new(
            HistogramOpts::new(
                "crm_api_request_duration_seconds",
                "How long requests took, by route, method and status",
            )
            .buckets(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            ]),
            &["route", "method", "status"],
        )?;
        let assignments = IntCounterVec::new(
            Opts::new(
                "crm_api_assignments_total",
                "Customers in assignment orders, by entrance and result",
            ),
            &["entrance", "result"],
        )?;
        let events = IntCounterVec::new(
            Opts::new(
                "crm_api_events_total",
                "Events that other modules have told of, by kind and result",
            ),
            &["kind", "result"],
        )?;
        let backlog = IntGaugeVec::new(
            Opts::new(
                "outbox_messages",
                "Messages in the outbox, by channel and status",
            ),
            &["channel", "status"],
        )?;
        let oldest_due_age = Gauge::new(
            "outbox_oldest_due_age_seconds",
            "For how long the oldest due message has been waiting",
        )?;
        let open_sockets = IntGauge::new(
            "crm_api_open_sockets",
            "Pages that are told at once what is new, in this process",
        )?;
        registry.register(Box::new(open_sockets.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(assignments.clone()))?;
        registry.register(Box::new(events.clone()))?;
        registry.register(Box::new(backlog.clone()))?;
        registry.register(Box::new(oldest_due_age.clone()))?;
        Ok(Self {
            registry,
            requests,
            assignments,
            events,
            backlog,
            oldest_due_age,
            open_sockets,
            backlog_read_at: Mutex::new(None),
        })
    }

    pub(crate) fn count_request(&self, route: &str, method: &str, status: u16, duration: Duration) {
        self.requests
            .with_label_values(&[route, method, &status.to_string()])
            .observe(duration.as_secs_f64());
    }

    pub(crate) fn count_assignments(&self, entrance: Entrance, outcome: &Assigned) {
        for (result, customers) in [
            ("assigned", outcome.assigned.len()),
            ("unchanged", outcome.unchanged.len()),
            ("refused", outcome.refused.len()),
        ] {
            self.assignments
                .with_label_values(&[entrance.as_str(), result])
                .inc_by(customers as u64);
        }
    }

    /// Customers went into the public pool.
    pub(crate) fn count_releases(&self, outcome: &Released) {
        for (result, customers) in [
            ("released", outcome.released.len()),
            ("refused", outcome.refused.len()),
        ] {
            self.assignments
                .with_label_values(&[Entrance::Release.as_str(), result])
                .inc_by(customers as u64);
        }
    }

    /// A customer was entered and thereby given to somebody.
    pub(crate) fn count_entered(&self) {
        self.assignments
            .with_label_values(&[Entrance::Create.as_str(), "assigned"])
            .inc();
    }

    /// Another module has told of something; `None` is no kind.
    pub(crate) fn count_event(&self, kind: Option<Kind>, result: EventResult) {
        let kind = kind.map_or("unknown", Kind::as_str);
        self.events
            .with_label_values(&[kind, result.as_str()])
            .inc();
    }

    /// So many sockets are open now.
    pub(crate) fn show_sockets(&self, open: usize) {
        self.open_sockets
            .set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// All figures in Prometheus' text format. Those of the outbox are at most
    /// [`BACKLOG_KEPT_FOR`] old.
    ///
    /// # Errors
    /// If the outbox cannot be counted.
    pub(crate) async fn render(
        &self,
        database: &Database,
        now: UtcTimestamp,
    ) -> Result<String, RenderError> {
        let mut read_at = self.backlog_read_at.lock().await;
        if read_at.is_none_or(|moment| moment.elapsed() >= BACKLOG_KEPT_FOR) {
            let backlog: Backlog = database
                .run(move |connection| outbox::backlog(connection, now))
                .await?;
            self.show(&backlog, now);
            *read_at = Some(Instant::now());
        }
        drop(read_at);
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    fn show(&self, backlog: &Backlog, now: UtcTimestamp) {
        // A line that has become empty must show zero, not what it was.
        for channel in Channel::ALL {
            for status in Status::ALL {
                let line = backlog
                    .lines
                    .iter()
                    .find(|line| line.channel == *channel && line.status == *status);
                self.backlog
                    .with_label_values(&[channel.as_str(), status.as_str()])
                    .set(line.map_or(0, |line| line.count));
            }
        }
        let age = backlog
            .oldest_due_at
            .map_or(Duration::ZERO, |due_at| now.since(due_at));
        self.oldest_due_age.set(age.as_secs_f64());
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventResult {
    Accepted,
    Duplicate,
    Refused,
}

impl EventResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Encoding(#[from] prometheus::Error),
}
