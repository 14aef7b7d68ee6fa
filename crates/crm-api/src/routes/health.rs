use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use shared::db::migrations::{self, SchemaError};
use utoipa::ToSchema;

use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::metrics::RenderError;
use crate::state::State;

/// That the process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, body = Envelope<Health>)))]
pub(crate) async fn alive() -> HttpResponse {
    envelope::ok("正常", Health { status: "ok" })
}

/// Whether it can do its work: the database answers and its schema is the right one.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Envelope<Health>), (status = 503)))]
pub(crate) async fn ready(state: State) -> Result<HttpResponse, ApiError> {
    match state.database.run(migrations::check).await {
        Ok(()) => Ok(envelope::ok("正常", Health { status: "ready" })),
        Err(SchemaError::Database(error)) => Err(error.into()),
        Err(
            error @ (SchemaError::Behind { .. }
            | SchemaError::TooNew { .. }
            | SchemaError::Failed(_)),
        ) => Err(ApiError::Unavailable(error.to_string())),
    }
}

/// The figures of this process and of the outbox, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn figures(state: State) -> Result<HttpResponse, ApiError> {
    state.metrics.show_sockets(state.roster.sockets());
    let text = state
        .metrics
        .render(&state.database, state.now())
        .await
        .map_err(|error| match error {
            RenderError::Database(error) => error.into(),
            RenderError::Encoding(error) => ApiError::Internal(error.to_string()),
        })?;
    let mut response = HttpResponse::Ok().body(text);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(prometheus::TEXT_FORMAT),
    );
    Ok(response)
}
