use serde_json::{Map, Value};
use shared::domain::Channel;
use shared::notification::{Kind, MessageFormat, RouteSettings, Template, render};
use url::Url;

use super::AddressedMessage;
use crate::verdict::SendOutcome;

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

/// What a route may say.
const FIELDS: [&str; 5] = ["title", "description", "url", "btntxt", "content"];

impl Wording {
    /// Renders what the route says, and where it says nothing what the kind's template says.
    ///
    /// # Errors
    /// What is wrong with the route, with the name of the field.
    pub fn of(
        addressed: &AddressedMessage,
        route: &RouteSettings,
        data: &Map<String, Value>,
        crm_url: Option<&Url>,
    ) -> Result<Self, SendOutcome> {
        let message = &addressed.message;
        if let Some(unknown) = route
            .fields
            .keys()
            .find(|name| !FIELDS.contains(&name.as_str()))
        {
            return Err(SendOutcome::Unpreparable(format!(
                "fields: {unknown:?} of the route of {} on {} is none of {}",
                message.kind,
                message.channel,
                FIELDS.join(", ")
            )));
        }
        let kind: Kind = message
            .kind
            .parse()
            .map_err(|error| SendOutcome::Unpreparable(format!("kind: {error}")))?;
        let of_catalogue;
        let template = match &addressed.template {
            Some(edited) => edited.as_ref(),
            None => {
                of_catalogue = Template::of_catalogue(kind);
                &of_catalogue
            }
        };
        let field = |name: &str| {
            let text = route.fields.get(name).map(String::as_str);
            text.filter(|text| !text.trim().is_empty())
        };
        let url = address(field("url").unwrap_or(&template.link), data, crm_url)?;
        let format = format(message.channel, route.format, url.as_ref());
        let data = plain(data, format);
        let description = field("description").or(field("content"));
        Ok(Self {
            format,
            title: render(field("title").unwrap_or(&template.title), &data),
            description: render(description.unwrap_or(&template.content), &data),
            content: field("content").map(|content| render(content, &data)),
            button: render(field("btntxt").unwrap_or(&template.button), &data),
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
) -> Result<Option<Url>, SendOutcome> {
    let page = render(template, &with_each(data, percent_encoded));
    let whole = match (page.starts_with('/'), crm_url) {
        (true, None) => return Ok(None),
        (true, Some(crm_url)) => format!("{}{page}", crm_url.as_str().trim_end_matches('/')),
        (false, _) => page,
    };
    match Url::parse(&whole) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
        Ok(_) | Err(_) => Err(SendOutcome::Unpreparable(format!(
            "url: {template:?} is no address: it must begin with https://, or with / for a page of the CRM"
        ))),
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
            other => other.clone(),
        };
        (name.clone(), value)
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use shared::domain::UtcTimestamp;
    use shared::notification::Wish;
    use shared::outbox::{ClaimedMessage, Priority};

    use super::super::Address;
    use super::*;

    fn message(kind: &str, channel: Channel) -> ClaimedMessage {
        let now: UtcTimestamp = chrono::Utc::now().into();
        ClaimedMessage {
            id: shared::domain::OutboxMessageId::generate(),
            kind: kind.to_owned(),
            channel,
            recipient_id: "@all".parse().unwrap(),
            payload: "{}".to_owned(),
            priority: Priority::High,
            attempt: 1,
            attempts_max: 10,
            fence: 1,
            outcome_unknown: false,
            lease_expires_at: Some(now.after(Duration::from_secs(60))),
            due_at: now,
            created_at: now,
            request_id: None,
            is_probe: false,
        }
    }

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
        let addressed = AddressedMessage {
            message: message("member.updated", channel),
            address: Address::Known("@all".to_owned()),
            wish: Wish::Now,
            route: None,
            template: None,
            hold: None,
        };
        let wording = Wording::of(&addressed, &route(format, fields), &data(), crm_url);
        wording.map_err(|outcome| match outcome {
            SendOutcome::Unpreparable(reason) => reason,
            other => panic!("{other:?}"),
        })
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
