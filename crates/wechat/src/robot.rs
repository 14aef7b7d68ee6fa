//! A WeCom group robot: `webhook/send`.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::call_error::CallError;
use crate::client::{ApiClient, Errcode};
use crate::length::{TooLong, at_most};

/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;
/// The longest markdown, in bytes.
const MARKDOWN_BYTES_MAX: usize = 4_096;

/// A robot that writes into the one group it belongs to. Whoever has its key can do so: the key is a
/// secret, and there is no token.
#[derive(Debug, Clone)]
pub struct WecomRobot {
    client: ApiClient,
    key: SecretString,
}

/// What a message of a robot shows. WeCom refuses what is too long instead of cutting it, so nothing
/// too long can be made. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "msgtype", rename_all = "lowercase")]
pub enum RobotContent {
    /// Plain text.
    Text {
        /// The text.
        text: RobotText,
    },
    /// A text with markup.
    Markdown {
        /// The text.
        markdown: RobotText,
    },
}

/// A text that fits.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RobotText {
    content: String,
}

/// An answer has no more to say than its errcode.
#[derive(Deserialize)]
struct SendAnswer {}

impl RobotContent {
    /// A plain text.
    ///
    /// # Errors
    /// If it is longer than 2,048 bytes.
    pub fn text(content: String) -> Result<Self, TooLong> {
        at_most("content", &content, TEXT_BYTES_MAX)?;
        Ok(Self::Text {
            text: RobotText { content },
        })
    }

    /// A text with markup.
    ///
    /// # Errors
    /// If it is longer than 4,096 bytes.
    pub fn markdown(content: String) -> Result<Self, TooLong> {
        at_most("content", &content, MARKDOWN_BYTES_MAX)?;
        Ok(Self::Markdown {
            markdown: RobotText { content },
        })
    }
}

impl WecomRobot {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(client: ApiClient, key: SecretString) -> Self {
        Self { client, key }
    }

    /// Writes one message into the group. WeCom takes 20 a minute, and recognises no repeat: one after
    /// [`CallError::NoAnswer`] may be shown twice.
    ///
    /// # Errors
    /// Judge [`CallError::Refused`] by `Api::WecomRobot`.
    pub async fn send(&self, content: &RobotContent) -> Result<(), CallError> {
        let query = [("key", self.key.expose_secret())];
        let answer = self
            .client
            .post("/cgi-bin/webhook/send", &query, content)
            .await?;
        let SendAnswer {} = answer.into_success(Errcode::Required)?;
        Ok(())
    }
}

impl fmt::Debug for RobotContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let msgtype = match self {
            Self::Text { .. } => "text",
            Self::Markdown { .. } => "markdown",
        };
        formatter
            .debug_struct("RobotContent")
            .field("msgtype", &msgtype)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
