use serde_json::{Map, Value};
use shared::notification::{RouteSettings, render};
use shared::outbox::ClaimedMessage;
use wechat::errcode::Api;
use wechat::field::{FieldType, clamp};
use wechat::mini_program::{Lang, MiniProgramState};
use wechat::{AccessToken, MiniProgram, SubscribeMessage};

use super::Fields;
use crate::verdict::SendOutcome;

/// A subscribe message, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeRequest {
    openid: String,
    template_id: String,
    page: Option<String>,
    data: Fields,
}

/// What the fields show where a route does not say: the template that CRMs of this kind use for
/// assignments.
const DEFAULT_FIELDS: [(&str, &str); 4] = [
    ("thing1", "{{customerName}}"),
    ("thing2", "{{source}}"),
    ("name3", "{{assignerName}}"),
    ("time4", "{{time}}"),
];

/// The page a card opens where a route does not say.
const DEFAULT_PAGE: &str = "pages/customer/detail?id={{customerId}}";

/// The page where the message is about several customers.
const DEFAULT_PAGE_WITHOUT_CUSTOMER: &str = "pages/customer/list";

impl SubscribeRequest {
    /// Renders the route's fields; every text is cut to what its field type takes, so that a long
    /// name never costs the message.
    pub(super) fn prepare(
        message: &ClaimedMessage,
        openid: &str,
        route: &RouteSettings,
        data: &Map<String, Value>,
    ) -> Result<Self, SendOutcome> {
        let Some(template_id) = route.template_id.clone().filter(|id| !id.is_empty()) else {
            return Err(SendOutcome::Unpreparable(format!(
                "template_id: the route of {} on {} has none",
                message.kind, message.channel
            )));
        };
        let mut rendered = Fields::new();
        for (field, text) in texts(route) {
            let Some(field_type) = FieldType::of_key(field) else {
                return Err(SendOutcome::Unpreparable(format!(
                    "fields: {field:?} of the route of {} is not a template field such as thing1",
                    message.kind
                )));
            };
            rendered.insert(field.to_owned(), clamp(field_type, &render(text, data)));
        }
        Ok(Self {
            openid: openid.to_owned(),
            template_id,
            page: Some(page(route, data)),
            data: rendered,
        })
    }

    pub(super) async fn send(
        &self,
        mini_program: &MiniProgram,
        token: &AccessToken,
        miniprogram_state: MiniProgramState,
    ) -> SendOutcome {
        let message = SubscribeMessage {
            touser: &self.openid,
            template_id: &self.template_id,
            page: self.page.as_deref(),
            data: &self.data,
            miniprogram_state,
            lang: Lang::default(),
        };
        match mini_program.send_subscribe_message(token, &message).await {
            Ok(accepted) => SendOutcome::Accepted {
                provider_message_id: accepted.msgid,
            },
            Err(error) => SendOutcome::Failed {
                api: Api::SubscribeSend,
                error,
            },
        }
    }
}

fn texts(route: &RouteSettings) -> Vec<(&str, &str)> {
    if route.fields.is_empty() {
        return DEFAULT_FIELDS.to_vec();
    }
    route
        .fields
        .iter()
        .map(|(field, text)| (field.as_str(), text.as_str()))
        .collect()
}

fn page(route: &RouteSettings, data: &Map<String, Value>) -> String {
    let about_one_customer = data.get("customerId").is_some_and(Value::is_string);
    let default = if about_one_customer {
        DEFAULT_PAGE
    } else {
        DEFAULT_PAGE_WITHOUT_CUSTOMER
    };
    render(
        route
            .page
            .as_deref()
            .filter(|page| !page.is_empty())
            .unwrap_or(default),
        data,
    )
}
