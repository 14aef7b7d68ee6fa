use serde_json::{Value, json};
use shared::domain::Channel;
use shared::notification::{MessageFormat, missing};
use wechat::AppMessage;
use wechat::field::check;
use wechat::mini_program::MiniProgramState;

use crate::wechat_cloud::HANDED_OVER;
use crate::wechat_subscribe::{page_template, rendered, texts};
use crate::wording::Sources;
use crate::{Draft, PreparedRequest, Unrenderable, Warning, Wording};

/// What the platform would be sent, for a person to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Which call of the platform's.
    pub path: &'static str,
    /// What it is given; a cloud function its event.
    pub body: Value,
    /// What a recipient will not see as it was meant.
    pub warnings: Vec<Warning>,
}

/// What requests name of who sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sender {
    /// The number of the WeCom application.
    pub agentid: u32,
    /// Which version of the mini program a card opens.
    pub miniprogram_state: MiniProgramState,
}

/// May be missing: it is there where there are several customers.
const OPTIONAL: &str = "customerCount";

impl Draft<'_> {
    /// Shows the message instead of sending it.
    ///
    /// # Errors
    /// As for [`Draft::prepare`]: then there is nothing to show.
    pub fn preview(&self, sender: Sender) -> Result<Preview, Unrenderable> {
        let (path, body) = match self.prepare()? {
            PreparedRequest::Subscribe(request) => (
                "/cgi-bin/message/subscribe/send",
                json!(request.message(sender.miniprogram_state)),
            ),
            PreparedRequest::Cloud(request) => {
                ("/tcb/invokecloudfunction", request.event().clone())
            }
            PreparedRequest::App(request) => {
                let message = AppMessage::new(request.touser(), sender.agentid, request.content());
                ("/cgi-bin/message/send", json!(message))
            }
            PreparedRequest::Robot(request) => ("/cgi-bin/webhook/send", json!(request.content())),
        };
        let warnings = match self.channel {
            Channel::WechatSubscribe => self.warnings_of_fields()?,
            Channel::WechatCloud => self.warnings_of_event(),
            Channel::WecomApp | Channel::WecomRobot => self.warnings_of_wording(&body)?,
        };
        Ok(Preview {
            path,
            body,
            warnings,
        })
    }

    fn missing_in<'t>(&self, field: &str, text: &'t str) -> impl Iterator<Item = Warning> + 't {
        let field = field.to_owned();
        missing(text, self.data)
            .into_iter()
            .map(move |name| Warning::Missing {
                field: field.clone(),
                name: name.to_owned(),
            })
    }

    fn warnings_of_fields(&self) -> Result<Vec<Warning>, Unrenderable> {
        let mut warnings = Vec::new();
        for (field, text) in texts(self.route) {
            warnings.extend(self.missing_in(field, text));
        }
        warnings.extend(self.missing_in("page", page_template(self.route, self.data)));
        let unfit = rendered(self)?
            .into_iter()
            .filter(|field| field.shown != field.full);
        warnings.extend(unfit.map(|field| Warning::Unfit {
            problem: check(field.field_type, &field.full).err(),
            field: field.key,
            full: field.full,
            shown: field.shown,
        }));
        Ok(warnings)
    }

    fn warnings_of_event(&self) -> Vec<Warning> {
        let absent = HANDED_OVER
            .iter()
            .filter(|&&name| name != OPTIONAL && !self.data.contains_key(name));
        absent
            .map(|&name| Warning::Missing {
                field: "notificationData".to_owned(),
                name: name.to_owned(),
            })
            .collect()
    }

    fn warnings_of_wording(&self, body: &Value) -> Result<Vec<Warning>, Unrenderable> {
        let wording = Wording::of(self)?;
        let sources = Sources::of(self);
        let mut warnings = Vec::new();
        let is_card = wording.format == MessageFormat::Textcard;
        match sources.content.filter(|_| !is_card) {
            Some(content) => warnings.extend(self.missing_in("content", content)),
            None => {
                warnings.extend(self.missing_in("title", sources.title));
                warnings.extend(self.missing_in("description", sources.description));
            }
        }
        warnings.extend(self.missing_in("url", sources.link));
        warnings.extend(cuts(&wording, body));
        if wording.url.is_none() {
            let page = sources.link.to_owned();
            warnings.push(Warning::NoLink { page });
        }
        if let Some(wanted) = self.route.format
            && wanted != wording.format
        {
            let used = wording.format;
            warnings.push(Warning::OtherForm { wanted, used });
        }
        Ok(warnings)
    }
}

/// What of a wording is not in the request.
fn cuts(wording: &Wording, body: &Value) -> Vec<Warning> {
    let shown = &body[wording.format.as_str()];
    let cut = |field: &str, full: &str| {
        let shown = shown[field].as_str().unwrap_or_default();
        (shown != full).then(|| Warning::Cut {
            field: field.to_owned(),
            full: full.to_owned(),
            shown: shown.to_owned(),
        })
    };
    if wording.format == MessageFormat::Textcard {
        let parts = [
            ("title", &wording.title),
            ("description", &wording.description),
            ("btntxt", &wording.button),
        ];
        return parts
            .into_iter()
            .filter_map(|(field, full)| cut(field, full))
            .collect();
    }
    let text = shown["content"].as_str().unwrap_or_default();
    let full = wording.text();
    let mut warnings = Vec::new();
    if !text.starts_with(&full) {
        warnings.push(Warning::Cut {
            field: "content".to_owned(),
            full,
            shown: text.to_owned(),
        });
    }
    let has_link = text.contains("<a href=") || text.contains("](") || text.contains("：http");
    if let Some(url) = &wording.url
        && !has_link
    {
        let url = url.to_string();
        warnings.push(Warning::LinkTooLong { url });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};
    use shared::domain::OutboxMessageId;
    use shared::notification::{Kind, RouteSettings, Template, sample_data};
    use url::Url;

    use super::*;

    fn previewed(
        channel: Channel,
        route: &RouteSettings,
        data: &Map<String, Value>,
        crm_url: Option<&str>,
    ) -> Result<Preview, Unrenderable> {
        let crm_url = crm_url.map(|url| Url::parse(url).unwrap());
        let draft = Draft {
            id: &OutboxMessageId::generate(),
            kind: Kind::CustomerAssigned,
            channel,
            recipient_id: &"u1".parse().unwrap(),
            address: "lisi",
            route,
            template: &Template::of_catalogue(Kind::CustomerAssigned),
            data,
            crm_url: crm_url.as_ref(),
        };
        draft.preview(Sender {
            agentid: 7,
            ..Sender::default()
        })
    }

    fn route(fields: &[(&str, &str)]) -> RouteSettings {
        let fields = fields.iter();
        RouteSettings {
            enabled: true,
            template_id: Some("T1".to_owned()),
            fields: fields
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            ..RouteSettings::default()
        }
    }

    #[test]
    fn a_subscribe_message_is_shown_as_it_is_sent_with_what_does_not_fit() {
        let mut data = sample_data(Kind::CustomerAssigned);
        data.insert(
            "customerName".to_owned(),
            json!("一位名字非常非常长以至于放不下的客户女士"),
        );
        data.remove("phone");
        let fields = [
            ("thing1", "客户{{customerName}}"),
            ("phone_number2", "{{phone}}"),
        ];
        let preview = previewed(Channel::WechatSubscribe, &route(&fields), &data, None).unwrap();
        assert_eq!(
            preview.body,
            json!({
                "touser": "lisi",
                "template_id": "T1",
                "page": "pages/customer/detail?id=0193e5a0-6e2b-7c4d-8f10-aabbccddeeff",
                "data": {
                    "thing1": { "value": "客户一位名字非常非常长以至于放不下的客…" },
                    "phone_number2": { "value": "-" },
                },
                "miniprogram_state": "formal",
                "lang": "zh_CN",
            })
        );
        let told: Vec<String> = preview.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "phone_number2: {{phone}} has no value and shows -",
                "thing1: \"客户一位名字非常非常长以至于放不下的客户女士\" is shown as \"客户一位名字非常非常长以至于放不下的客…\": the value is 22 characters long, at most 20 fit",
            ]
        );
    }

    #[test]
    fn what_a_card_has_no_room_for_is_named() {
        let data = sample_data(Kind::CustomerAssigned);
        let long = "长".repeat(200);
        let fields = [("title", long.as_str()), ("btntxt", "查看这位客户")];
        let crm = Some("https://crm.example.com");
        let preview = previewed(Channel::WecomApp, &route(&fields), &data, crm).unwrap();
        assert_eq!(preview.body["agentid"], 7);
        let fields: Vec<(&str, &str)> = preview
            .warnings
            .iter()
            .map(|warning| (warning.code(), warning.field()))
            .collect();
        assert_eq!(fields, [("cut", "title"), ("cut", "btntxt")]);
    }

    #[test]
    fn a_card_that_leads_nowhere_says_why_it_is_none() {
        let data = sample_data(Kind::CustomerAssigned);
        let wanted = RouteSettings {
            format: Some(MessageFormat::Textcard),
            ..route(&[])
        };
        let preview = previewed(Channel::WecomApp, &wanted, &data, None).unwrap();
        assert_eq!(preview.body["msgtype"], "text");
        let codes: Vec<&str> = preview.warnings.iter().map(Warning::code).collect();
        assert_eq!(codes, ["no_link", "other_form"]);
    }

    #[test]
    fn nothing_is_said_of_what_is_shown_whole() {
        let data = sample_data(Kind::CustomerAssigned);
        for channel in Channel::ALL.iter().copied() {
            let crm = Some("https://crm.example.com");
            let preview = previewed(channel, &route(&[]), &data, crm).unwrap();
            assert_eq!(preview.warnings, [], "{channel}");
        }
    }

    #[test]
    fn a_test_says_that_it_is_one_on_every_channel() {
        let mut data = sample_data(Kind::CustomerAssigned);
        shared::outbox::mark_as_test(&mut data);
        for channel in Channel::ALL.iter().copied() {
            let preview = previewed(channel, &route(&[]), &data, None).unwrap();
            assert!(preview.body.to_string().contains("【测试】"), "{channel}");
        }
    }
}
