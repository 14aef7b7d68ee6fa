//! What an application's message shows. WeCom cuts what is too long wherever it happens to end; here
//! it is cut between characters, before what must not be lost.

use std::fmt;

use serde::Serialize;

use crate::length::{self, Measure, TooLong, cut, shorten};

/// The longest text or markdown, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;
/// The longest parts of a card, in characters …
const TITLE_MAX: usize = 128;
const DESCRIPTION_MAX: usize = 512;
const BUTTON_MAX: usize = 4;
/// … and its address in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A link that takes more than this of a text would leave no room for what the text says.
const LINK_BYTES_MAX: usize = TEXT_BYTES_MAX / 2;

/// What a message of an application shows, within WeCom's limits. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AppContent {
    msgtype: MessageType,
    #[serde(flatten)]
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum MessageType {
    Text,
    Textcard,
    Markdown,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Text {
        content: String,
    },
    Textcard {
        title: String,
        description: String,
        url: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        btntxt: String,
    },
    Markdown {
        content: String,
    },
}

/// What stands at the end of a text, and tells a message from another one with the same words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AppLink<'a> {
    /// Where the link leads; without it the reference stands there alone.
    pub url: Option<&'a str>,
    /// The link's words.
    pub words: &'a str,
    /// What a reader can name the message by, where there is no link.
    pub reference: &'a str,
}

impl AppContent {
    /// A plain text. It ends with the link, or with the reference if there is none or it is too long;
    /// what does not fit before that is left out.
    #[must_use]
    pub fn text(content: &str, link: AppLink<'_>) -> Self {
        let ending = link
            .fitting()
            .map(|url| format!("<a href=\"{url}\">{}</a>", link.words));
        let ending = ending.unwrap_or_else(|| link.reference.to_owned());
        Self {
            msgtype: MessageType::Text,
            body: Body::Text {
                content: before(content, &ending),
            },
        }
    }

    /// A text with markup, ended like [`AppContent::text`].
    #[must_use]
    pub fn markdown(content: &str, link: AppLink<'_>) -> Self {
        let ending = link.fitting().map(|url| markdown_link(link.words, url));
        let ending =
            ending.unwrap_or_else(|| format!("<font color=\"comment\">{}</font>", link.reference));
        Self {
            msgtype: MessageType::Markdown,
            body: Body::Markdown {
                content: before(content, &ending),
            },
        }
    }

    /// A card; its parts are cut to what fits. Without a word on the button it has the platform's own.
    ///
    /// # Errors
    /// If the address is too long: cut, it would lead elsewhere.
    pub fn textcard(
        title: &str,
        description: &str,
        url: &str,
        button: &str,
    ) -> Result<Self, TooLong> {
        length::at_most("url", url, URL_BYTES_MAX)?;
        Ok(Self {
            msgtype: MessageType::Textcard,
            body: Body::Textcard {
                title: shorten(title, TITLE_MAX, Measure::Utf16Units),
                description: shorten(description, DESCRIPTION_MAX, Measure::Utf16Units),
                url: url.to_owned(),
                btntxt: cut(button, BUTTON_MAX, Measure::Utf16Units).to_owned(),
            },
        })
    }
}

impl<'a> AppLink<'a> {
    fn fitting(self) -> Option<&'a str> {
        self.url.filter(|url| url.len() <= LINK_BYTES_MAX)
    }
}

/// A link in markdown, where a parenthesis would end the address.
#[must_use]
pub fn markdown_link(words: &str, url: &str) -> String {
    let url = url.replace('(', "%28").replace(')', "%29");
    format!("[{words}]({url})")
}

/// The content, shortened so that the ending fits on a line of its own.
fn before(content: &str, ending: &str) -> String {
    let room = TEXT_BYTES_MAX.saturating_sub(ending.len() + 1);
    format!("{}\n{ending}", shorten(content, room, Measure::Bytes))
}

impl fmt::Debug for AppContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AppContent")
            .field("msgtype", &self.msgtype)
            .finish_non_exhaustive()
    }
}
