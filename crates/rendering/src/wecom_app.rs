use shared::domain::OutboxMessageId;
use shared::notification::MessageFormat;
use url::Url;
use wechat::AppContent;
use wechat::wecom::{AppLink, EVERYBODY, RECIPIENTS_MAX};

use crate::{Unrenderable, Wording};

/// A message to members of a corporation, rendered.
///
/// It carries the id of the outbox message: WeCom recognises a repeat by the whole request, and two
/// messages with the same words must not be taken for one. In a link the id is a parameter of the
/// address (`?message=<id>`), which no reader sees; where there is no link, the last line is a short
/// reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRequest {
    touser: String,
    content: AppContent,
}

/// So many of an id's last characters tell it from the others of four hours: they are random.
const REFERENCE_LENGTH: usize = 8;

impl AppRequest {
    /// Puts a wording into the form of an application's message to user ids joined by `|`.
    ///
    /// # Errors
    /// If nobody is named, or too many are, or the address of the link is too long.
    pub fn prepare(
        id: &OutboxMessageId,
        address: &str,
        wording: &Wording,
    ) -> Result<Self, Unrenderable> {
        let touser = recipients(address)?;
        let url = wording.url.clone().map(|mut url| {
            url.query_pairs_mut().append_pair("message", id.as_str());
            url
        });
        let url = url.as_ref().map(Url::as_str);
        let reference = reference(id);
        let link = AppLink {
            url,
            words: &wording.button,
            reference: &reference,
        };
        let content = match wording.format {
            MessageFormat::Text => AppContent::text(&wording.text(), link),
            MessageFormat::Markdown => AppContent::markdown(&wording.text(), link),
            MessageFormat::Textcard => AppContent::textcard(
                &wording.title,
                &wording.description,
                url.unwrap_or_default(),
                &wording.button,
            )?,
        };
        Ok(Self { touser, content })
    }

    /// To whom: user ids joined by `|`, or everybody.
    pub fn touser(&self) -> &str {
        &self.touser
    }

    /// What it shows.
    pub fn content(&self) -> &AppContent {
        &self.content
    }
}

/// The recipients as the platform wants them: user ids joined by `|`, or everybody.
fn recipients(address: &str) -> Result<String, Unrenderable> {
    let named: Vec<&str> = address.split('|').filter(|id| !id.is_empty()).collect();
    if named.contains(&EVERYBODY) {
        return Ok(EVERYBODY.to_owned());
    }
    match named.len() {
        0 => Err(Unrenderable::NoRecipient),
        1..=RECIPIENTS_MAX => Ok(named.join("|")),
        count => Err(Unrenderable::TooManyRecipients { count }),
    }
}

fn reference(id: &OutboxMessageId) -> String {
    let id = id.as_str();
    let tail = id.len().saturating_sub(REFERENCE_LENGTH);
    format!("消息编号 {}", id.get(tail..).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_ids_or_everybody_and_not_too_many() {
        let many = |count: usize| vec!["u"; count].join("|");
        assert_eq!(recipients("a||b|"), Ok("a|b".to_owned()));
        assert_eq!(recipients("a|@all"), Ok("@all".to_owned()));
        assert_eq!(recipients(&many(1_000)), Ok(many(1_000)));
        for (address, complaint) in [
            ("|".to_owned(), "recipients: none"),
            (
                many(1_001),
                "recipients: 1001 user ids, at most 1000 at once",
            ),
        ] {
            let refused = recipients(&address).unwrap_err();
            assert_eq!(refused.to_string(), complaint);
        }
    }
}
