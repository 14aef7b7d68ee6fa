//! The page on which staff see their notifications. Vendored whole: nothing is loaded from elsewhere.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_FRAME_OPTIONS,
};

/// Only what comes from this server; no inline script, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
#[utoipa::path(get, path = "/inbox", tag = "pages", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn page() -> HttpResponse {
    file(
        "text/html; charset=utf-8",
        include_str!("../../assets/inbox/inbox.html"),
    )
}

/// Its script.
#[utoipa::path(get, path = "/inbox/inbox.js", tag = "pages", security(()),
    responses((status = 200, body = String, content_type = "text/javascript")))]
pub(crate) async fn script() -> HttpResponse {
    file(
        "text/javascript; charset=utf-8",
        include_str!("../../assets/inbox/inbox.js"),
    )
}

/// The script of its settings.
#[utoipa::path(get, path = "/inbox/settings.js", tag = "pages", security(()),
    responses((status = 200, body = String, content_type = "text/javascript")))]
pub(crate) async fn settings_script() -> HttpResponse {
    file(
        "text/javascript; charset=utf-8",
        include_str!("../../assets/inbox/settings.js"),
    )
}

/// Its looks.
#[utoipa::path(get, path = "/inbox/inbox.css", tag = "pages", security(()),
    responses((status = 200, body = String, content_type = "text/css")))]
pub(crate) async fn style() -> HttpResponse {
    file(
        "text/css; charset=utf-8",
        include_str!("../../assets/inbox/inbox.css"),
    )
}

fn file(content_type: &'static str, text: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok().body(text);
    let headers: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
