//! The JSON of a request as WeCom reads it: forgiving, with a warning.
//!
//! A number in quotes is taken for a number, and what cannot be read counts as missing; both put
//! `Warning: wrong json format. ` into the answer's text.

use serde_json::{Map, Value};

use super::errmsg::usual_text;
use crate::call::Call;
use crate::refusal::Refusal;

const WARNING: &str = "Warning: wrong json format. ";
/// Fields that are numbers wherever they occur.
const NUMBERS: [&str; 5] = [
    "agentid",
    "safe",
    "enable_id_trans",
    "enable_duplicate_check",
    "duplicate_check_interval",
];
/// Fields that are texts wherever they occur.
const TEXTS: [&str; 4] = ["msgtype", "touser", "toparty", "totag"];

/// The fields of a request, or of an object in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'call> {
    fields: Option<&'call Map<String, Value>>,
}

impl<'call> Form<'call> {
    pub(crate) fn of(call: &'call Call) -> Self {
        Self {
            fields: call.fields(),
        }
    }

    #[cfg(test)]
    pub(crate) fn of_value(value: &'call Value) -> Self {
        Self {
            fields: value.as_object(),
        }
    }

    pub(crate) fn fields(&self) -> Option<&'call Map<String, Value>> {
        self.fields
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'call Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&'call str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A number, also one in quotes.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(flag) => Some(i64::from(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// An object; one without fields when there is none.
    pub(crate) fn object(&self, name: &str) -> Self {
        Self {
            fields: self.get(name).and_then(Value::as_object),
        }
    }

    /// The objects of a list; empty when there is none.
    pub(crate) fn objects(&self, name: &str) -> Vec<Self> {
        let items = self.get(name).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .map(|item| Self {
                fields: item.as_object(),
            })
            .collect()
    }

    /// The text of an answer without a fault.
    pub(crate) fn ok_text(&self) -> String {
        if self.is_well_formed() {
            "ok".to_owned()
        } else {
            format!("ok. {WARNING}")
        }
    }

    /// A refusal with the warning, where one is due.
    pub(crate) fn refuse(&self, mut refusal: Refusal) -> Refusal {
        if !self.is_well_formed() {
            let text = refusal.text.as_deref();
            let text = text.unwrap_or_else(|| usual_text(refusal.errcode));
            refusal.text = Some(format!("{WARNING}{text}"));
        }
        refusal
    }

    fn is_well_formed(&self) -> bool {
        let fits = |names: &[&str], is_type: fn(&Value) -> bool| {
            names.iter().all(|name| self.get(name).is_none_or(is_type))
        };
        self.fields.is_some() && fits(&NUMBERS, Value::is_number) && fits(&TEXTS, Value::is_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_fields_are_converted_or_missing_and_warned_of() {
        for (text, agentid, ok) in [
            (r#"{"agentid":7}"#, Some(7), "ok"),
            (
                r#"{"agentid":"7"}"#,
                Some(7),
                "ok. Warning: wrong json format. ",
            ),
            (
                r#"{"agentid":[7]}"#,
                None,
                "ok. Warning: wrong json format. ",
            ),
            (r#"{"touser":7}"#, None, "ok. Warning: wrong json format. "),
            ("[]", None, "ok. Warning: wrong json format. "),
            (r#"{"agentid":null,"other":[]}"#, None, "ok"),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let form = Form::of_value(&value);
            assert_eq!(form.number("agentid"), agentid, "{text}");
            assert_eq!(form.ok_text(), ok, "{text}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_text_behind_the_warning() {
        let value = Value::Null;
        let refused = Form::of_value(&value).refuse(Refusal::new(40008));
        assert_eq!(
            refused.text.as_deref(),
            Some("Warning: wrong json format. invalid message type")
        );
    }
}
