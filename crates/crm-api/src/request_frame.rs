//! What is done around every request: its id, its time, its headers, its line in the log.

use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use shared::domain::RequestId;

use crate::error::ApiError;
use crate::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware around everything.
pub(crate) async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started_at = Instant::now();
    let request_id = request_id_of(&request);
    request.extensions_mut().insert(request_id.clone());
    let mut response = next.call(request).await?;
    add_headers(&mut response, &request_id);
    record(&response, &request_id, started_at);
    Ok(response)
}

/// The caller's, if it can be one, else a new one.
fn request_id_of(request: &ServiceRequest) -> RequestId {
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(RequestId::generate)
}

fn add_headers<B>(response: &mut ServiceResponse<B>, request_id: &RequestId) {
    // The documentation's own files may be cached; answers hold people's data.
    let is_documentation = response.request().path().starts_with("/docs");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !is_documentation {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn record<B>(response: &ServiceResponse<B>, request_id: &RequestId, started_at: Instant) {
    let request = response.request();
    let route = request.match_pattern();
    // The path itself is what a stranger wrote; it goes neither into labels nor into the log.
    let route = route.as_deref().unwrap_or("unmatched");
    let method = known_method(request.method().as_str());
    let status = response.status().as_u16();
    let duration = started_at.elapsed();
    if let Some(state) = request.app_data::<State>() {
        state.metrics.count_request(route, method, status, duration);
    }
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    log::debug!(
        request_id:% = request_id, method, route, status, duration_ms;
        "{method} {route} {status} in {duration_ms} ms"
    );
    let error = response.response().error();
    match error.and_then(|error| error.as_error::<ApiError>()) {
        Some(ApiError::Unavailable(reason)) => log::warn!(
            request_id:% = request_id, method, route, status;
            "{method} {route}: the database is not available: {}", one_line(reason)
        ),
        Some(ApiError::Internal(reason)) => log::error!(
            request_id:% = request_id, method, route, status;
            "{method} {route} failed: {}", one_line(reason)
        ),
        Some(_) | None if status >= 500 => log::error!(
            request_id:% = request_id, method, route, status;
            "{method} {route} failed with {status}"
        ),
        Some(_) | None => {}
    }
}

/// Database servers complain over several lines.
fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ")
}

/// Any word may come as a method; a metric must not have any number of series.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_if_it_can_be_one() {
        let of = |value: &str| {
            let request = TestRequest::default().insert_header(("x-request-id", value));
            request_id_of(&request.to_srv_request())
        };
        assert_eq!(of("abc-1").as_str(), "abc-1");
        let long = "x".repeat(129);
        for value in ["", "a b", long.as_str()] {
            assert_ne!(of(value).as_str(), value);
        }
    }

    #[test]
    fn methods_nobody_knows_share_one_series() {
        assert_eq!(known_method("PATCH"), "PATCH");
        assert_eq!(known_method("BREW"), "OTHER");
    }
}
