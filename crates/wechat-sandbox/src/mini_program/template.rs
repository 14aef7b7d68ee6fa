//! Subscribe-message templates.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::mini_program::field::{FieldFault, FieldType};
use crate::refusal::Refusal;

/// A template of one app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// `priTmplId`; 43 characters on the real platform, any text here.
    pub template_id: String,
    /// App that owns it; the first configured app when left out.
    #[serde(default)]
    pub appid: Option<String>,
    /// Heading of the card.
    pub title: String,
    /// Its keywords in order.
    pub fields: Vec<TemplateField>,
    /// One-time or long-term (`type` 2 or 3 on the wire).
    #[serde(default, rename = "type")]
    pub kind: SubscriptionKind,
}

/// One keyword of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateField {
    /// Type and number, such as `thing1`.
    pub key: String,
    /// The label on the card.
    pub name: String,
    /// What an `enum` keyword may say.
    #[serde(default)]
    pub values: Vec<String>,
}

impl TemplateField {
    /// A keyword without listed values.
    pub fn new(key: &str, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
            values: Vec::new(),
        }
    }
}

/// What one accept by the user allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum SubscriptionKind {
    /// One send per accept.
    #[default]
    OneTime,
    /// Any number of sends.
    LongTerm,
}

impl TryFrom<u8> for SubscriptionKind {
    type Error = String;

    fn try_from(kind: u8) -> Result<Self, Self::Error> {
        match kind {
            2 => Ok(Self::OneTime),
            3 => Ok(Self::LongTerm),
            other => Err(format!(
                "template type {other}: 2 is one-time, 3 is long-term"
            )),
        }
    }
}

impl From<SubscriptionKind> for u8 {
    fn from(kind: SubscriptionKind) -> Self {
        match kind {
            SubscriptionKind::OneTime => 2,
            SubscriptionKind::LongTerm => 3,
        }
    }
}

/// All templates, with the app of each resolved.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<String, OwnedTemplate>,
}

#[derive(Debug)]
pub(crate) struct OwnedTemplate {
    pub(crate) appid: String,
    pub(crate) template: Template,
    types: Vec<FieldType>,
}

impl Templates {
    /// Adds or replaces a template.
    pub(crate) fn put(&mut self, template: Template, appid: String) -> Result<(), String> {
        let types = template
            .fields
            .iter()
            .map(|field| {
                FieldType::of_key(&field.key)
                    .ok_or_else(|| format!("{} is no keyword: a type and a number", field.key))
            })
            .collect::<Result<_, _>>()?;
        let id = template.template_id.clone();
        self.by_id.insert(
            id,
            OwnedTemplate {
                appid,
                template,
                types,
            },
        );
        Ok(())
    }

    pub(crate) fn get(&self, template_id: &str) -> Option<&OwnedTemplate> {
        self.by_id.get(template_id)
    }

    /// Answer of `gettemplate`.
    pub(crate) fn listing(&self, appid: &str) -> String {
        let mut own: Vec<&OwnedTemplate> = self
            .by_id
            .values()
            .filter(|owned| owned.appid == appid)
            .collect();
        own.sort_by(|a, b| a.template.template_id.cmp(&b.template.template_id));
        let data: Vec<Value> = own.into_iter().map(OwnedTemplate::listed).collect();
        json!({ "errcode": 0, "errmsg": "ok", "data": data }).to_string()
    }
}

impl OwnedTemplate {
    /// Checks the `data` of a send; only the first bad keyword, in template order, is named.
    /// Keywords the template does not have are ignored.
    pub(crate) fn check(&self, data: Option<&Value>) -> Result<(), Refusal> {
        let data = data.and_then(Value::as_object);
        for (field, field_type) in self.template.fields.iter().zip(&self.types) {
            check_value(data, field, *field_type)
                .map_err(|fault| Refusal::with_text(47003, fault.text(&field.key)))?;
        }
        Ok(())
    }

    fn listed(&self) -> Value {
        let template = &self.template;
        let content: Vec<String> = template
            .fields
            .iter()
            .map(|field| format!("{}:{{{{{}.DATA}}}}", field.name, field.key))
            .collect();
        let example: Vec<String> = template
            .fields
            .iter()
            .map(|field| format!("{}:{}", field.name, field.key))
            .collect();
        let choices: Vec<Value> = template
            .fields
            .iter()
            .filter(|field| !field.values.is_empty())
            .map(|field| json!({ "keywordCode": field.key, "enumValueList": field.values }))
            .collect();
        json!({
            "priTmplId": template.template_id,
            "title": template.title,
            "content": content.join("\n"),
            "example": example.join("\n"),
            "type": template.kind,
            "keywordEnumValueList": choices,
        })
    }
}

fn check_value(
    data: Option<&Map<String, Value>>,
    field: &TemplateField,
    field_type: FieldType,
) -> Result<(), FieldFault> {
    let value = data
        .and_then(|data| data.get(&field.key))
        .and_then(|entry| entry.get("value"));
    match value {
        None | Some(Value::Null) => Err(FieldFault::Empty),
        Some(Value::String(text)) => field_type.check(text, &field.values),
        // The documentation says "any": numbers are taken by their text.
        Some(Value::Number(number)) => field_type.check(&number.to_string(), &field.values),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(FieldFault::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> Templates {
        let mut templates = Templates::default();
        let template = Template {
            template_id: "T".to_owned(),
            appid: None,
            title: "提醒".to_owned(),
            fields: vec![
                TemplateField::new("thing2", "事项"),
                TemplateField::new("number1", "数量"),
            ],
            kind: SubscriptionKind::OneTime,
        };
        templates.put(template, "wx1".to_owned()).unwrap();
        templates
    }

    #[test]
    fn only_the_first_bad_keyword_is_named_and_extra_ones_are_ignored() {
        let empty = "argument invalid! data.thing2.value is empty";
        let cases = [
            (
                json!({"thing2": {"value": "a"}, "number1": {"value": "1"}}),
                None,
            ),
            (
                json!({"thing2": {"value": "a"}, "number1": {"value": 1.5}}),
                None,
            ),
            (
                json!({"thing2": {"value": "a"}, "number1": {"value": "1"}, "date9": {"value": "?"}}),
                None,
            ),
            (json!({"number1": {"value": "x"}}), Some(empty)),
            (
                json!({"thing2": {"value": ""}, "number1": {"value": "x"}}),
                Some(empty),
            ),
            (
                json!({"thing2": "a", "number1": {"value": "1"}}),
                Some(empty),
            ),
            (json!(r#"{"thing2":{"value":"a"}}"#), Some(empty)),
            (
                json!({"thing2": {"value": ["a"]}, "number1": {"value": "1"}}),
                Some("argument invalid! data.thing2.value invalid"),
            ),
            (
                json!({"thing2": {"value": "a"}, "number1": {"value": "x"}}),
                Some("argument invalid! data.number1.value invalid"),
            ),
        ];
        let templates = owned();
        for (data, expected) in cases {
            let refusal = templates.get("T").unwrap().check(Some(&data)).err();
            assert_eq!(
                refusal.as_ref().and_then(|refusal| refusal.text.as_deref()),
                expected,
                "{data}"
            );
        }
    }

    #[test]
    fn a_template_with_an_unknown_keyword_type_is_refused() {
        let template = Template {
            template_id: "T".to_owned(),
            appid: None,
            title: String::new(),
            fields: vec![TemplateField::new("colour1", "颜色")],
            kind: SubscriptionKind::OneTime,
        };
        assert!(
            Templates::default()
                .put(template, "wx1".to_owned())
                .is_err()
        );
    }
}
