use serde_json::{Map, Value};
use shared::domain::Channel;
use shared::notification::{MessageFormat, render};
use shared::outbox::is_test;
use url::Url;

use crate::{Draft, TEST_MARK, Unrenderable};

/// What a WeCom message says, and in which form, before anything is fitted into the limits of that
/// form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// The form it can have: a card must lead somewhere, and a robot has no cards.
    pub format: MessageFormat,
    /// The headline.
    pub title: String,
    /// What stands under it.
    pub description: String,
    /// The whole text, if the route has one for the forms without a headline.
    pub content: Option<String>,
    /// Where it leads.
    pub url: Option<Url>,
    /// The words of the link or the button.
    pub button: String,
}

/// What a route on a channel of WeCom may say.
pub const WECOM_FIELDS: [&str; 5] = ["title", "description", "url", "btntxt", "content"];

/// The texts with placeholders that a wording is made from: the route's, and where it says nothing those
/// of the kind's template.
pub(crate) struct Sources<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) content: Option<&'a str>,
    pub(crate) button: &'a str,
    pub(crate) link: &'a str,
}

impl<'a> Sources<'a> {
    pub(crate) fn of(draft: &Draft<'a>) -> Self {
        let Draft {
            route, template, ..
        } = *draft;
        let field = |name: &str| {
            let text = route.fields.get(name).map(String::as_str);
            text.filter(|text| !text.trim().is_empty())
        };
        let description = field("description").or(field("content"));
        Self {
            title: field("title").unwrap_or(&template.title),
            description: description.unwrap_or(&template.content),
            content: field("content"),
            button: field("btntxt").unwrap_or(&template.button),
            link: field("url").unwrap_or(&template.link),
        }
    }
}

impl Wording {
    /// Renders what the route says, and where it says nothing what the kind's template says.
    ///
    /// # Errors
    /// What is wrong with the route, with the name of the field.
    pub fn of(draft: &Draft<'_>) -> Result<Self, Unrenderable> {
        let Draft {
            kind,
            channel,
            route,
            data,
            crm_url,
            ..
        } = *draft;
        if let Some(unknown) = route
            .fields
            .keys()
            .find(|name| !WECOM_FIELDS.contains(&name.as_str()))
        {
            let field = unknown.clone();
            return Err(Unrenderable::NoWecomField {
                kind,
                channel,
                field,
            });
        }
        let sources = Sources::of(draft);
        let url = address(sources.link, data, crm_url)?;
        let format = format(channel, route.format, url.as_ref());
        let mark = if is_test(data) { TEST_MARK } else { "" };
        let data = plain(data, format);
        let marked = |text: &str| format!("{mark}{}", render(text, &data));
        Ok(Self {
            format,
            title: marked(sources.title),
            description: render(sources.description, &data),
            content: sources.content.map(marked),
            button: render(sources.button, &data),
            url,
        })
    }

    /// The whole text, for a form that has no headline.
    pub fn text(&self) -> String {
        let Self {
            title, description, ..
        } = self;
        match (&self.content, self.format) {
            (Some(content), _) => content.clone(),
            (None, MessageFormat::Markdown) => format!("**{title}**\n{description}"),
            (None, MessageFormat::Text | MessageFormat::Textcard) => {
                format!("{title}\n{description}")
            }
        }
    }
}

fn format(channel: Channel, wanted: Option<MessageFormat>, url: Option<&Url>) -> MessageFormat {
    let is_robot = channel == Channel::WecomRobot;
    match wanted {
        Some(MessageFormat::Text) => MessageFormat::Text,
        Some(MessageFormat::Markdown) => MessageFormat::Markdown,
        None | Some(MessageFormat::Textcard) if is_robot => MessageFormat::Markdown,
        None | Some(MessageFormat::Textcard) if url.is_some() => MessageFormat::Textcard,
        None | Some(MessageFormat::Textcard) => MessageFormat::Text,
    }
}

/// Where a message leads: a whole address, or a page of the CRM, if it is known where that is.
fn address(
    template: &str,
    data: &Map<String, Value>,
    crm_url: Option<&Url>,
) -> Result<Option<Url>, Unrenderable> {
    let page = render(template, &with_each(data, percent_encoded));
    let whole = match (page.starts_with('/'), crm_url) {
        (true, None) => return Ok(None),
        (true, Some(crm_url)) => format!("{}{page}", crm_url.as_str().trim_end_matches('/')),
        (false, _) => page,
    };
    match Url::parse(&whole) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
        Ok(_) | Err(_) => Err(Unrenderable::NoAddress {
            link: template.to_owned(),
        }),
    }
}

/// Whoever enters a customer or a member must not be able to put a link into what colleagues are told,
/// or a line that looks like another value.
fn plain(data: &Map<String, Value>, format: MessageFormat) -> Map<String, Value> {
    let is_markdown = format == MessageFormat::Markdown;
    with_each(data, |text| {
        let plain = text.chars().filter_map(|c| match c {
            '<' => Some('＜'),
            '>' => Some('＞'),
            '[' if is_markdown => Some('［'),
            ']' if is_markdown => Some('］'),
            // These turn the direction of what follows.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => None,
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => Some(' '),
            c => Some(c),
        });
        plain.collect()
    })
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The data with every text in it changed.
fn with_each(data: &Map<String, Value>, change: impl Fn(&str) -> String) -> Map<String, Value> {
    let changed = data.iter().map(|(name, value)| {
        let value = match value {
            Value::String(text) => Value::String(change(text)),
            Value::Array(lines) => lines
                .iter()
                .map(|line| {
                    line.as_str()
                        .map_or_else(|| line.clone(), |text| change(text).into())
                })
                .collect(),
            other => other.clone(),
        };
        (name.clone(), value)
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::domain::OutboxMessageId;
    use shared::notification::{Kind, RouteSettings, Template};

    use super::*;

    fn data() -> Map<String, Value> {
        let data = json!({
            "memberNo": "M 1/2",
            "memberId": "0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
            "changedFields": "手机、<a href=\"https://evil\">城市</a>\n登记时间：昨天",
            "time": "[x](https://evil)",
        });
        data.as_object().unwrap().clone()
    }

    fn route(format: Option<MessageFormat>, fields: &[(&str, &str)]) -> RouteSettings {
        RouteSettings {
            enabled: true,
            format,
            fields: fields
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            ..RouteSettings::default()
        }
    }

    fn crm() -> Url {
        Url::parse("https://crm.example.com/app/").unwrap()
    }

    fn worded(
        channel: Channel,
        format: Option<MessageFormat>,
        fields: &[(&str, &str)],
        crm_url: Option<&Url>,
    ) -> Result<Wording, String> {
        let draft = Draft {
            id: &OutboxMessageId::generate(),
            kind: Kind::MemberUpdated,
            channel,
            recipient_id: &"@all".parse().unwrap(),
            address: "@all",
            route: &route(format, fields),
            template: &Template::of_catalogue(Kind::MemberUpdated),
            data: &data(),
            crm_url,
        };
        Wording::of(&draft).map_err(|refused| refused.to_string())
    }

    #[test]
    fn the_catalogue_says_what_the_route_does_not() {
        let wording = worded(Channel::WecomApp, None, &[], Some(&crm())).unwrap();
        assert_eq!(wording.format, MessageFormat::Textcard);
        assert_eq!(wording.title, "用户资料更新通知");
        assert!(
            wording
                .description
                .starts_with("会员编号：M 1/2\n更新内容：")
        );
        assert_eq!(wording.button, "查看详情");
        assert_eq!(
            wording.url.as_ref().map(Url::as_str),
            Some("https://crm.example.com/app/members/0193e5a0-6e2b-7c4d-8f10-aabbccddeeff")
        );
        assert!(
            wording
                .text()
                .starts_with("用户资料更新通知\n会员编号：M 1/2\n")
        );
    }

    #[test]
    fn a_route_says_it_otherwise() {
        let fields = [
            ("title", "资料 {{memberNo}}"),
            ("description", "看这里"),
            ("content", "全文 {{memberNo}}"),
            ("url", "https://m.example.com/?no={{memberNo}}"),
            ("btntxt", "打开"),
        ];
        let wording = worded(Channel::WecomApp, None, &fields, None).unwrap();
        assert_eq!(wording.title, "资料 M 1/2");
        assert_eq!(wording.description, "看这里");
        assert_eq!(wording.text(), "全文 M 1/2");
        assert_eq!(wording.button, "打开");
        assert_eq!(
            wording.url.unwrap().as_str(),
            "https://m.example.com/?no=M%201%2F2"
        );
    }

    #[test]
    fn the_form_is_one_that_the_channel_has() {
        use Channel::{WecomApp, WecomRobot};
        use MessageFormat::{Markdown, Text, Textcard};
        let crm = crm();
        for (channel, wanted, crm_url, format) in [
            (WecomApp, None, Some(&crm), Textcard),
            (WecomApp, None, None, Text),
            (WecomApp, Some(Textcard), None, Text),
            (WecomApp, Some(Markdown), None, Markdown),
            (WecomApp, Some(Text), Some(&crm), Text),
            (WecomRobot, None, Some(&crm), Markdown),
            (WecomRobot, Some(Textcard), Some(&crm), Markdown),
            (WecomRobot, Some(Text), None, Text),
        ] {
            let wording = worded(channel, wanted, &[], crm_url).unwrap();
            assert_eq!(wording.format, format, "{channel} {wanted:?}");
        }
    }

    #[test]
    fn what_was_entered_is_text_and_nothing_else() {
        let text = worded(Channel::WecomApp, Some(MessageFormat::Text), &[], None).unwrap();
        assert_eq!(
            text.text(),
            "用户资料更新通知\n会员编号：M 1/2\n更新内容：手机、＜a href=\"https://evil\"＞城市＜/a＞ 登记时间：昨天\n更新时间：[x](https://evil)"
        );
        let markdown = worded(Channel::WecomRobot, None, &[], None).unwrap();
        assert!(markdown.text().starts_with("**用户资料更新通知**\n"));
        assert!(markdown.text().ends_with("更新时间：［x］(https://evil)"));
    }

    #[test]
    fn a_mistake_in_the_route_is_named() {
        for (fields, complaint) in [
            (
                ("thing1", "x"),
                "fields: \"thing1\" of the route of member.updated on wecom_app is none of title, description, url, btntxt, content",
            ),
            (
                ("url", "crm.example.com/x"),
                "url: \"crm.example.com/x\" is no address",
            ),
            (("url", "javascript:alert(1)"), "is no address"),
        ] {
            let refused = worded(Channel::WecomApp, None, &[fields], Some(&crm())).unwrap_err();
            assert!(refused.contains(complaint), "{refused}");
        }
    }
}
