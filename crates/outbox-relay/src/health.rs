//! Whether the relay is alive and ready, and its figures, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use shared::db::{DbError, migrations};
use tokio::net::TcpListener;

use crate::context::Context;

/// What the relay knows of its own condition.
#[derive(Debug, Default)]
pub struct Health {
    database_lost: AtomicBool,
}

impl Health {
    /// The database answered.
    pub(crate) fn database_works(&self) {
        if self.database_lost.swap(false, Ordering::Relaxed) {
            log::info!("the database is back");
        }
    }

    /// It did not. Said once per outage, not once per try.
    pub(crate) fn database_failed(&self, error: &DbError) {
        if !self.database_lost.swap(true, Ordering::Relaxed) {
            log::error!("the database does not answer, going on when it does: {error}");
        }
    }

    /// Whether work can be done.
    pub(crate) fn is_ready(&self) -> bool {
        !self.database_lost.load(Ordering::Relaxed)
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until the relay has finished.
pub(crate) async fn serve_health(context: Arc<Context>, listener: TcpListener) {
    let finished = context.finished.clone();
    let router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { finished.cancelled().await })
        .await;
    if let Err(error) = served {
        log::error!("the health endpoints stopped: {error}");
    }
}

async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    if context.stopping.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if context.health.is_ready() {
        match context.database.run(migrations::check).await {
            Ok(()) => (StatusCode::OK, "ready\n"),
            Err(error) => {
                log::debug!("not ready: {error}");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the database or its schema is not as it should be\n",
                )
            }
        }
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer\n",
        )
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> Result<String, StatusCode> {
    context.metrics.render().map_err(|error| {
        log::error!("metrics could not be rendered: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}

/// Opens the port for the health endpoints.
///
/// # Errors
/// One sentence, if the port is taken.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot listen on {address}: {error}; choose another with --listen or RELAY_LISTEN"
        )
    })
}
