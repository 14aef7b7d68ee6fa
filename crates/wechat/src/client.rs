//! One HTTP exchange with a platform.

use std::fmt;
use std::time::Duration;

use reqwest::{Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call_error::CallError;

/// Where the Mini Program platform lives.
pub const DEFAULT_BASE_URL: &str = "https://api.weixin.qq.com";

/// The largest answer that is read. Real answers are below 1 KiB; a cloud function may return
/// more, but what it has to say about a notification fits.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// How long an unused connection is kept. Shorter than the usual idle limits of servers and
/// gateways (60 s and more), because a connection that dies just as it is used again leaves the
/// outcome of that request unknown.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(20);

/// Settings of an [`ApiClient`].
#[derive(Debug, Clone)]
pub struct ApiClientConfig {
    /// Scheme, host and optional port and path prefix of the platform. Without TLS the secrets
    /// travel in the clear: plain `http` is for an imitation of the platform only.
    pub base_url: String,
    /// Limit for name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Limit for the whole exchange, connecting included. Must be longer than `connect_timeout`,
    /// so that a connection that cannot be made is told apart from an answer that does not come.
    pub request_timeout: Duration,
}

/// Why an [`ApiClient`] could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The base URL is not one that paths can be appended to.
    #[error("base URL: {reason}")]
    BaseUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The time-outs are zero, or the request may not take longer than its connection.
    #[error(
        "time-outs: connecting ({connect_timeout:?}) must be above zero and below the whole request ({request_timeout:?})"
    )]
    Timeouts {
        /// As configured.
        connect_timeout: Duration,
        /// As configured.
        request_timeout: Duration,
    },
    /// The HTTP client or its TLS could not be set up.
    #[error("HTTP client: {reason}")]
    HttpClient {
        /// What the HTTP library said.
        reason: String,
    },
}

/// Connections to one platform. Clones share the connections.
///
/// Redirects are not followed (a token must not travel to another host), nothing is repeated
/// inside, and answers above 64 KiB count as no answer.
#[derive(Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base_url: Url,
}

impl ApiClient {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConfigError`] says which setting is wrong.
    pub fn new(config: &ApiClientConfig) -> Result<Self, ConfigError> {
        let ApiClientConfig {
            connect_timeout,
            request_timeout,
            ..
        } = *config;
        if connect_timeout.is_zero() || connect_timeout >= request_timeout {
            return Err(ConfigError::Timeouts {
                connect_timeout,
                request_timeout,
            });
        }
        let base_url = parse_base_url(&config.base_url)?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .timeout(request_timeout)
            .pool_idle_timeout(IDLE_CONNECTION_KEPT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .user_agent(concat!("yizhan/", env!("CARGO_PKG_VERSION")));
        if base_url.scheme() == "http" {
            // Only an imitation of the platform is reached without TLS, and it is near: a proxy
            // from the environment would not find it.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ConfigError::HttpClient {
            reason: error.without_url().to_string(),
        })?;
        Ok(Self { http, base_url })
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let request = self.http.get(self.url(path, query));
        Answer::receive(request).await
    }

    /// Posts `body` as JSON. Text stays raw UTF-8: the platform used to refuse `\uXXXX` escapes
    /// (40033).
    pub(crate) async fn post<B: Serialize + Sync>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &B,
    ) -> Result<Answer, CallError> {
        let request = self.http.post(self.url(path, query)).json(body);
        Answer::receive(request).await
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!(
            "{}{path}",
            self.base_url.path().trim_end_matches('/')
        ));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.as_str();
        formatter
            .debug_struct("ApiClient")
            .field("base_url", &base_url)
            .finish_non_exhaustive()
    }
}

fn parse_base_url(text: &str) -> Result<Url, ConfigError> {
    let wrong = |reason: &str| ConfigError::BaseUrl {
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(
            "the scheme must be https (or http for an imitation of the platform)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not contain a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must end with the path: no query, no fragment"));
    }
    Ok(url)
}

/// Whether an answer without `errcode` can be a success. The token and session calls leave it
/// out on success; a send that was accepted always says `"errcode":0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errcode {
    Required,
    OmittedOnSuccess,
}

/// A complete answer: status and body, not judged yet.
pub(crate) struct Answer {
    http_status: u16,
    body: Vec<u8>,
}

impl Answer {
    async fn receive(request: reqwest::RequestBuilder) -> Result<Self, CallError> {
        let response = request
            .send()
            .await
            .map_err(|error| CallError::from_transport(error, None))?;
        let http_status = response.status().as_u16();
        let body = read_limited(response).await?;
        Ok(Self { http_status, body })
    }

    /// The answer's own fields if it is a success.
    ///
    /// The platform answers everything with HTTP 200 and says in `errcode` how it went; its
    /// content type is unreliable and ignored. An error code is believed at 2xx and 4xx. Any
    /// other status was made by something between the platform and us, so its body proves nothing.
    pub(crate) fn into_success<T: DeserializeOwned>(
        self,
        presence: Errcode,
    ) -> Result<T, CallError> {
        let Self { http_status, body } = self;
        let is_success_status = (200..300).contains(&http_status);
        let unexpected_status =
            || CallError::no_answer(format!("unexpected HTTP status {http_status}"), http_status);
        if !is_success_status && !(400..500).contains(&http_status) {
            return Err(unexpected_status());
        }

        let parsed: Result<Value, _> = serde_json::from_slice(&body);
        let answer = match parsed {
            Ok(answer) if answer.is_object() => answer,
            Ok(_) | Err(_) if !is_success_status => return Err(unexpected_status()),
            Ok(_) => return Err(CallError::no_answer("not a JSON object", http_status)),
            Err(_) => return Err(CallError::no_answer("not JSON", http_status)),
        };
        match read_errcode(&answer) {
            Ok(Some(errcode)) if errcode != 0 => {
                let errmsg = answer
                    .get("errmsg")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                return Err(CallError::refused(errcode, errmsg, http_status));
            }
            _ if !is_success_status => return Err(unexpected_status()),
            Ok(None) if presence == Errcode::Required => {
                return Err(CallError::no_answer(
                    "the answer has no errcode",
                    http_status,
                ));
            }
            Ok(_) => {}
            Err(UnreadableErrcode) => {
                return Err(CallError::no_answer(
                    "the errcode is not an integer",
                    http_status,
                ));
            }
        }
        // The parser's own text may quote values of the answer, so it is not passed on.
        T::deserialize(answer).map_err(|_| {
            CallError::no_answer(
                "a success whose fields are missing or malformed",
                http_status,
            )
        })
    }
}

struct UnreadableErrcode;

fn read_errcode(answer: &Value) -> Result<Option<i64>, UnreadableErrcode> {
    match answer.get("errcode") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| UnreadableErrcode),
        Some(other) => other.as_i64().map(Some).ok_or(UnreadableErrcode),
    }
}

async fn read_limited(mut response: Response) -> Result<Vec<u8>, CallError> {
    let http_status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| CallError::from_transport(error, Some(http_status)))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            let reason = format!("the answer is larger than {RESPONSE_BYTES_MAX} bytes");
            return Err(CallError::no_answer(reason, http_status));
        }
        body.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests;
