//! Changing something and answering what became of it.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use shared::db::WriteTransaction;

use crate::envelope;
use crate::error::ApiError;
use crate::idempotency::{self, Claim, KeptAnswer, Repeater};
use crate::state::AppState;

/// What a change answers. Made within its transaction, so that it tells what was committed.
pub(crate) struct Answer {
    status: StatusCode,
    message: String,
    data: Value,
    once_committed: Option<Box<dyn FnOnce() + Send>>,
}

impl Answer {
    /// `200` with a result.
    ///
    /// # Errors
    /// [`ApiError::Internal`] for a result that is no JSON.
    pub(crate) fn ok(message: impl Into<String>, data: impl Serialize) -> Result<Self, ApiError> {
        Self::new(StatusCode::OK, message.into(), data)
    }

    /// `201` with what was created.
    ///
    /// # Errors
    /// [`ApiError::Internal`] for a result that is no JSON.
    pub(crate) fn created(
        message: impl Into<String>,
        data: impl Serialize,
    ) -> Result<Self, ApiError> {
        Self::new(StatusCode::CREATED, message.into(), data)
    }

    fn new(status: StatusCode, message: String, data: impl Serialize) -> Result<Self, ApiError> {
        let data = serde_json::to_value(data)
            .map_err(|error| ApiError::Internal(format!("an answer is no JSON: {error}")))?;
        Ok(Self {
            status,
            message,
            data,
            once_committed: None,
        })
    }

    /// `202` with what will be done by and by.
    ///
    /// # Errors
    /// [`ApiError::Internal`] for a result that is no JSON.
    pub(crate) fn accepted(
        message: impl Into<String>,
        data: impl Serialize,
    ) -> Result<Self, ApiError> {
        Self::new(StatusCode::ACCEPTED, message.into(), data)
    }

    /// Something to be done when the change is committed, and not otherwise: counting it.
    pub(crate) fn once_committed(mut self, act: impl FnOnce() + Send + 'static) -> Self {
        self.once_committed = Some(Box::new(act));
        self
    }

    fn to_be_kept(&self) -> KeptAnswer {
        KeptAnswer {
            status: self.status.as_u16(),
            message: self.message.clone(),
            data: self.data.to_string(),
        }
    }

    /// The answer on its way, now that everything is committed.
    fn given(self) -> HttpResponse {
        if let Some(act) = self.once_committed {
            act();
        }
        envelope::succeeded(self.status, self.message, self.data)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl AppState {
    /// Does what a request asks for, in one transaction. Every POST, PUT, PATCH and DELETE that
    /// changes something goes through here. One that carries an `Idempotency-Key` is done once: its
    /// answer is kept in the same transaction, and given again to whoever repeats it.
    ///
    /// What depends on the state of the data belongs into `work`: a repeated request does not get
    /// that far, and must not fail because the first one has succeeded.
    ///
    /// # Errors
    /// What `work` answers, what the database says, or [`ApiError::Conflict`] for a key that was
    /// used for another request; then nothing was written.
    pub(crate) async fn change<W>(
        &self,
        caller: &impl Repeater,
        work: W,
    ) -> Result<HttpResponse, ApiError>
    where
        W: FnOnce(&mut WriteTransaction<'_>) -> Result<Answer, ApiError> + Send + 'static,
    {
        let Some(request) = caller.repeatable().cloned() else {
            let answer = self.database.write(work).await?;
            return Ok(answer.given());
        };
        let (owner, now) = (caller.owner(), self.now());
        let outcome = self
            .database
            .write(move |transaction| {
                match idempotency::claim(transaction, &owner, &request, now)? {
                    Claim::OtherRequest => Err(ApiError::Conflict(OTHER_REQUEST.to_owned())),
                    Claim::Done(kept) => Ok(Outcome::Repeated(kept)),
                    Claim::First(id) => {
                        let answer = work(transaction)?;
                        idempotency::keep(transaction, &id, &answer.to_be_kept())?;
                        Ok(Outcome::Done(answer))
                    }
                }
            })
            .await?;
        match outcome {
            Outcome::Done(answer) => Ok(answer.given()),
            Outcome::Repeated(kept) => repeated(kept),
        }
    }
}

const OTHER_REQUEST: &str =
    "该 Idempotency-Key 已用于另一个请求，请为新的请求使用新的 Idempotency-Key";

/// Says that the answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

enum Outcome {
    Done(Answer),
    Repeated(KeptAnswer),
}

fn repeated(kept: KeptAnswer) -> Result<HttpResponse, ApiError> {
    let unreadable = |error: &dyn fmt::Display| {
        ApiError::Internal(format!("a kept answer cannot be read: {error}"))
    };
    let status = StatusCode::from_u16(kept.status).map_err(|error| unreadable(&error))?;
    let data: Value = serde_json::from_str(&kept.data).map_err(|error| unreadable(&error))?;
    let mut response = envelope::succeeded(status, kept.message, data);
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
