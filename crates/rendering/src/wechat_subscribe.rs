use serde_json::{Map, Value};
use shared::notification::{RouteSettings, render};
use shared::outbox::is_test;
use wechat::SubscribeMessage;
use wechat::field::{FieldType, clamp};
use wechat::mini_program::{Lang, MiniProgramState};

use crate::{Draft, Fields, TEST_MARK, Unrenderable};

/// A subscribe message, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeRequest {
    openid: String,
    template_id: String,
    page: Option<String>,
    data: Fields,
}

/// A field of the platform's template.
pub(crate) struct RenderedField {
    /// `thing1`.
    pub(crate) key: String,
    /// What the platform takes there.
    pub(crate) field_type: FieldType,
    /// The whole text.
    pub(crate) full: String,
    /// What of it is sent.
    pub(crate) shown: String,
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
    pub(crate) fn prepare(draft: &Draft<'_>) -> Result<Self, Unrenderable> {
        let Draft {
            kind,
            channel,
            route,
            data,
            ..
        } = *draft;
        let Some(template_id) = route.template_id.clone().filter(|id| !id.is_empty()) else {
            return Err(Unrenderable::NoTemplateId { kind, channel });
        };
        let fields = rendered(draft)?.into_iter();
        Ok(Self {
            openid: draft.address.to_owned(),
            template_id,
            page: Some(page(route, data)),
            data: fields.map(|field| (field.key, field.shown)).collect(),
        })
    }

    /// What the platform is sent.
    pub fn message(&self, miniprogram_state: MiniProgramState) -> SubscribeMessage<'_> {
        SubscribeMessage {
            touser: &self.openid,
            template_id: &self.template_id,
            page: self.page.as_deref(),
            data: &self.data,
            miniprogram_state,
            lang: Lang::default(),
        }
    }
}

/// The fields of the platform's template as they are shown, in their order.
pub(crate) fn rendered(draft: &Draft<'_>) -> Result<Vec<RenderedField>, Unrenderable> {
    // A recipient sees only what stands in the fields.
    let mut mark = is_test(draft.data).then_some(TEST_MARK);
    let mut fields = Vec::new();
    for (key, text) in texts(draft.route) {
        let Some(field_type) = FieldType::of_key(key) else {
            return Err(Unrenderable::NoTemplateField {
                kind: draft.kind,
                field: key.to_owned(),
            });
        };
        let mut full = render(text, draft.data);
        if field_type == FieldType::Thing
            && let Some(mark) = mark.take()
        {
            full.insert_str(0, mark);
        }
        fields.push(RenderedField {
            key: key.to_owned(),
            field_type,
            shown: clamp(field_type, &full),
            full,
        });
    }
    Ok(fields)
}

/// The template field → text with placeholders of a route.
pub(crate) fn texts(route: &RouteSettings) -> Vec<(&str, &str)> {
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
    render(page_template(route, data), data)
}

/// The page that a card opens, with placeholders.
pub(crate) fn page_template<'a>(route: &'a RouteSettings, data: &Map<String, Value>) -> &'a str {
    let about_one_customer = data.get("customerId").is_some_and(Value::is_string);
    let default = if about_one_customer {
        DEFAULT_PAGE
    } else {
        DEFAULT_PAGE_WITHOUT_CUSTOMER
    };
    let page = route.page.as_deref();
    page.filter(|page| !page.is_empty()).unwrap_or(default)
}
