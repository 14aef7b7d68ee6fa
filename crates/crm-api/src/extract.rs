//! What handlers take: the caller, bodies, queries, ids in paths.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, IF_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use shared::domain::RequestId;
use shared::operation_log::Actor;
use url::form_urlencoded;

use crate::auth::service_token::ServiceToken;
use crate::auth::session::CurrentUser;
use crate::auth::token::Claims;
use crate::error::ApiError;
use crate::idempotency::{KeyOwner, RepeatableRequest, Repeater};
use crate::validation::unreadable;

/// The largest body, in bytes, where the URL table says nothing else. A batch of a thousand ids has
/// 40 KiB.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The largest body of an endpoint, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

impl BodyLimit {
    /// That of the endpoint a request is for.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let limit = request.app_data::<Self>().copied();
        limit.unwrap_or(Self(BODY_BYTES_MAX))
    }
}

/// Who asks, the request's id, and the key under which it may be repeated. Only where the URL table
/// asks for a user.
pub(crate) struct Caller {
    pub(crate) user: CurrentUser,
    pub(crate) request_id: RequestId,
    /// Present if the request carries an `Idempotency-Key`; see [`crate::change`].
    pub(crate) repeatable: Option<RepeatableRequest>,
}

impl Caller {
    /// The user, as the operation log knows them.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User(self.user.id.clone())
    }
}

impl Repeater for Caller {
    fn owner(&self) -> KeyOwner {
        KeyOwner::User(self.user.id.clone())
    }

    fn repeatable(&self) -> Option<&RepeatableRequest> {
        self.repeatable.as_ref()
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let user = extensions.get::<CurrentUser>().cloned();
        let request_id = extensions.get::<RequestId>().cloned();
        let repeatable = extensions.get::<RepeatableRequest>().cloned();
        ready(match (user, request_id) {
            (Some(user), Some(request_id)) => Ok(Self {
                user,
                request_id,
                repeatable,
            }),
            _ => Err(ApiError::Internal(
                "a handler wants the caller of a public endpoint".to_owned(),
            )),
        })
    }
}

/// Who asks where programs may as well, and the rest of a [`Caller`].
pub(crate) struct AnyCaller {
    pub(crate) who: Who,
    pub(crate) request_id: RequestId,
    pub(crate) repeatable: Option<RepeatableRequest>,
}

/// A person or a program.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    User(CurrentUser),
    Service(ServiceToken),
}

impl Repeater for AnyCaller {
    fn owner(&self) -> KeyOwner {
        match &self.who {
            Who::User(user) => KeyOwner::User(user.id.clone()),
            Who::Service(token) => KeyOwner::Service(token.id.clone()),
        }
    }

    fn repeatable(&self) -> Option<&RepeatableRequest> {
        self.repeatable.as_ref()
    }
}

impl FromRequest for AnyCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let service = extensions.get::<ServiceToken>().cloned();
        let request_id = extensions.get::<RequestId>().cloned();
        let repeatable = extensions.get::<RepeatableRequest>().cloned();
        drop(extensions);
        if let (Some(service), Some(request_id)) = (service, request_id) {
            return ready(Ok(Self {
                who: Who::Service(service),
                request_id,
                repeatable,
            }));
        }
        let caller = Caller::from_request(request, payload).into_inner();
        ready(caller.map(|caller| Self {
            who: Who::User(caller.user),
            request_id: caller.request_id,
            repeatable: caller.repeatable,
        }))
    }
}

/// What the token of whoever asks says. Only where the URL table asks for a user.
pub(crate) struct TokenClaims(pub(crate) Claims);

impl FromRequest for TokenClaims {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claims = request.extensions().get::<Claims>().cloned();
        ready(claims.map(Self).ok_or_else(|| {
            ApiError::Internal("a handler wants the token of a public endpoint".to_owned())
        }))
    }
}

/// A JSON body. Unknown fields are refused by the types read from it; a wrong type is answered with
/// the path of the field.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let limit = BodyLimit::of(request);
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            if !is_json {
                return Err(ApiError::UnsupportedMediaType {
                    expected: "application/json",
                });
            }
            let bytes = bytes.await.map_err(|error| unread_body(&error, limit))?;
            read_json(&bytes).map(Self)
        })
    }
}

/// A JSON body that may be left out; then everything in it counts as not given.
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJsonBody<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let limit = BodyLimit::of(request);
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let bytes = bytes.await.map_err(|error| unread_body(&error, limit))?;
            if bytes.is_empty() {
                return Ok(Self(T::default()));
            }
            if !is_json {
                return Err(ApiError::UnsupportedMediaType {
                    expected: "application/json",
                });
            }
            read_json(&bytes).map(Self)
        })
    }
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = match error.inner().classify() {
            Category::Data => error.path().to_string(),
            // It is no JSON at all: no field is to blame.
            Category::Syntax | Category::Eof | Category::Io => String::new(),
        };
        unreadable(&field, &error.inner().to_string())
    })?;
    json.end()
        .map_err(|error| unreadable("", &error.to_string()))?;
    Ok(body)
}

fn is_json(request: &HttpRequest) -> bool {
    media_type(request).is_some_and(|kind| kind == "application/json")
}

/// What a request says its body is, in small letters and without parameters.
pub(crate) fn media_type(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = header.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

/// Why a body could not be read.
pub(crate) fn unread_body(error: &actix_web::Error, limit: BodyLimit) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::TooLarge { bytes_max: limit.0 },
        Some(_) | None => unreadable("", "the body could not be read"),
    }
}

/// Reads a field of a body that may be taken away: tells "null" from "not given".
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// The query of a URL. A parameter set to nothing counts as not given.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for QueryOf<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_query(request.query_string()).map(Self))
    }
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let given: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            pair.split_once('=')
                .is_some_and(|(_, value)| !value.is_empty())
        })
        .collect();
    let given = given.join("&");
    let query = serde_urlencoded::Deserializer::new(form_urlencoded::parse(given.as_bytes()));
    serde_path_to_error::deserialize(query)
        .map_err(|error| unreadable(&error.path().to_string(), &error.inner().to_string()))
}

/// The id in a path. One that cannot be an id names nothing: `missing` is what to say.
pub(crate) fn id_in_path<T: FromStr>(text: &str, missing: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_| ApiError::NotFound(missing.to_owned()))
}

/// The version that the caller last saw, if they want to change no other (`If-Match: "3"`).
pub(crate) struct ExpectedVersion(pub(crate) Option<i32>);

impl FromRequest for ExpectedVersion {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(header) = request.headers().get(IF_MATCH) else {
            return ready(Ok(Self(None)));
        };
        let version = header.to_str().ok().and_then(read_version);
        ready(
            version
                .map(Self)
                .ok_or_else(|| ApiError::invalid("If-Match", "If-Match 必须是客户的版本号")),
        )
    }
}

/// `*` expects no version in particular.
fn read_version(text: &str) -> Option<Option<i32>> {
    let text = text.trim();
    if text == "*" {
        return Some(None);
    }
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    text.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Query {
        page_size: Option<u32>,
        unread_only: Option<bool>,
        search: Option<String>,
    }

    #[test]
    fn a_query_is_read_into_types_and_its_faults_are_named() {
        let query: Query = read_query("pageSize=20&unreadOnly=true&search=%E7%8E%8B&x=").unwrap();
        assert_eq!(
            query,
            Query {
                page_size: Some(20),
                unread_only: Some(true),
                search: Some("王".to_owned()),
            }
        );
        for (query, message) in [
            ("pageSize=x", "字段 pageSize 的值不正确"),
            ("pageSize=-1", "字段 pageSize 的值不正确"),
            ("unreadOnly=1", "字段 unreadOnly 的值不正确"),
            ("size=1", "不支持的字段：size"),
            ("pageSize=1&pageSize=2", "字段重复：pageSize"),
        ] {
            let error = read_query::<Query>(query).unwrap_err();
            assert_eq!(error.to_string(), message, "{query}");
        }
    }

    #[test]
    fn a_version_is_read_from_every_form_of_an_entity_tag() {
        for (text, version) in [
            ("3", Some(Some(3))),
            ("\"3\"", Some(Some(3))),
            (" W/\"3\" ", Some(Some(3))),
            ("*", Some(None)),
            ("", None),
            ("\"abc\"", None),
            ("3, 4", None),
        ] {
            assert_eq!(read_version(text), version, "{text:?}");
        }
    }
}
