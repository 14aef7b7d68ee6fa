use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::KeyOwner;
use crate::error::ApiError;
use crate::extract::{BodyLimit, unread_body};
use crate::state::State;

/// Where the key is.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const CHARACTERS_MAX: usize = 128;

/// A request that carries a key: under which it was sent, and what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepeatableRequest {
    pub(crate) key: String,
    /// 64 hexadecimal digits.
    pub(crate) fingerprint: String,
}

/// Whoever may repeat a request.
pub(crate) trait Repeater {
    /// Whose keys theirs are.
    fn owner(&self) -> KeyOwner;

    /// The request, if it carries a key.
    fn repeatable(&self) -> Option<&RepeatableRequest>;
}

/// Looks for a key, and if there is one, reads the body and puts it back.
///
/// # Errors
/// [`ApiError::Invalid`] for a key that cannot be, [`ApiError::TooLarge`] for a body over the limit
/// of the endpoint.
pub(crate) async fn repeatable_request(
    request: &mut ServiceRequest,
) -> Result<Option<RepeatableRequest>, ApiError> {
    let Some(key) = key_of(request.request())? else {
        return Ok(None);
    };
    let limit = BodyLimit::of(request.request());
    let body = request
        .extract::<web::Bytes>()
        .await
        .map_err(|error| unread_body(&error, limit))?;
    let state = request
        .app_data::<State>()
        .ok_or_else(|| ApiError::Internal("no state".to_owned()))?;
    let fingerprint = state.fingerprints.of(
        request.method().as_str(),
        request.path(),
        request.query_string(),
        &body,
    )?;
    request.set_payload(Payload::from(body));
    Ok(Some(RepeatableRequest { key, fingerprint }))
}

/// The key of a request; none where nothing is changed, or none was given.
///
/// # Errors
/// [`ApiError::Invalid`] for a key that cannot be.
fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(None);
    }
    let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(first) = given.next() else {
        return Ok(None);
    };
    let key = first.to_str().ok().filter(|key| is_key(key));
    match (key, given.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        (Some(_), Some(_)) | (None, _) => Err(ApiError::invalid(
            "Idempotency-Key",
            "请求头 Idempotency-Key 必须是1到128个可见的 ASCII 字符，且只能出现一次",
        )),
    }
}

fn is_key(text: &str) -> bool {
    (1..=CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Tells requests apart without keeping them.
#[derive(Clone)]
pub(crate) struct Fingerprints {
    secret: SecretString,
}

impl Fingerprints {
    /// Signed with this secret: a body may hold a password, and a plain hash of it could be guessed.
    pub(crate) fn new(secret: &SecretString) -> Self {
        Self {
            secret: secret.clone(),
        }
    }

    /// Of a method, a path, a query and a body, all to the byte.
    ///
    /// # Errors
    /// Never in practice: any secret can sign.
    pub(crate) fn of(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<String, ApiError> {
        let secret = self.secret.expose_secret().as_bytes();
        let mut signature = Hmac::<Sha256>::new_from_slice(secret)
            .map_err(|error| ApiError::Internal(format!("no fingerprint: {error}")))?;
        for part in [method.as_bytes(), path.as_bytes(), query.as_bytes(), body] {
            // With the lengths, so that no part runs into the next.
            signature.update(&(part.len() as u64).to_be_bytes());
            signature.update(part);
        }
        let bytes = signature.finalize().into_bytes();
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_key_is_one_to_128_visible_characters_given_once() {
        let of = |keys: &[&str]| {
            let mut request = TestRequest::post();
            for key in keys {
                request = request.append_header((IDEMPOTENCY_KEY, *key));
            }
            key_of(&request.to_http_request())
        };
        let long = "k".repeat(128);
        assert_eq!(of(&[]).unwrap(), None);
        for key in ["k", "0198-a_b.c~!", long.as_str()] {
            assert_eq!(of(&[key]).unwrap().as_deref(), Some(key));
        }
        let too_long = "k".repeat(129);
        for keys in [&[""][..], &["a b"], &["钥匙"], &[&too_long], &["a", "a"]] {
            assert!(of(keys).is_err(), "{keys:?}");
        }
        let reading = TestRequest::get().insert_header((IDEMPOTENCY_KEY, "a b"));
        assert_eq!(key_of(&reading.to_http_request()).unwrap(), None);
    }

    #[test]
    fn every_part_of_a_request_shows_in_its_fingerprint() {
        let fingerprints = Fingerprints::new(&"secret".into());
        let of = |method, path, query, body: &str| {
            fingerprints
                .of(method, path, query, body.as_bytes())
                .unwrap()
        };
        let one = of("POST", "/a", "b", "c");
        assert_eq!(one, of("POST", "/a", "b", "c"));
        assert_eq!(one.len(), 64);
        for other in [
            of("PUT", "/a", "b", "c"),
            of("POST", "/ab", "", "c"),
            of("POST", "/a", "", "bc"),
            of("POST", "/a", "b", "c "),
            Fingerprints::new(&"other".into())
                .of("POST", "/a", "b", b"c")
                .unwrap(),
        ] {
            assert_ne!(one, other);
        }
    }
}
