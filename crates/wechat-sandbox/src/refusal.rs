//! What a platform answers instead of a result.

use serde_json::{Map, Value};

/// A code and its text, which a [`Trace`](crate::trace::Trace) makes an answer of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) errcode: i64,
    /// Without the platform's tail; `None` for the platform's usual text.
    pub(crate) text: Option<String>,
    /// What else stands in the answer.
    pub(crate) beside: Map<String, Value>,
}

impl Refusal {
    /// A refusal with the platform's usual text for the code.
    pub(crate) fn new(errcode: i64) -> Self {
        Self {
            errcode,
            text: None,
            beside: Map::new(),
        }
    }

    pub(crate) fn with_text(errcode: i64, text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::new(errcode)
        }
    }

    /// More fields for the answer.
    pub(crate) fn beside(mut self, fields: Map<String, Value>) -> Self {
        self.beside = fields;
        self
    }
}
