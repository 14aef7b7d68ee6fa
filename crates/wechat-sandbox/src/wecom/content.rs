//! What may stand in an app's message, and what of it the member sees.
//!
//! Texts that are too long are cut where the platform cuts them and refused where it refuses them.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::template_card;
use crate::refusal::Refusal;

/// Most bytes of a text; what is longer is cut.
const TEXT_BYTES: usize = 2_048;
/// Most bytes of a markdown text; what is longer is refused.
const MARKDOWN_BYTES: usize = 2_048;
/// Most characters of a textcard's title and description; what is longer is cut.
const CARD_TITLE_CHARACTERS: usize = 128;
const CARD_DESCRIPTION_CHARACTERS: usize = 512;
/// Most characters on a textcard's button; what is longer is cut.
const CARD_BUTTON_CHARACTERS: usize = 4;
/// Most bytes of a link.
const URL_BYTES: usize = 2_048;
/// Most articles of a news message.
const ARTICLES: usize = 8;
/// Most bytes of an article's title and description; what is longer is cut.
const ARTICLE_TITLE_BYTES: usize = 128;
const ARTICLE_DESCRIPTION_BYTES: usize = 512;
/// Fewest and most characters of a mini-program notice's title and description.
const NOTICE_CHARACTERS: std::ops::RangeInclusive<usize> = 4..=12;
/// Most lines of a mini-program notice, and most characters of their two halves.
const NOTICE_ITEMS: usize = 10;
const NOTICE_KEY_CHARACTERS: usize = 10;
const NOTICE_VALUE_CHARACTERS: usize = 30;
/// Most bytes of a mini program's page.
const PAGE_BYTES: usize = 1_024;

/// A message that has passed the checks of its type.
#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    /// As the member sees it.
    pub(crate) data: Value,
    pub(crate) interaction: Interaction,
}

/// Whether the member can answer with a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interaction {
    None,
    /// The answer of the send carries a `response_code`.
    Buttons,
}

impl Content {
    /// Checks the body of a message of this type.
    pub(crate) fn of_app(msgtype: &str, message: &Form<'_>) -> Result<Self, Refusal> {
        let body = message.object(msgtype);
        let mut interaction = Interaction::None;
        let data = match msgtype {
            "text" => {
                json!({ "content": cut_bytes(required(&body, "content", 44004)?, TEXT_BYTES) })
            }
            "markdown" => {
                let content = required(&body, "content", 44004)?;
                if content.len() > MARKDOWN_BYTES {
                    return Err(Refusal::new(45002));
                }
                json!({ "content": content })
            }
            "textcard" => textcard(&body)?,
            "news" => news(&body)?,
            "miniprogram_notice" => miniprogram_notice(&body)?,
            "template_card" => {
                interaction = template_card::check(&body)?;
                Value::Object(body.fields().cloned().unwrap_or_default())
            }
            // An app can upload nothing here, so no media_id is valid.
            "image" | "voice" | "video" | "file" | "mpnews" => return Err(Refusal::new(40007)),
            _ => return Err(Refusal::new(40008)),
        };
        Ok(Self { data, interaction })
    }
}

/// Whether this is a type of message at all.
pub(crate) fn is_msgtype(msgtype: &str) -> bool {
    matches!(
        msgtype,
        "text"
            | "markdown"
            | "textcard"
            | "news"
            | "miniprogram_notice"
            | "template_card"
            | "image"
            | "voice"
            | "video"
            | "file"
            | "mpnews"
    )
}

fn textcard(body: &Form<'_>) -> Result<Value, Refusal> {
    let title = required(body, "title", 41016)?;
    let description = required(body, "description", 41033)?;
    let url = link(body, "textcard.url")?;
    let button = body.text("btntxt").unwrap_or("详情");
    Ok(json!({
        "title": cut_characters(title, CARD_TITLE_CHARACTERS),
        "description": cut_characters(description, CARD_DESCRIPTION_CHARACTERS),
        "url": url,
        "btntxt": cut_characters(button, CARD_BUTTON_CHARACTERS),
    }))
}

/// Articles of a news message; robots send the same.
pub(crate) fn news(body: &Form<'_>) -> Result<Value, Refusal> {
    let articles = body.objects("articles");
    if articles.is_empty() {
        return Err(Refusal::new(44004));
    }
    if articles.len() > ARTICLES {
        return Err(invalid("news.articles exceed max size 8"));
    }
    let shown = articles
        .iter()
        .map(|article| {
            let title = required(article, "title", 41016)?;
            let description = article.text("description").unwrap_or_default();
            let mut shown = Map::new();
            shown.insert(
                "title".to_owned(),
                cut_bytes(title, ARTICLE_TITLE_BYTES).into(),
            );
            shown.insert(
                "description".to_owned(),
                cut_bytes(description, ARTICLE_DESCRIPTION_BYTES).into(),
            );
            if article.text("appid").is_some() {
                let page = page(article, "pagepath")?;
                shown.insert("pagepath".to_owned(), page.into());
            } else {
                shown.insert("url".to_owned(), link(article, "news.articles.url")?.into());
            }
            Ok(Value::Object(shown))
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    Ok(json!({ "articles": shown }))
}

fn miniprogram_notice(body: &Form<'_>) -> Result<Value, Refusal> {
    if body.text("appid").is_none() {
        return Err(invalid("miniprogram_notice.appid missing"));
    }
    let page = page(body, "page")?;
    let title = required(body, "title", 41016)?;
    let description = body.text("description").unwrap_or_default();
    for (name, text) in [("title", title), ("description", description)] {
        if !text.is_empty() && !NOTICE_CHARACTERS.contains(&text.chars().count()) {
            return Err(invalid(&format!("miniprogram_notice.{name} length")));
        }
    }
    let items = body.objects("content_item");
    if items.len() > NOTICE_ITEMS {
        return Err(invalid(
            "miniprogram_notice.content_item exceed max size 10",
        ));
    }
    let rows = items
        .iter()
        .map(|item| {
            let (key, value) = (item.text("key"), item.text("value"));
            let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
            if key.chars().count() > NOTICE_KEY_CHARACTERS
                || value.chars().count() > NOTICE_VALUE_CHARACTERS
            {
                return Err(invalid("miniprogram_notice.content_item length"));
            }
            Ok(json!({ "key": key, "value": value }))
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    Ok(json!({
        "title": title,
        "description": description,
        "page": page,
        "content_item": rows,
    }))
}

fn page<'call>(body: &Form<'call>, name: &str) -> Result<&'call str, Refusal> {
    let page = body.text(name).unwrap_or_default();
    if page.len() > PAGE_BYTES {
        return Err(invalid(&format!("{name} exceed max length {PAGE_BYTES}")));
    }
    Ok(page)
}

/// A link that a tap can open: with its scheme, and not too long.
fn link<'call>(body: &Form<'call>, name: &str) -> Result<&'call str, Refusal> {
    let url = body
        .text("url")
        .ok_or_else(|| invalid(&format!("{name} missing")))?;
    if url.len() > URL_BYTES {
        return Err(invalid(&format!("{name} exceed max length {URL_BYTES}")));
    }
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(invalid(&format!("{name} has no scheme")));
    }
    Ok(url)
}

/// A text that must be there; without it the message is refused with this code.
pub(crate) fn required<'call>(
    body: &Form<'call>,
    name: &str,
    errcode: i64,
) -> Result<&'call str, Refusal> {
    body.text(name).ok_or_else(|| Refusal::new(errcode))
}

/// 40058, which names what is wrong.
pub(crate) fn invalid(what: &str) -> Refusal {
    Refusal::with_text(40058, format!("{what}. invalid Request Parameter"))
}

fn cut_bytes(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn cut_characters(text: &str, most: usize) -> &str {
    text.char_indices()
        .nth(most)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(msgtype: &str, body: &Value) -> Result<Value, i64> {
        let message = json!({ msgtype: body });
        Content::of_app(msgtype, &Form::of_value(&message))
            .map(|content| content.data)
            .map_err(|refusal| refusal.errcode)
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = format!("a{}", "汉".repeat(700));
        let shown = check("text", &json!({ "content": text })).unwrap();
        // 1 + 682 × 3 = 2,047: one more would be 2,050.
        assert_eq!(shown["content"], format!("a{}", "汉".repeat(682)));
        let fits = "😀".repeat(512);
        let shown = check("text", &json!({ "content": fits })).unwrap();
        assert_eq!(shown["content"], fits);
    }

    #[test]
    fn a_textcard_is_cut_by_characters_and_needs_its_three_fields() {
        let card = json!({
            "title": "题".repeat(129),
            "description": "述".repeat(513),
            "url": "https://crm.example/1",
            "btntxt": "查看详情吧",
        });
        let shown = check("textcard", &card).unwrap();
        assert_eq!(shown["title"], "题".repeat(128));
        assert_eq!(shown["description"], "述".repeat(512));
        assert_eq!(shown["btntxt"], "查看详情");
        for (field, value, errcode) in [
            ("title", json!(""), 41016),
            ("description", json!(null), 41033),
            ("url", json!(null), 40058),
            ("url", json!("crm.example/1"), 40058),
            (
                "url",
                json!(format!("https://crm.example/{}", "1".repeat(2_048))),
                40058,
            ),
        ] {
            let mut card = card.clone();
            card[field] = value;
            assert_eq!(check("textcard", &card), Err(errcode), "{field}");
        }
        let plain = json!({ "title": "t", "description": "d", "url": "http://x" });
        assert_eq!(check("textcard", &plain).unwrap()["btntxt"], "详情");
    }

    #[test]
    fn what_a_type_does_not_allow_is_refused() {
        let article = json!({ "title": "t", "url": "https://x" });
        let notice = |title: &str, items: usize| {
            let item = json!({ "key": "会员编号", "value": "M001" });
            json!({ "appid": "wx1", "title": title, "content_item": vec![item; items] })
        };
        let cases = [
            ("text", json!({}), Err(44004)),
            ("text", json!("text"), Err(44004)),
            ("markdown", json!({ "content": "汉".repeat(682) }), Ok(())),
            (
                "markdown",
                json!({ "content": "汉".repeat(683) }),
                Err(45002),
            ),
            ("news", json!({ "articles": [] }), Err(44004)),
            (
                "news",
                json!({ "articles": vec![article.clone(); 8] }),
                Ok(()),
            ),
            ("news", json!({ "articles": vec![article; 9] }), Err(40058)),
            (
                "news",
                json!({ "articles": [{ "title": "t" }] }),
                Err(40058),
            ),
            ("miniprogram_notice", notice("新会员登记", 10), Ok(())),
            ("miniprogram_notice", notice("新会员登记", 11), Err(40058)),
            ("miniprogram_notice", notice("新会员", 1), Err(40058)),
            (
                "miniprogram_notice",
                json!({ "title": "新会员登记" }),
                Err(40058),
            ),
            ("image", json!({ "media_id": "m" }), Err(40007)),
            ("smoke", json!({}), Err(40008)),
        ];
        for (msgtype, body, expected) in cases {
            let checked = check(msgtype, &body).map(|_| ());
            assert_eq!(checked, expected, "{msgtype} {body}");
        }
    }
}
