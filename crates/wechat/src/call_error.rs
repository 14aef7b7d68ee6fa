//! How a call to a platform fails.

use std::error::Error as _;

use crate::redact::redact_and_shorten;

/// A call that did not succeed. The variants differ in what may have happened at the platform,
/// because that decides whether a repeat can reach the recipient twice.
///
/// No text in here contains a URL, a token, a secret, an openid or a whole phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was written to the platform (name resolution, connection, TLS): safe to repeat.
    #[error("not sent: {reason}")]
    NotSent {
        /// What went wrong, for a person.
        reason: String,
    },
    /// Written, but no usable answer came back (time-out, reset, an HTTP status that the platform
    /// itself never uses, a body that is not the expected JSON or is too large): the platform may
    /// have acted on it.
    #[error("no usable answer: {reason}")]
    NoAnswer {
        /// What went wrong, for a person.
        reason: String,
        /// The HTTP status, when one was received.
        http_status: Option<u16>,
    },
    /// The platform answered with an error code.
    #[error("refused with errcode {errcode}: {errmsg}")]
    Refused {
        /// The platform's error code, never 0.
        errcode: i64,
        /// The platform's text, redacted and at most 512 characters long. It is for people: only
        /// the code may be judged by (and the field name in a 47003, see
        /// [`field_in_errmsg`](crate::field::field_in_errmsg)).
        errmsg: String,
        /// The HTTP status it came with; the platform itself always sends 200.
        http_status: u16,
    },
}

impl CallError {
    pub(crate) fn refused(errcode: i64, errmsg: &str, http_status: u16) -> Self {
        Self::Refused {
            errcode,
            errmsg: redact_and_shorten(errmsg),
            http_status,
        }
    }

    pub(crate) fn no_answer(reason: impl Into<String>, http_status: u16) -> Self {
        Self::NoAnswer {
            reason: reason.into(),
            http_status: Some(http_status),
        }
    }

    /// Sorts a failure of the HTTP client by whether the request can have left this process.
    /// `http_status` is known when the failure came while the body was being read.
    pub(crate) fn from_transport(error: reqwest::Error, http_status: Option<u16>) -> Self {
        let nothing_was_written = error.is_connect() || error.is_builder();
        let reason = describe(error);
        if nothing_was_written {
            Self::NotSent { reason }
        } else {
            Self::NoAnswer {
                reason,
                http_status,
            }
        }
    }
}

/// The error and its causes as one line. The top of the chain says only "error sending request";
/// the cause that helps ("connection refused") is at its end.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    redact_and_shorten(&parts.join(": "))
}
