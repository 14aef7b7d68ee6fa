use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use utoipa::ToSchema;

use crate::customers::{COUNTED_MAX, REACH_MAX, Total};

/// What every answer looks like.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Envelope<T> {
    /// Whether it worked. The HTTP status says so too.
    success: bool,
    /// What to show to the user.
    message: String,
    /// The result; null on failure.
    data: Option<T>,
    /// What went wrong; null on success.
    error: Option<ErrorBody>,
    /// When it was answered, in milliseconds since 1970.
    timestamp: i64,
}

/// What went wrong, for programs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// A word that does not change: `VALIDATION_FAILED`.
    pub(crate) code: &'static str,
    /// More about it: which field, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Value>,
}

/// `200` with a result.
pub(crate) fn ok<T: Serialize>(message: impl Into<String>, data: T) -> HttpResponse {
    succeeded(StatusCode::OK, message, data)
}

/// `201` with what was created.
pub(crate) fn created<T: Serialize>(message: impl Into<String>, data: T) -> HttpResponse {
    succeeded(StatusCode::CREATED, message, data)
}

/// A success of any kind.
pub(crate) fn succeeded<T: Serialize>(
    status: StatusCode,
    message: impl Into<String>,
    data: T,
) -> HttpResponse {
    HttpResponse::build(status).json(Envelope {
        success: true,
        message: message.into(),
        data: Some(data),
        error: None,
        timestamp: timestamp(),
    })
}

/// A failure.
pub(crate) fn failed(status: StatusCode, message: &str, error: ErrorBody) -> HttpResponse {
    HttpResponse::build(status).json(Envelope::<()> {
        success: false,
        message: message.to_owned(),
        data: None,
        error: Some(error),
        timestamp: timestamp(),
    })
}

/// When the answer was made. It is about the answer, not about the data: this machine's clock will
/// do.
fn timestamp() -> i64 {
    SystemClock.now().to_datetime().timestamp_millis()
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// The entries of this page.
    pub(crate) items: Vec<T>,
    /// How many entries there are on all pages.
    pub(crate) total: i64,
    /// Which page; the first is 1.
    pub(crate) page: u32,
    /// How many entries a page has at most.
    pub(crate) page_size: u32,
    /// How many pages there are.
    pub(crate) total_pages: i64,
}

impl<T> Page<T> {
    pub(crate) fn new(items: Vec<T>, total: i64, paging: crate::validation::Paging) -> Self {
        let page_size = i64::from(paging.page_size());
        Self {
            items,
            total,
            page: paging.page(),
            page_size: paging.page_size(),
            total_pages: (total + page_size - 1) / page_size,
        }
    }
}

/// One page of a list that may be too long to be counted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LongPage<T> {
    /// The entries of this page.
    items: Vec<T>,
    /// How many entries there are on all pages; 10000 if there are more.
    total: i64,
    /// Whether there are not more than that.
    total_is_exact: bool,
    /// Which page; the first is 1.
    page: u32,
    /// How many entries a page has at most.
    page_size: u32,
    /// How many pages can be asked for: up to the 1000th entry, if there are more than 10000.
    total_pages: i64,
}

impl<T> LongPage<T> {
    pub(crate) fn new(items: Vec<T>, total: Total, paging: crate::validation::Paging) -> Self {
        let page_size = i64::from(paging.page_size());
        let (total, total_is_exact, total_pages) = match total {
            Total::Exactly(total) => (total, true, (total + page_size - 1) / page_size),
            Total::TooManyToCount => (COUNTED_MAX, false, REACH_MAX / page_size),
        };
        Self {
            items,
            total,
            total_is_exact,
            page: paging.page(),
            page_size: paging.page_size(),
            total_pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    async fn body(response: HttpResponse) -> Value {
        let bytes = to_bytes(response.into_body()).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[actix_web::test]
    async fn success_and_failure_have_the_same_five_fields() {
        let good = body(ok("好", 1)).await;
        let bad = body(failed(
            StatusCode::CONFLICT,
            "坏",
            ErrorBody {
                code: "CONFLICT",
                details: None,
            },
        ))
        .await;
        for answer in [&good, &bad] {
            let mut fields: Vec<_> = answer.as_object().unwrap().keys().collect();
            fields.sort();
            assert_eq!(fields, ["data", "error", "message", "success", "timestamp"]);
            assert!(answer["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
        }
        assert_eq!((&good["data"], &good["error"]), (&1.into(), &Value::Null));
        assert_eq!(bad["error"], serde_json::json!({"code": "CONFLICT"}));
    }
}
